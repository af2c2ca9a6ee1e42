"""One fine-tune: its batches, its milestones, its end, going on after a pause, and the model it leaves."""

import errno
import json
import math
import pickle
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from autoft.errors import DataError, InputError, ModelError, SearchError
from autoft.records import Direction, TrialConfig
from autoft.tasks.text_classification import TextClassification
from autoft.training import checkpoint, dataset, export
from autoft.training.batching import bucketed_batches, collate, evaluation_batches
from autoft.training.finetune import FineTune, horizon, milestones
from autoft.training.predict import Predictor


def config_of(model, **knobs):
    return TrialConfig(**{
        "model": str(model), "learning_rate": 5e-3, "batch_size": 16, "epochs": 3, "freeze_depth": 0,
        "max_length": 64, "seed": 5, **knobs,
    })  # fmt: skip


def run(trial, seconds=math.inf):
    reports = []
    while not trial.ended:
        report = trial.advance(seconds)
        if report is not None:
            reports.append(report)
    return reports


def facts(reports):
    """Reports without what the clock says."""
    return [(r.samples, r.value, dict(r.metrics), r.train_loss) for r in reports]


# Batches


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 128), min_size=1, max_size=900), size=st.integers(1, 70), epoch=st.integers(0, 3)
)
def test_every_row_stands_in_one_batch(lengths, size, epoch):
    lengths = np.array(lengths)
    for batches in (bucketed_batches(lengths, size, 7, epoch), evaluation_batches(lengths, size)):
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        assert len(batches) == math.ceil(len(lengths) / size)
        assert sum(len(batch) != size for batch in batches) <= 1


def test_batches_depend_on_seed_and_epoch_only():
    lengths = np.random.default_rng(0).integers(5, 60, 1000)

    def order(seed, epoch):
        return np.concatenate(bucketed_batches(lengths, 16, seed, epoch)).tolist()

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4


def test_like_lengths_go_together_so_that_little_is_padding():
    lengths = np.random.default_rng(0).integers(3, 73, 4000)

    def waste(batches):
        padded = sum(len(batch) * lengths[batch].max() for batch in batches)
        return 1 - lengths.sum() / padded

    assert waste(bucketed_batches(lengths, 16, 0, 0)) < 0.05
    assert waste(np.array_split(np.random.default_rng(1).permutation(4000), 250)) > 0.4


def test_evaluation_starts_with_the_longest_rows():
    batches = evaluation_batches(np.array([3, 9, 1, 9, 5]), 2)
    assert [batch.tolist() for batch in batches] == [[1, 3], [4, 0], [2]]


