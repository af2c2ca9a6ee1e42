"""Every knob of the recipe changes what is trained, in the way it should."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from autoft import tasks
from autoft.records import CONDITIONS, TrialConfig
from autoft.space import KNOBS
from autoft.tasks import losses
from autoft.training import dataset, optim
from autoft.training.batching import collate, micro_batches
from autoft.training.finetune import FineTune
from autoft.training.freezing import distances


def config_of(model, **knobs):
    return TrialConfig(**{
        "model": str(model), "learning_rate": 1e-3, "batch_size": 16, "epochs": 2, "freeze_depth": 0,
        "max_length": 64, "seed": 5, "dropout": 0.0, **knobs,
    })  # fmt: skip


def after(job, config, steps):
    """The trial after some steps."""
    trial = FineTune(job, config)
    while trial._steps < steps and not trial.ended:
        trial.advance(0.0)
    return trial


def trained(trial):
    return {name: tensor.detach().clone() for name, tensor in trial._model.named_parameters()}


def traces(job, config):
    """All that a knob could change within one epoch: losses, rates, rows, tokens, and the weights at the end."""
    trial = FineTune(job, config)
    seen = []
    inner = trial._feed.train

    def recorded(rows):
        seen.append(rows.tolist())
        return inner(rows)

    trial._feed.train = recorded
    rates = []
    while trial._steps < 10 and not trial.ended:
        rates.append([group["lr"] for group in trial._scheduler.optimizer.param_groups])
        trial.advance(0.0)
    weights = {name: tensor.detach().clone() for name, tensor in trial._model.state_dict().items()}
    return {"rates": rates, "rows": seen, "horizon": trial.horizon, "weights": weights}


# What each knob is set to, what has to be set beside it, and what of a trial it has to change.
CHANGES = {
    "learning_rate": (3e-3, {}, {"rates", "weights"}),
    "batch_size": (8, {}, {"rows", "rates", "weights"}),
    "epochs": (4, {}, {"horizon", "rates", "weights"}),
    "adapter": ("lora", {}, {"weights"}),
    "freeze_depth": (2, {}, {"weights"}),
    "lora_rank": (2, {"adapter": "lora"}, {"weights"}),
    "lora_alpha": (64, {"adapter": "lora"}, {"weights"}),
    "lora_dropout": (0.5, {"adapter": "lora"}, {"weights"}),
    "optimizer": ("sgd", {}, {"weights"}),
    "momentum": (0.1, {"optimizer": "sgd"}, {"weights"}),
    "weight_decay": (0.9, {}, {"weights"}),
    "l1": (0.1, {}, {"weights"}),
    "warmup": (0.5, {}, {"rates", "weights"}),
    "schedule": ("cosine", {}, {"rates", "weights"}),
    "cooldown": (0.9, {"schedule": "wsd"}, {"rates", "weights"}),
    "layer_decay": (0.5, {}, {"rates", "weights"}),
    "max_grad_norm": (1e-3, {"optimizer": "sgd"}, {"weights"}),
    "max_length": (6, {}, {"rows", "weights"}),
    "dropout": (0.5, {}, {"weights"}),
    "micro_batch_size": (4, {"optimizer": "sgd"}, {"rows"}),  # the weights differ by rounding
    "loss": ("focal", {}, {"weights"}),
    "focal_gamma": (5.0, {"loss": "focal"}, {"weights"}),
    "label_smoothing": (0.3, {}, {"weights"}),
    "augmentation": ("delete", {}, {"rows", "weights"}),
    "augmentation_rate": (0.5, {"augmentation": "mask"}, {"weights"}),
}
# Those that only other models or tasks have; they are tried out below, each by itself.
ELSEWHERE = {"pooling", "huber_delta"}


def test_no_knob_is_forgotten():
    assert set(CHANGES) | ELSEWHERE == set(KNOBS)
    assert set(TrialConfig.__dataclass_fields__) - {"model", "seed"} == set(KNOBS)


@pytest.mark.parametrize("knob", CHANGES)
def test_a_knob_changes_what_it_should(tiny_job, tiny_bert, knob):
    value, beside, changed = CHANGES[knob]
    job = replace(tiny_job, meta={**tiny_job.meta, "counts": [60, 60]})
    without = traces(job, config_of(tiny_bert, **beside))
    same = traces(job, config_of(tiny_bert, **beside))
    turned = traces(job, config_of(tiny_bert, **beside, **{knob: value} if knob not in beside else {}))
    for kind in ("rates", "rows", "horizon"):
        assert without[kind] == same[kind]
        assert (without[kind] != turned[kind]) == (kind in changed), kind
    assert all(torch.equal(without["weights"][name], same["weights"][name]) for name in without["weights"])
    differ = {name: tensor.shape for name, tensor in turned["weights"].items()} != {
        name: tensor.shape for name, tensor in without["weights"].items()
    } or any((turned["weights"][name] - tensor).abs().max() > 1e-5 for name, tensor in without["weights"].items())
    assert differ == ("weights" in changed)


# Records


@pytest.mark.parametrize("knob", CONDITIONS)
def test_configurations_that_differ_in_an_idle_knob_only_are_the_same(knob):
    parent, values = CONDITIONS[knob]
    other = next(v for v in (*KNOBS[parent].choices, None) if v not in values)
    value = CHANGES.get(knob, (2.5,))[0]
    one, two = config_of("m", **{parent: other, knob: value}), config_of("m", **{parent: other})
    assert one == two and hash(one) == hash(two)
    assert knob not in one.as_dict()
    assert TrialConfig(**one.as_dict()) == one
    active = config_of("m", **{parent: values[0], knob: value})
    assert active.as_dict()[knob] == value
    assert active != config_of("m", **{parent: values[0]})


def test_a_micro_batch_that_holds_the_whole_batch_is_none():
    assert config_of("m", micro_batch_size=16) == config_of("m") != config_of("m", micro_batch_size=8)


def test_what_is_unusual_of_a_configuration():
    assert config_of("m", dropout=None, max_length=128).unusual() == {}
    assert config_of("m", max_length=128, freeze_depth=3, optimizer="sgd", momentum=0.5).unusual() == {
        "dropout": 0.0, "optimizer": "sgd", "momentum": 0.5,
    }  # fmt: skip


# Optimisers and schedules


def by_hand(job, config, make, steps):
    """The weights that torch's own optimiser gives on the same batches, with the rates of the same schedule."""
    trial = FineTune(job, config)
    rate = trial._scheduler.lr_lambdas[0]
    model, rows = trial._model, trial._train
    decayed = optim.decaying(model)
    groups = [
        {"params": [p for n, p in model.named_parameters() if (n in decayed) == decays], "weight_decay": weight}
        for decays, weight in ((True, config.weight_decay), (False, 0.0))
    ]
    optimizer = make(groups)
    from autoft.training.batching import bucketed_batches

    batches = bucketed_batches(rows.lengths, config.batch_size, config.seed, 0)
    for step, batch in enumerate(batches[:steps]):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate(step)
        inputs = collate([rows.examples[i] for i in batch], trial._tokenizer)
        logits = model(**{key: value for key, value in inputs.items() if key != "labels"}).logits
        functional.cross_entropy(logits, inputs["labels"]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return {name: tensor.detach() for name, tensor in model.named_parameters()}


OPTIMIZERS = {
    "sgd": ({"momentum": 0.7}, lambda groups: torch.optim.SGD(groups, momentum=0.7)),
    "adam": ({}, lambda groups: torch.optim.Adam(groups)),
    "adamw": ({}, lambda groups: torch.optim.AdamW(groups)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_is_torchs_own(tiny_job, tiny_bert, name):
    knobs, make = OPTIMIZERS[name]
    config = config_of(tiny_bert, optimizer=name, weight_decay=0.2, max_grad_norm=0.0, warmup=0.3, **knobs)
    wanted = by_hand(tiny_job, config, make, 5)
    found = trained(after(tiny_job, config, 5))
    for parameter, tensor in wanted.items():
        if (
            "key.bias" in parameter
        ):  # attention doesn't depend on it: Adam blows up what rounding leaves of its gradient
            continue
        torch.testing.assert_close(found[parameter], tensor, rtol=0, atol=2e-6, msg=parameter)


def test_adafactor_keeps_one_number_for_each_row_and_column(tiny_job, tiny_bert):
    trial = after(tiny_job, config_of(tiny_bert, optimizer="adafactor"), 3)
    state = optim.optimizer_tensors(trial._plain_optimizer)
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    assert state[f"{name}.exp_avg_sq_row"].shape == (64,)
    assert state[f"{name}.exp_avg_sq_col"].shape == (32,)
    assert f"{name}.exp_avg_sq" not in state


@pytest.mark.parametrize("knobs", [{}, {"layer_decay": 0.8}, {"l1": 0.1}], ids=str)
@pytest.mark.parametrize("name", ["adam", "sgd", "adafactor"])
def test_a_paused_trial_goes_on_bit_for_bit(tiny_job, tiny_bert, tmp_path, name, knobs):
    config = config_of(tiny_bert, optimizer=name, epochs=1, dropout=0.2, schedule="wsd", **knobs)
    whole = after(tiny_job, config, 99)
    trial = FineTune(tiny_job, config)
    while not trial.ended:
        trial.advance(0.0)
        trial.save(tmp_path)
        trial = FineTune(tiny_job, config)
        assert trial.restore(tmp_path)
    assert whole._best.keys() == trial._best.keys()
    assert all(torch.equal(tensor, trial._best[key]) for key, tensor in whole._best.items())
    assert [(r.value, r.train_loss) for r in whole.reports] == [(r.value, r.train_loss) for r in trial.reports]


def test_sgd_without_momentum_has_nothing_to_remember_and_goes_on(tiny_job, tiny_bert, tmp_path):
    config = config_of(tiny_bert, optimizer="sgd", momentum=0.0)
    trial = after(tiny_job, config, 2)
    trial.save(tmp_path)
    again = FineTune(tiny_job, config)
    assert again.restore(tmp_path)
    assert again._steps == 2


def rates_of(tiny_job, tiny_bert, **knobs):
    trial = FineTune(tiny_job, config_of(tiny_bert, batch_size=12, epochs=2, **knobs))  # 20 steps
    return [trial._scheduler.lr_lambdas[0](step) for step in range(20)]


def test_wsd_rises_stays_and_falls(tiny_job, tiny_bert):
    rates = rates_of(tiny_job, tiny_bert, schedule="wsd", warmup=0.2, cooldown=0.25)
    assert rates[:5] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert rates[4:16] == [1.0] * 12
    assert rates[15:] == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])


def test_a_cool_down_ends_where_the_warm_up_does_at_the_latest(tiny_job, tiny_bert):
    rates = rates_of(tiny_job, tiny_bert, schedule="wsd", warmup=0.5, cooldown=1.0)
    assert rates[10] == 1.0 == max(rates)
    assert rates[10:] == pytest.approx([1 - i / 10 for i in range(10)])


def test_layer_wise_decay_gives_every_block_its_rate(tiny_job, tiny_bert):
    config = config_of(tiny_bert, layer_decay=0.5, warmup=0.0, schedule="constant")
    trial = FineTune(tiny_job, config)
    found = {name: group["lr"] for group in trial._plain_optimizer.param_groups for name in group["param_names"]}
    names = dict(trial._model.named_parameters())
    assert set(found) == set(names)
    for name, rate in found.items():
        if "encoder.layer." in name:
            distance = 4 - int(name.split("encoder.layer.")[1].split(".")[0])
        else:
            distance = 5 if "embeddings" in name else 0
        assert rate == pytest.approx(1e-3 * 0.5**distance), name
    decays = {n for g in trial._plain_optimizer.param_groups if g["weight_decay"] for n in g["param_names"]}
    assert decays == optim.decaying(trial._model)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("deberta-v2", {"rel_embeddings", "embeddings", "LayerNorm"}, {"classifier", "pooler"}),
        ("mpnet", {"relative_attention_bias", "embeddings"}, {"classifier"}),
        ("electra", {"embeddings_project", "embeddings"}, {"classifier"}),
        ("modernbert", {"embeddings"}, {"final_norm", "head", "classifier"}),
        ("gpt2", {"wte", "wpe"}, {"ln_f", "score"}),
    ],
)
def test_what_lies_before_and_behind_the_blocks_is_found_from_the_model(tiny_job, tiny_models, name, first, last):
    path = str(tiny_models[name])
    model = tasks.get("text-classification").build(path, tiny_job.meta, config_of(path))
    model.config.pad_token_id = 0
    train, _ = dataset.encoded(tiny_job.task, tiny_job.meta, path, tiny_job.data, 64)
    found = distances(model, collate(train.examples[:2], dataset.tokenizer(path)), 3)
    for parameter_name, parameter in model.named_parameters():
        parts = set(parameter_name.split("."))
        if parts & first and not parts & {"layer", "layers", "h"}:
            assert found[parameter] == 4, parameter_name
        elif parts & last and not parts & {"layer", "layers", "h"}:
            assert found[parameter] == 0, parameter_name
        else:
            assert 1 <= found[parameter] <= 3, parameter_name


