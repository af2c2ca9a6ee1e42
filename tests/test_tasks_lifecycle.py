"""Every task through a fine-tune: trained, paused, gone on with, cached, exported, and used."""

import math
from dataclasses import replace

import pytest
from samples import KINDS, ROWS, sample

from autoft import data, tasks
from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.testing import tiny_model
from autoft.training import export
from autoft.training.finetune import FineTune
from autoft.training.job import Job
from autoft.training.predict import Predictor

WRITERS = ("summarization", "translation")


def a_job(kind, folder):
    rows, columns = sample(kind, 60)
    rows.to_parquet(folder / "rows.parquet")
    task = tasks.get(KINDS.get(kind, kind))
    spec = DataSpec(source=str(folder / "rows.parquet"), **columns)
    splits = data.load(spec, task, 0)
    data.write(splits, folder / "data")
    metric = next(iter(task.metrics))
    job = Job(
        task=task,
        meta=tasks.learn(task, splits.train, spec),
        data=str(folder / "data"),
        metric=metric,
        direction=task.metrics[metric],
        rungs=(),
        patience=9,
        threads=1,
    )
    return job, splits, str(tiny_model(folder / "tiny", rows))


def run(trial):
    while not trial.ended:
        trial.advance(math.inf)
    assert trial.ended == "horizon"
    return trial.reports


@pytest.mark.parametrize("kind", ROWS)
def test_trained_paused_exported_and_used(kind, tmp_path):
    job, splits, model = a_job(kind, tmp_path)
    config = TrialConfig(model, 1e-2, 8, 2, 1, max_length=24)
    whole = run(FineTune(job, config))
    trial = FineTune(job, config)
    trial.advance(0.0)
    trial.save(tmp_path / "checkpoints")
    trial = FineTune(job, config)
    assert trial.restore(tmp_path / "checkpoints")
    assert [(r.samples, r.metrics, r.train_loss) for r in run(trial)] == [
        (r.samples, r.metrics, r.train_loss) for r in whole
    ]
    trial.save(tmp_path / "checkpoints")
    export.save(job, config, export.best_weights(tmp_path / "checkpoints"), tmp_path / "model", {})
    predictor = Predictor.load(tmp_path / "model")
    found = job.task.measure(*predictor.evaluated(splits.validation), job.meta)
    values = [report.value for report in whole]
    best = max(values) if job.direction is Direction.MAXIMIZE else min(values)
    # A correlation of predictions that hardly differ shows every rounding: the trial's products are another library's.
    assert found[job.metric] == pytest.approx(best, abs=1e-3)
    answers = predictor.predict(splits.test)
    assert len(answers) == len(splits.test)
    assert all(answers)


@pytest.mark.parametrize("kind", ROWS)
def test_cached_gives_what_uncached_gives_or_says_why_not(kind, tmp_path):
    job, _, model = a_job(kind, tmp_path)
    for depth in (1, 2):
        config = TrialConfig(model, 1e-2, 8, 1, depth, max_length=24)
        cached = FineTune(replace(job, cache=str(tmp_path / "cache")), config)
        if kind in WRITERS:
            assert cached.uncached.startswith("a model that writes runs whole")
        elif kind == "masked-language-modelling":  # what is masked anew for every batch was never seen before
            assert cached.uncached.startswith("the trained part alone gives something else than the whole model")
        else:
            assert cached.uncached == ""
        for one, other in zip(run(cached), run(FineTune(job, config)), strict=True):
            assert one.metrics == pytest.approx(other.metrics, abs=1e-4, rel=1e-4)


def test_an_encoder_for_language_modelling_looks_back_only(tmp_path):
    import torch

    job, _, model = a_job("language-modelling", tmp_path)
    built = job.task.build(model, job.meta, TrialConfig(model, 1e-3, 8, 1, 0)).eval()
    ids = torch.tensor([[2, 9, 10, 11, 3]])
    other = ids.clone()
    other[0, 3:] = 20
    with torch.no_grad():
        one, two = built(input_ids=ids).logits, built(input_ids=other).logits
    assert torch.equal(one[:, :3], two[:, :3])
    assert not torch.allclose(one[:, 3:], two[:, 3:])


def test_a_dialogue_learns_its_replies_only(tmp_path):
    job, splits, model = a_job("dialogue", tmp_path)
    from autoft.training.models import load_tokenizer

    tokenizer = load_tokenizer(model)
    example = job.task.encode(splits.train[:1], tokenizer, job.meta, 64)[0]
    counted = [label for label in example["labels"] if label != -100]
    assert tokenizer.decode(counted, skip_special_tokens=True) == splits.train["label"][0]
    assert counted[-1] == tokenizer.sep_token_id


@pytest.mark.slow
def test_a_search_for_the_loss_of_a_task_whose_baselines_have_none(tmp_path):
    import autoft

    rows, _ = sample("translation", 60)
    rows.to_parquet(tmp_path / "rows.parquet")
    result = autoft.search(
        task="translation",
        data=str(tmp_path / "rows.parquet"),
        metric="loss",
        models=[str(tiny_model(tmp_path / "tiny", rows))],
        trials=1,
        workers=1,
        runs=tmp_path / "runs",
    )
    assert math.isfinite(result.report["winner"]["test"])
    assert "copy" not in result.report["baselines"]  # it has no loss to compare with
    assert any(note.startswith("bleu: sacreBLEU ") for note in result.report["notes"])
    assert "pipeline(" not in (result.folder / "report.md").read_text(encoding="utf-8")
    assert set(result.predict(["great joy"])[0]) == {"translation_text"}