def test_collate_pads_the_inputs_and_keeps_the_kind_of_label(tiny_bert):
    tokenizer = dataset.tokenizer(str(tiny_bert))
    examples = [{"input_ids": [2, 9, 3], "attention_mask": [1] * 3}, {"input_ids": [2, 3], "attention_mask": [1] * 2}]
    batch = collate(examples, tokenizer)
    assert batch["input_ids"].tolist() == [[2, 9, 3], [2, 3, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert set(batch) == {"input_ids", "attention_mask"}
    whole = collate([example | {"labels": i} for i, example in enumerate(examples)], tokenizer)["labels"]
    assert (whole.dtype, whole.tolist()) == (torch.int64, [0, 1])
    broken = collate([example | {"labels": i + 0.5} for i, example in enumerate(examples)], tokenizer)["labels"]
    assert (broken.dtype, broken.tolist()) == (torch.float32, [0.5, 1.5])


# Milestones


@pytest.mark.parametrize(
    ("rows", "epochs", "rungs", "expected"),
    [
        (100, 1, (), (100,)),
        (100, 3, (), (100, 200, 300)),
        (100, 3, (40, 120, 360), (40, 100, 120, 200, 300)),
        (100, 2, (100, 200, 201), (100, 200)),
    ],
)
def test_milestones(rows, epochs, rungs, expected):
    config = config_of("m", epochs=epochs)
    assert milestones(config, rows, rungs) == expected
    assert horizon(config, rows) == expected[-1]


def test_a_report_comes_at_every_milestone_and_says_the_milestone(tiny_job, tiny_bert):
    trial = FineTune(tiny_job, config_of(tiny_bert, batch_size=24))
    assert (trial.samples, trial.horizon, trial.ended, trial.reports) == (0, 360, "", [])
    first = trial.advance(math.inf)
    assert (first.samples, trial.samples) == (40, 48)  # the second batch of 24 went past 40
    reports = [first, *run(trial)]
    assert [r.samples for r in reports] == [40, 120, 240, 360]
    assert reports == trial.reports
    assert (trial.samples, trial.ended, trial.failed) == (360, "horizon", False)
    assert trial.advance(math.inf) is None
    assert reports[-1].value > 0.9 > 0.75 > reports[0].value
    assert reports[-1].metrics["accuracy"] == reports[-1].value
    assert [r.seconds for r in reports] == sorted(r.seconds for r in reports)
    assert reports[-1].train_loss < reports[0].train_loss


def test_one_step_past_two_milestones_reports_both(tiny_job, tiny_bert):
    job = replace(tiny_job, rungs=(8, 40, 50), patience=1)
    reports = run(FineTune(job, config_of(tiny_bert, batch_size=120, epochs=1)))
    assert [r.samples for r in reports] == [8, 40, 50, 120]
    assert len({(r.value, r.train_loss) for r in reports}) == 1


def test_validation_metrics_are_those_of_the_rows_in_their_order(tiny_job, tiny_bert, tiny_data):
    trial = FineTune(replace(tiny_job, eval_batch_size=7), config_of(tiny_bert))
    run(trial)
    metrics = trial.evaluate()
    texts, labels = tiny_data["text"][120:160], tiny_data["label"][120:160]
    tokenizer = dataset.tokenizer(str(tiny_bert))
    trial._model.eval()
    with torch.inference_mode():
        logits = [trial._model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
    predicted = [tiny_job.meta["labels"][row.argmax()] for row in logits]
    assert metrics["accuracy"] == np.mean(np.array(predicted) == labels.to_numpy())
    wanted = torch.tensor([tiny_job.meta["labels"].index(label) for label in labels])
    loss = torch.nn.functional.cross_entropy(torch.stack(logits), wanted).item()
    assert metrics["loss"] == pytest.approx(loss, abs=1e-5)


# The end


def test_a_trial_that_gets_no_better_ends(tiny_job, tiny_bert):
    trial = FineTune(replace(tiny_job, patience=2), config_of(tiny_bert, learning_rate=1e-12, epochs=9))
    assert len(run(trial)) == 3
    assert trial.ended == "no better for 2 evaluations"
    assert not trial.failed


def test_where_smaller_is_better_the_best_is_the_smallest(tiny_job, tiny_bert, tmp_path):
    job = replace(tiny_job, metric="loss", direction=Direction.MINIMIZE, patience=2)
    trial = FineTune(job, config_of(tiny_bert, learning_rate=2e-2, epochs=6, schedule="constant"))
    values = [report.value for report in run(trial)]
    trial.save(tmp_path)
    saved = checkpoint.load_latest(tmp_path)
    again = FineTune(job, config_of(tiny_bert, learning_rate=2e-2, epochs=6, schedule="constant"))
    assert again.restore(tmp_path)
    assert again.evaluate()["loss"] == pytest.approx(min(values), abs=1e-6)
    assert saved.groups == ("best",)


def test_a_learning_rate_that_is_far_too_high_diverges_without_a_report(tiny_job, tiny_bert, tmp_path):
    trial = FineTune(tiny_job, config_of(tiny_bert, learning_rate=1.0, max_grad_norm=0.0, warmup=0.0))
    with torch.no_grad():
        trial._model.classifier.weight.fill_(3e38)  # overflows to infinity in the first forward pass
    assert trial.advance(math.inf) is None
    assert trial.ended.startswith("diverged: the training loss is ")
    assert trial.failed
    assert trial.reports == []
    trial.save(tmp_path)
    with pytest.raises(SearchError, match="no whole checkpoint with an evaluated model"):
        export.save(tiny_job, config_of(tiny_bert), export.best_weights(tmp_path), tmp_path / "out", {})


class SilentlyBroken(TextClassification):
    """Its training is fine, its validation scores are not: an argmax over them would still look like a score."""

    def scores(self, model, batch, meta):
        return super().scores(model, batch, meta) * np.nan


class BrokenMetric(TextClassification):
    """One of its metrics comes out as infinity."""

    def measure(self, scores, examples, meta):
        return super().measure(scores, examples, meta) | {"mcc": math.inf}


@pytest.mark.parametrize(("task", "metric"), [(SilentlyBroken, "accuracy"), (BrokenMetric, "mcc")])
def test_validation_that_is_not_finite_is_a_divergence(tiny_job, tiny_bert, task, metric):
    trial = FineTune(replace(tiny_job, task=task()), config_of(tiny_bert))
    assert trial.advance(math.inf) is None
    assert trial.ended == f"diverged: {metric} on the validation data is not a finite number at 40 samples"
    assert trial.failed
    assert trial.reports == []


def test_a_depth_that_is_not_there_is_refused(tiny_job, tiny_bert):
    with pytest.raises(ModelError, match="has 4 blocks, so 5 of them can't be frozen"):
        FineTune(tiny_job, config_of(tiny_bert, freeze_depth=5))


@pytest.mark.parametrize("depth", [2, 4])
def test_what_is_frozen_stays_as_the_pretrained_model_has_it(tiny_job, tiny_bert, depth):
    trial = FineTune(tiny_job, config_of(tiny_bert, freeze_depth=depth))
    run(trial)
    pretrained = load_file(tiny_bert / "model.safetensors")
    tensors = dict(trial._model.named_parameters())
    assert trial.frozen
    for name in trial.frozen:
        assert torch.equal(tensors[name], pretrained[name.removeprefix("bert.")]), name
    moved = {name.removeprefix("bert.") for name in set(tensors) - set(trial.frozen)}
    assert not any(torch.equal(tensors[f"bert.{name}"], pretrained[name]) for name in moved & set(pretrained))


class Watching(TextClassification):
    """The task itself, that looks which blocks are in training mode at every step."""

    def __init__(self):
        self.seen = set()

    def loss(self, model, batch, meta, config):
        modes = [block.training for block in model.bert.encoder.layer]
        self.seen.add((model.bert.embeddings.dropout.training, *modes, model.dropout.training))
        return super().loss(model, batch, meta, config)


def test_the_frozen_part_has_no_dropout_while_the_rest_trains_also_after_an_evaluation(tiny_job, tiny_bert):
    job = replace(tiny_job, task=Watching())
    run(FineTune(job, config_of(tiny_bert, freeze_depth=2)))
    assert job.task.seen == {(False, False, False, True, True, True)}


def test_texts_are_cut_at_what_the_model_can_take(tiny_job, tiny_bert):
    trial = FineTune(tiny_job, config_of(tiny_bert, max_length=8000))
    assert trial.max_length == 64
    assert FineTune(tiny_job, config_of(tiny_bert, max_length=9)).max_length == 9


def test_a_job_pickles(tiny_job):
    again = pickle.loads(pickle.dumps(tiny_job))
    assert replace(again, task=tiny_job.task) == tiny_job
    assert again.task.name == tiny_job.task.name


@pytest.mark.parametrize(
    "wrong", [{"patience": 0}, {"threads": 0}, {"eval_batch_size": 0}, {"rungs": (0,)}, {"cache_bytes": -1}]
)
def test_a_job_that_makes_no_sense_is_refused(tiny_job, wrong):
    with pytest.raises(ValueError, match="not a job"):
        replace(tiny_job, **wrong)


def test_rows_written_anew_under_the_same_name_are_read_anew(tiny_job, tiny_bert, tiny_data, tmp_path):
    for part in ("train", "validation"):
        tiny_data[:50].to_parquet(tmp_path / f"{part}.parquet")
    job = replace(tiny_job, data=str(tmp_path))
    assert FineTune(job, config_of(tiny_bert)).horizon == 150
    tiny_data[:60].to_parquet(tmp_path / "train.parquet")
    assert FineTune(job, config_of(tiny_bert)).horizon == 180


# Pause and resume


def tensors_of(trial):
    from autoft.training import optim

    model = {name: tensor.clone() for name, tensor in trial._model.state_dict().items()}
    return model | {f"adam {k}": v for k, v in optim.optimizer_tensors(trial._plain_optimizer).items()} | {
        f"best {k}": v for k, v in trial._best.items()
    } | {f"rng {k}": v for k, v in trial._rng.items()}  # fmt: skip


def assert_same(one, other):
    first, second = tensors_of(one), tensors_of(other)
    assert first.keys() == second.keys()
    assert [key for key in first if not torch.equal(first[key], second[key])] == []
    assert facts(one.reports) == facts(other.reports)
    assert (one.samples, one.ended, one.failed) == (other.samples, other.ended, other.failed)


KNOBS = {
    "everything trains": {},
    "half is frozen": {"freeze_depth": 2, "schedule": "cosine"},
    "only the head trains": {"freeze_depth": 4, "schedule": "constant", "learning_rate": 1e-2},
}


@pytest.mark.parametrize("knobs", KNOBS.values(), ids=KNOBS)
def test_resumed_is_uninterrupted_bit_for_bit(tiny_job, tiny_bert, tmp_path, knobs):
    config = config_of(tiny_bert, dropout=0.2, **knobs)
    whole = FineTune(tiny_job, config)
    run(whole)

    # A new object after every single step and every milestone, with other random numbers drawn in between.
    trial, pauses, moments = FineTune(tiny_job, config), 0, set()
    while not trial.ended:
        report = trial.advance(0.0)
        moments.add((report is not None, trial.samples))
        trial.save(tmp_path)
        if trial.ended:
            break
        torch.manual_seed(1000 + pauses)
        np.random.seed(pauses)
        trial = FineTune(tiny_job, config)
        assert trial.restore(tmp_path)
        torch.rand(pauses + 1)
        pauses += 1
    assert pauses == 23  # one after each step but the last
    assert {reported for reported, _ in moments} == {True, False}
    assert_same(whole, trial)


def test_resuming_after_damage_to_the_newest_checkpoint_gives_the_same(tiny_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert, dropout=0.2)
    whole = FineTune(tiny_job, config)
    run(whole)
    trial = FineTune(tiny_job, config)
    for _ in range(5):
        trial.advance(0.0)
        trial.save(tmp_path)
    weights = sorted(tmp_path.iterdir())[-1] / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-5] ^= 4
    weights.write_bytes(data)
    again = FineTune(tiny_job, config)
    assert again.restore(tmp_path)
    assert again.samples < trial.samples
    run(again)
    assert_same(whole, again)


@pytest.mark.faults
def test_a_worker_killed_in_the_middle_is_carried_on_by_another_process(tiny_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert, dropout=0.2)
    (tmp_path / "job.pickle").write_bytes(pickle.dumps((tiny_job, config)))
    script = """
        import pickle, sys
        from pathlib import Path
        from autoft.training.finetune import FineTune
        folder = Path(sys.argv[1])
        trial = FineTune(*pickle.loads((folder / "job.pickle").read_bytes()))
        while not trial.ended:
            trial.advance(0.0)
            trial.save(folder / "checkpoints")
            print(trial.samples, flush=True)
    """
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    for _ in range(6):
        assert worker.stdout.readline()
    worker.kill()
    worker.wait()
    worker.stdout.close()
    trial = FineTune(tiny_job, config)
    assert trial.restore(tmp_path / "checkpoints")
    assert trial.samples >= 80
    run(trial)
    whole = FineTune(tiny_job, config)
    run(whole)
    assert_same(whole, trial)


def test_two_trials_in_one_process_do_not_disturb_each_other(tiny_job, tiny_bert):
    configs = [config_of(tiny_bert, dropout=0.2, seed=seed) for seed in (1, 2)]
    alone = [FineTune(tiny_job, config) for config in configs]
    for trial in alone:
        run(trial)
    together = [FineTune(tiny_job, config) for config in configs]
    while not all(trial.ended for trial in together):
        for trial in together:
            trial.advance(0.0)
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other)


def test_training_leaves_the_random_state_of_the_process_alone(tiny_job, tiny_bert):
    import random

    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist())
    FineTune(tiny_job, config_of(tiny_bert)).advance(0.0)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1], before[2]) == (random.getstate(), np.random.get_state()[1].tolist())