def test_the_l1_penalty_is_the_sign_of_the_weights_and_spares_biases_and_norms(tiny_job, tiny_bert):
    trial = FineTune(tiny_job, config_of(tiny_bert, l1=0.25, freeze_depth=2))
    names = {id(p): n for n, p in trial._model.named_parameters()}
    penalised = {names[id(p)] for p in trial._penalised}
    assert penalised == {n for n in optim.decaying(trial._model) if n not in trial.frozen}
    assert not [name for name in penalised if "bias" in name or "LayerNorm" in name]
    weight = trial._penalised[0]
    weight.grad = torch.ones_like(weight)
    optim.add_l1([weight], 0.25)
    # That of 0.25 * sum |w|, which autograd knows too.
    free = weight.detach().clone().requires_grad_()
    (0.25 * free.abs().sum()).backward()
    torch.testing.assert_close(weight.grad, 1 + free.grad)


# Accumulation


def test_micro_batches_are_the_batch_and_their_weights_one():
    rows = np.array([7, 3, 9, 1, 4])
    parts = micro_batches(rows, 2, [1] * 10)
    assert [part.tolist() for part, _ in parts] == [[7, 3], [9, 1], [4]]
    assert [weight for _, weight in parts] == [0.4, 0.4, 0.2]
    assert micro_batches(rows, None, [1] * 10) == [(rows, 1.0)]
    by_token = micro_batches(rows, 2, [0, 0, 0, 1, 0, 0, 0, 2, 0, 3])  # the last row has no target
    assert [(part.tolist(), weight) for part, weight in by_token] == [([7, 3], 0.5), ([9, 1], 0.5)]