def test_nothing_to_restore(tiny_job, tiny_bert, tmp_path):
    assert not FineTune(tiny_job, config_of(tiny_bert)).restore(tmp_path / "none")


def test_a_checkpoint_of_another_configuration_is_refused(tiny_job, tiny_bert, tmp_path):
    FineTune(tiny_job, config_of(tiny_bert)).save(tmp_path)
    with pytest.raises(ValueError, match="checkpoint of another configuration"):
        FineTune(tiny_job, config_of(tiny_bert, seed=6)).restore(tmp_path)


def test_frozen_weights_are_not_saved(tiny_job, tiny_bert, tmp_path):
    trial = FineTune(tiny_job, config_of(tiny_bert, freeze_depth=3))
    trial.advance(0.0)
    trial.save(tmp_path)
    found = checkpoint.load_latest(tmp_path)
    assert found.groups == ("weights", "optimizer", "rng")
    assert not set(found.tensors("weights")) & set(trial.frozen)
    assert {name.rpartition(".")[0] for name in found.tensors("optimizer")} == set(found.tensors("weights"))


def test_a_finished_trial_keeps_its_best_weights_only_and_can_be_looked_at(tiny_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert)
    trial = FineTune(tiny_job, config)
    run(trial)
    trial.save(tmp_path)
    again = FineTune(tiny_job, config)
    assert again.restore(tmp_path)
    assert (again.ended, again.samples, again.reports) == ("horizon", 360, trial.reports)
    assert again.evaluate()["accuracy"] == max(r.value for r in trial.reports)
    assert len(list(tmp_path.iterdir())) == 1


def test_keep_best_of_a_pruned_trial(tiny_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert)
    trial = FineTune(tiny_job, config)
    while len(trial.reports) < 2:
        trial.advance(math.inf)
    trial.advance(0.0)
    trial.save(tmp_path)
    best = {name: tensor.clone() for name, tensor in trial._best.items()}
    export.keep_best(tmp_path)
    export.keep_best(tmp_path)
    found = checkpoint.load_latest(tmp_path)
    assert (found.groups, len(list(tmp_path.iterdir()))) == (("best",), 1)
    kept = found.tensors("best")
    assert kept.keys() == best.keys()
    assert all(torch.equal(kept[name], best[name]) for name in best)
    # There is nothing to go on from any more.
    assert not FineTune(tiny_job, config).restore(tmp_path)
    export.keep_best(tmp_path / "none")


# The frozen part, computed once


@pytest.fixture
def cached_job(tiny_job, tmp_path):
    return replace(tiny_job, cache=str(tmp_path / "cache"))


def entries_in(job):
    return sorted(path.name for path in Path(job.cache).iterdir() if path.is_dir())


@pytest.mark.parametrize("knobs", [{"freeze_depth": 2}, {"freeze_depth": 4, "learning_rate": 1e-2}])
def test_cached_gives_what_uncached_gives(tiny_job, cached_job, tiny_bert, knobs):
    cached, plain = (FineTune(job, config_of(tiny_bert, dropout=0.2, **knobs)) for job in (cached_job, tiny_job))
    assert (cached.uncached, plain.uncached) == ("", "the cache is off")
    for one, other in zip(run(cached), run(plain), strict=True):
        assert one.metrics == pytest.approx(other.metrics, abs=1e-4)
        assert one.train_loss == pytest.approx(other.train_loss, abs=1e-4)
    assert cached.reports[-1].value > 0.8
    assert (cached.uncached, cached.ended) == ("", "horizon")