@pytest.mark.parametrize("knobs", [{}, {"loss": "weighted"}, {"loss": "focal"}, {"label_smoothing": 0.2}], ids=str)
@pytest.mark.parametrize("size", [1, 3, 8])
def test_accumulated_gradients_are_those_of_the_batch(tiny_job, tiny_bert, size, knobs):
    job = replace(tiny_job, meta={**tiny_job.meta, "counts": [90, 30]})
    found = []
    for micro in (None, size):
        trial = FineTune(job, config_of(tiny_bert, batch_size=24, max_grad_norm=0.0, micro_batch_size=micro, **knobs))
        gradients = {}
        trial._optimizer.zero_grad = lambda gradients=gradients, trial=trial: gradients.update(
            {name: parameter.grad.clone() for name, parameter in trial._model.named_parameters()}
        )
        trial.advance(0.0)
        found.append((gradients, trial._loss / trial._loss_rows, trial.samples))
    (whole, loss, samples), (parts, same_loss, same_samples) = found
    assert whole.keys() == parts.keys() and whole
    assert all((whole[name] - parts[name]).abs().max() < 1e-6 for name in whole)
    assert loss == pytest.approx(same_loss, abs=1e-6)
    assert samples == same_samples == 24  # what counts are the samples of the whole batch


def test_labels_by_token_are_weighed_by_those_that_count():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 6, 5, generator=generator)
    labels = torch.randint(5, (4, 6), generator=generator)
    labels[0, 1:] = labels[2, 3:] = -100
    config = config_of("m")
    weights = [losses.targets({"labels": row.tolist()}) for row in labels]
    assert weights == [1, 6, 3, 6]
    parts = micro_batches(np.arange(4), 1, weights)
    total = sum(losses.of_classes(logits[rows], labels[rows], config) * weight for rows, weight in parts)
    assert total.item() == pytest.approx(losses.of_classes(logits, labels, config).item(), abs=1e-6)
    assert losses.targets({"labels": 3}) == losses.targets({"labels": [0.0, 1.0]}) == losses.targets({}) == 1