@pytest.mark.parametrize(
    ("job", "knobs", "reason"),
    [
        ({}, {"freeze_depth": 0}, "nothing is frozen"),
        ({"cache": ""}, {"freeze_depth": 2}, "the cache is off"),
        ({"cache_bytes": 0}, {"freeze_depth": 2}, "the cache is off"),
    ],
)
def test_why_a_trial_is_uncached(cached_job, tiny_bert, job, knobs, reason):
    trial = FineTune(replace(cached_job, **job), config_of(tiny_bert, epochs=1, **knobs))
    assert trial.uncached == reason
    assert run(trial)
    assert not Path(cached_job.cache).exists()


class CountingFrozen(TextClassification):
    """The task itself, that counts how often a frozen block runs."""

    def __init__(self):
        self.calls = 0

    def build(self, path, meta, config):
        def count(*_):
            self.calls += 1

        model = super().build(path, meta, config)
        model.bert.encoder.layer[0].attention.register_forward_hook(count)
        return model


@pytest.mark.parametrize("depth", [2, 4])
def test_all_epochs_trials_and_the_validation_share_one_pass_through_the_frozen_part(cached_job, tiny_bert, depth):
    job = replace(cached_job, task=CountingFrozen())
    run(FineTune(job, config_of(tiny_bert, freeze_depth=depth)))
    trial = FineTune(job, config_of(tiny_bert, freeze_depth=depth, seed=6, dropout=0.0, learning_rate=1e-3))
    looked = job.task.calls
    run(trial)
    assert job.task.calls == looked  # one look at the model, and then nothing for three epochs and five evaluations
    assert len(entries_in(job)) == 1


def test_a_depth_goes_on_from_the_nearest_lower_one_and_gives_the_same_bits(cached_job, tiny_bert, tmp_path):
    job = replace(cached_job, task=CountingFrozen())
    run(FineTune(job, config_of(tiny_bert, freeze_depth=1, epochs=1)))
    before = entries_in(job)
    trial = FineTune(job, config_of(tiny_bert, freeze_depth=3, epochs=1))
    calls = job.task.calls
    run(trial)
    assert job.task.calls <= calls + 1  # a look at the lower border; the first block is done with
    [added] = set(entries_in(job)) - set(before)
    alone = replace(job, cache=str(tmp_path / "alone"))
    run(FineTune(alone, config_of(tiny_bert, freeze_depth=3, epochs=1)))
    assert entries_in(alone) == [added]
    states = [(Path(folder) / added / "states.bin").read_bytes() for folder in (job.cache, alone.cache)]
    assert states[0] == states[1]


def test_only_what_is_looked_at_is_kept_where_only_the_head_is_trained(cached_job, tiny_bert):
    run(FineTune(cached_job, config_of(tiny_bert, freeze_depth=4, epochs=1)))
    [entry] = entries_in(cached_job)
    assert (Path(cached_job.cache) / entry / "states.bin").stat().st_size == 160 * 32 * 4


@pytest.mark.parametrize("depth", [2, 4])
def test_a_cached_trial_resumes_bit_for_bit_also_while_the_cache_is_being_built(
    cached_job, tiny_bert, tmp_path, depth, monkeypatch
):
    monkeypatch.setattr("autoft.training.frozen._CHUNK", 128)
    config = config_of(tiny_bert, dropout=0.2, freeze_depth=depth)
    whole = FineTune(replace(cached_job, cache=str(tmp_path / "other")), config)
    run(whole)
    trial, slices = FineTune(cached_job, config), 0
    while True:
        trial.advance(0.0)
        trial.save(tmp_path / "checkpoints")
        if trial.ended:
            break
        trial = FineTune(cached_job, config)
        assert trial.restore(tmp_path / "checkpoints")
        slices += not trial.samples
    assert slices > 5
    assert trial.uncached == ""
    assert_same(whole, trial)


def test_a_trial_goes_on_with_the_cache_and_without_it(tiny_job, cached_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert, freeze_depth=2)
    plain = FineTune(tiny_job, config)
    run(plain)
    trial, jobs = FineTune(tiny_job, config), [cached_job, tiny_job]
    while not trial.ended:
        trial.advance(math.inf)
        trial.save(tmp_path / "checkpoints")
        trial = FineTune(jobs[0], config)
        assert trial.restore(tmp_path / "checkpoints")
        jobs.reverse()
    assert [r.value for r in trial.reports] == pytest.approx([r.value for r in plain.reports], abs=1e-4)


def test_a_trial_can_be_evaluated_before_the_cache_is_there_and_after(cached_job, tiny_bert):
    trial = FineTune(cached_job, config_of(tiny_bert, freeze_depth=2))
    before = trial.evaluate()
    assert trial._feed.ready(math.inf)
    assert trial.evaluate() == pytest.approx(before, abs=1e-5)
    with torch.inference_mode():  # outside a batch the model is whole
        assert (
            trial._model(**dataset.tokenizer(str(tiny_bert))("a great film", return_tensors="pt"))
            .logits.isfinite()
            .all()
        )


def test_a_full_disk_is_no_reason_to_fail(cached_job, tiny_bert, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("autoft.training.activations.make_room", full)
    trial = FineTune(cached_job, config_of(tiny_bert, freeze_depth=2, epochs=1))
    assert len(run(trial)) == 2
    assert (trial.uncached, trial.ended) == ("the cache can't be used: No space left on device", "horizon")
    assert entries_in(cached_job) == []


@pytest.mark.faults
def test_a_disk_that_fills_up_during_the_build_leaves_nothing(cached_job, tiny_bert, tmp_path):
    # The limit on the size of files is what a full disk looks like to a process: a write that fails half-way.
    script = """
        import pickle, resource, signal, sys
        from autoft.training.finetune import FineTune
        job, config = pickle.load(open(sys.argv[1], "rb"))
        trial = FineTune(job, config)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
        while not trial.ended:
            trial.advance(0.0)
        print(trial.uncached, trial.ended, sep="|")
    """
    (tmp_path / "job.pickle").write_bytes(pickle.dumps((cached_job, config_of(tiny_bert, freeze_depth=2, epochs=1))))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "job.pickle")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "the cache can't be used: File too large|horizon"
    assert entries_in(cached_job) == []


def test_a_cache_that_is_too_small_is_done_without(cached_job, tiny_bert):
    trial = FineTune(replace(cached_job, cache_bytes=1000), config_of(tiny_bert, freeze_depth=2, epochs=1))
    run(trial)
    assert trial.uncached == "the cache can't be used: it would take 0.3 MiB, and the cache may hold 0.0 MiB"


def test_other_weights_or_other_rows_are_never_taken_for_the_same(cached_job, tiny_bert, tiny_data, tmp_path):
    from safetensors.torch import save_file

    config = config_of(tiny_bert, freeze_depth=1, epochs=1)
    run(FineTune(cached_job, config))
    other = tmp_path / "other-bert"
    shutil.copytree(tiny_bert, other)
    run(FineTune(cached_job, replace(config, model=str(other))))
    assert len(entries_in(cached_job)) == 1  # the same weights elsewhere are the same
    weights = load_file(other / "model.safetensors")
    weights["encoder.layer.0.output.dense.bias"][0] += 1e-3
    third = tmp_path / "third-bert"
    shutil.copytree(tiny_bert, third)
    save_file(weights, third / "model.safetensors", {"format": "pt"})
    run(FineTune(cached_job, replace(config, model=str(third))))
    assert len(entries_in(cached_job)) == 2
    for part in ("train", "validation"):
        tiny_data[:50].to_parquet(tmp_path / f"{part}.parquet")
    run(FineTune(replace(cached_job, data=str(tmp_path)), config))
    assert len(entries_in(cached_job)) == 3
    run(FineTune(cached_job, replace(config, max_length=8)))
    assert len(entries_in(cached_job)) == 4
    run(FineTune(cached_job, replace(config, dropout=0.3, seed=9, batch_size=8)))
    assert len(entries_in(cached_job)) == 4


def test_a_text_without_a_token_is_not_cached(cached_job, tiny_bert):
    class Empty(TextClassification):
        name = "empty"

        def encode(self, rows, tokenizer, meta, max_length):
            examples = super().encode(rows, tokenizer, meta, max_length)
            return [{key: [] if key != "labels" else value for key, value in examples[0].items()}, *examples[1:]]

    trial = FineTune(replace(cached_job, task=Empty()), config_of(tiny_bert, freeze_depth=2, epochs=1))
    assert trial.uncached == "there is a text without a token"
    assert run(trial)


# What is left


@pytest.fixture(scope="module")
def trained(tiny_job, tiny_bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    config = config_of(tiny_bert, freeze_depth=1)
    trial = FineTune(tiny_job, config)
    run(trial)
    trial.save(folder / "checkpoints")
    export.save(tiny_job, config, export.best_weights(folder / "checkpoints"), folder / "model", {"search": "demo"})
    return trial, folder


def test_the_export_opens_with_transformers_and_scores_the_same(trained, tiny_job, tiny_data):
    from transformers import pipeline

    trial, folder = trained
    classify = pipeline("text-classification", model=str(folder / "model"), device="cpu")
    rows = tiny_data[120:160]
    answers = classify(list(rows["text"]), truncation=True, batch_size=8)
    right = np.mean([answer["label"] == label for answer, label in zip(answers, rows["label"], strict=True)])
    assert right == max(report.value for report in trial.reports)
    ours = Predictor.load(folder / "model").predict(rows)
    assert [answer["label"] for answer in ours] == [answer["label"] for answer in answers]
    np.testing.assert_allclose([a["score"] for a in ours], [a["score"] for a in answers], atol=1e-5)


def test_the_export_holds_safetensors_and_a_card_and_nothing_pickled(trained, tiny_job):
    _, folder = trained
    names = {path.name for path in (folder / "model").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "autoft.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]
    card = json.loads((folder / "model" / "autoft.json").read_text())
    assert (card["task"], card["meta"], card["extra"]) == ("text-classification", tiny_job.meta, {"search": "demo"})
    assert TrialConfig(**card["config"]) == trained[0]._config
    assert json.loads((folder / "model" / "tokenizer_config.json").read_text())["model_max_length"] == 64
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoints", "model"]


def test_a_second_export_takes_the_place_of_the_first(trained, tiny_job, tmp_path):
    trial, folder = trained
    target = tmp_path / "model"
    for extra in ({"n": 1}, {"n": 2}):
        export.save(tiny_job, trial._config, export.best_weights(folder / "checkpoints"), target, extra)
    assert json.loads((target / "autoft.json").read_text())["extra"] == {"n": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_answers_come_in_the_order_of_the_texts(trained):
    predictor = Predictor.load(trained[1] / "model")
    texts = [
        "a great cast so superb",
        "the weak film with its dull boring dialogue and terrible cast",
        "superb",
        "dull awful",
    ]
    answers = predictor.predict(texts)
    assert [answer["label"] for answer in answers] == ["positive", "negative", "positive", "negative"]
    assert [answer["label"] for answer in predictor.predict(texts[::-1])] == [a["label"] for a in answers[::-1]]
    singly = [predictor.predict([text])[0] for text in texts]
    np.testing.assert_allclose([a["score"] for a in answers], [a["score"] for a in singly], atol=1e-5)
    assert predictor.predict([]) == []
    assert predictor.predict(pd.DataFrame({"text": texts, "label": "unheard of"})) == answers


@pytest.mark.parametrize(
    ("texts", "line"),
    [
        ("a single text", "give a list of texts"),
        ([("a", "b")], "takes a text for each answer"),
        ([1], "takes a text for each answer"),
        ([None], "takes a text for each answer"),
    ],
)
def test_what_cannot_be_answered_is_said_in_a_line(trained, texts, line):
    with pytest.raises(InputError, match=line):
        Predictor.load(trained[1] / "model").predict(texts)


def test_a_table_without_the_column(trained):
    with pytest.raises(DataError, match="no column 'text', which the model was trained on; the table has body"):
        Predictor.load(trained[1] / "model").predict(pd.DataFrame({"body": ["a"]}))


def test_a_folder_that_is_not_ours(tiny_bert, tmp_path):
    for folder in (tiny_bert, tmp_path / "none"):
        with pytest.raises(InputError, match=r"not a model that autoft saved \(it has no autoft\.json\)"):
            Predictor.load(folder)


@pytest.mark.parametrize("card", ["{", "[]", "{}", '{"format": 1, "task": "text-classification"}'])
def test_a_damaged_card(tmp_path, card):
    (tmp_path / "autoft.json").write_text(card)
    with pytest.raises(InputError, match="damaged; export the model again"):
        Predictor.load(tmp_path)


def test_a_card_of_a_later_format(tmp_path):
    (tmp_path / "autoft.json").write_text('{"format": 99}')
    with pytest.raises(InputError, match="saved by another version of autoft"):
        Predictor.load(tmp_path)


def test_pairs_of_texts(tiny_job, tiny_bert, tmp_path, tiny_data):
    table = pd.DataFrame({"a": "the film", "b": tiny_data["text"], "label": tiny_data["label"]})
    for part in ("train", "validation"):
        table.to_parquet(tmp_path / f"{part}.parquet")
    job = replace(tiny_job, data=str(tmp_path), meta={**tiny_job.meta, "text": "a", "text_pair": "b"})
    trial = FineTune(job, config_of(tiny_bert, epochs=2))
    run(trial)
    trial.save(tmp_path / "checkpoints")
    export.save(job, trial._config, export.best_weights(tmp_path / "checkpoints"), tmp_path / "model", {})
    predictor = Predictor.load(tmp_path / "model")
    answers = predictor.predict([("the film", "a great and superb script"), ("the film", "a boring and dull script")])
    assert [answer["label"] for answer in answers] == ["positive", "negative"]
    with pytest.raises(InputError, match=r"takes 2 texts \(a and b\) for each answer"):
        predictor.predict(["one"])


@pytest.mark.parametrize(
    "name", ["roberta", "distilbert", "electra", "albert", "mpnet", "deberta-v2", "modernbert", "gpt2"]
)
def test_every_kind_of_model_trains_pauses_and_is_exported(tiny_job, tiny_models, tmp_path, name):
    config = config_of(tiny_models[name], freeze_depth=1, epochs=1, dropout=0.1, batch_size=32)
    whole = FineTune(tiny_job, config)
    run(whole)
    trial = FineTune(tiny_job, config)
    trial.advance(0.0)
    trial.save(tmp_path / "checkpoints")
    trial = FineTune(tiny_job, config)
    assert trial.restore(tmp_path / "checkpoints")
    run(trial)
    assert_same(whole, trial)
    trial.save(tmp_path / "checkpoints")
    export.save(tiny_job, config, export.best_weights(tmp_path / "checkpoints"), tmp_path / "model", {})
    rows = pd.read_parquet(f"{tiny_job.data}/validation.parquet")
    scores = Predictor.load(tmp_path / "model").scores(rows)
    meta = tiny_job.meta
    examples = [{"labels": meta["labels"].index(label)} for label in rows["label"]]
    assert tiny_job.task.measure(scores, examples, meta)["accuracy"] == max(r.value for r in trial.reports)


def test_a_best_of_equal_names_only_is_loaded(tiny_job, tiny_bert, tmp_path):
    # Weights of some other model in the checkpoint must not be passed over in silence.
    trial = FineTune(tiny_job, config_of(tiny_bert))
    run(trial)
    state = {"config": trial._config.as_dict(), "reports": [trial.reports[0].as_dict()]}
    checkpoint.save(tmp_path / "c", {"best": {"other.weight": torch.zeros(2)}}, state)
    with pytest.raises(ValueError, match=r"another model's: other\.weight is not in BertForSequenceClassification"):
        export.save(tiny_job, trial._config, export.best_weights(tmp_path / "c"), tmp_path / "model", {})
    assert not (tmp_path / "model").exists()
