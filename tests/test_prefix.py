"""A model that runs from the middle gives what the whole one gives, whatever its kind; or it is noticed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_finetune import config_of, run
from tiny import configs, more_configs, save_model
from transformers import AutoModelForSequenceClassification

from autoft.records import TrialConfig
from autoft.tasks.base import completed
from autoft.tasks.text_classification import TextClassification
from autoft.training import frozen
from autoft.training.agreement import difference
from autoft.training.finetune import FineTune
from autoft.training.freezing import block_list, freeze, set_train_mode
from autoft.training.prefix import Split, Unsplittable

META = {"labels": ["negative", "positive"]}
LENGTHS = torch.tensor([4, 12, 9])
KINDS = list(configs() | more_configs())
BLOCKS = {name: 1 if name == "albert" else 3 for name in KINDS}
CASES = [(name, depth) for name, blocks in BLOCKS.items() for depth in range(1, blocks + 1)]
# Where each kind of model looks for its answer when only its head is trained; None: at more than one token.
TOKEN = dict.fromkeys(BLOCKS, 0) | {"gpt2": -1, "llama": -1, "t5": None, "bart": None}


def a_batch():
    """Three texts that end with [SEP], as the models with an end-of-text token want them; two are padded."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(5, 200, (3, 12), generator=generator)
    mask = (torch.arange(12) < LENGTHS[:, None]).long()
    ids[torch.arange(3), LENGTHS - 1] = 3
    return {"input_ids": ids * mask, "attention_mask": mask, "labels": torch.tensor([0, 1, 1])}


def build(name, depth, dropout=0.1):
    torch.manual_seed(0)
    config = (configs(dropout) | more_configs(dropout))[name]
    config.num_labels = 2
    model = AutoModelForSequenceClassification.from_config(config)
    freeze(model, depth, a_batch(), BLOCKS[name])
    set_train_mode(model)
    return model, Split(model, depth, BLOCKS[name], a_batch())


def repadded(states, row_ends=LENGTHS):
    """Hidden states as they come out of the cache: what stood at the padding is lost."""
    at = torch.arange(states.shape[1]).clamp(max=(row_ends - 1)[:, None])
    return states[torch.arange(len(row_ends))[:, None], at]


def compare(split, model, hidden, part=None, task=None):
    config = TrialConfig("any", 1e-3, 3, 1, 1)
    return difference(
        split, task or TextClassification(), model, META, config, whole=a_batch(), part=part or a_batch(), hidden=hidden
    )


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_every_kind_of_model_is_split_at_every_depth(name, depth):
    model, split = build(name, depth)
    states = split.prefix(a_batch())
    assert states.shape[:2] == (3, 12)
    assert compare(split, model, repadded(states)) == ""
    # The comparison would have noticed: with the states of other texts in their place the outcome is another one.
    assert compare(split, model, repadded(states).flip(0)).startswith("scores: ")


@pytest.mark.parametrize("name", BLOCKS)
def test_one_token_is_enough_where_only_the_head_is_trained_and_it_looks_at_one(name):
    model, split = build(name, BLOCKS[name])
    states = split.prefix(a_batch())
    fits = []
    for token in (0, -1):
        at = (torch.arange(3), torch.zeros(3, dtype=torch.int64) if token == 0 else LENGTHS - 1)
        part = {key: tensor[at][:, None] if tensor.dim() == 2 else tensor for key, tensor in a_batch().items()}
        if not compare(split, model, states[at][:, None], part):
            fits.append(token)
    assert fits == ([] if TOKEN[name] is None else [TOKEN[name]])


@pytest.mark.parametrize("name", BLOCKS)
def test_the_frozen_blocks_do_not_run_behind_the_border(name):
    depth = BLOCKS[name]
    model, split = build(name, depth)
    hidden = split.prefix(a_batch())
    ran = []
    for i, block in enumerate(block_list(model, BLOCKS[name])):
        for module in block.modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_hook(lambda *_, i=i: ran.append(i))
    with split.running(hidden), torch.no_grad():
        model(**{key: tensor for key, tensor in a_batch().items() if key != "labels"})
    # T5's first block makes the position bias of all others, so it does run.
    assert set(ran) == ({0} if name == "t5" else set())


@pytest.mark.parametrize("name", ["bert", "albert", "deberta-v2", "t5", "bart"])
def test_a_prefix_goes_on_from_a_lower_depth_bit_for_bit(name):
    depth = BLOCKS[name]
    model, split = build(name, depth)
    whole = split.prefix(a_batch())
    real = a_batch()["attention_mask"].bool()
    for lower in range(1, depth):
        start = Split(model, lower, depth, a_batch())
        again = split.prefix(a_batch(), start, repadded(start.prefix(a_batch())))
        assert torch.equal(again[real], whole[real])


@pytest.mark.parametrize("name", ["bert", "t5", "bart", "gpt2"])
def test_the_frozen_part_has_no_dropout_even_where_its_dropout_is_the_trained_parts_too(name):
    model, split = build(name, 2, dropout=0.5)
    inputs = {key: tensor for key, tensor in a_batch().items() if key != "labels"}
    seen = []
    block_list(model, 3)[2].register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    with split.running(None):
        set_train_mode(model)
        first, second = model(**inputs).logits, model(**inputs).logits
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(first, second)  # the trained part has its dropout
    real = inputs["attention_mask"].bool()
    assert torch.equal(split.prefix(a_batch())[real], seen[0][real])


def test_afterwards_the_model_is_as_it_was():
    model, split = build("t5", 2)
    modes = [module.training for module in model.modules()]
    names = list(model.state_dict())
    hidden = split.prefix(a_batch())
    set_train_mode(model)
    with split.running(hidden):
        model(**{key: tensor for key, tensor in a_batch().items() if key != "labels"})
    with pytest.raises(AttributeError), split.running(hidden):
        model(input_ids="no tensor")
    assert modes == [module.training for module in model.modules()]
    assert names == list(model.state_dict())
    assert not any("forward" in vars(module) for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class LooksBelow(torch.nn.Module):
    """A model whose head reads what the first block gave, which is lost behind the border."""

    def __init__(self, model):
        super().__init__()
        self.inner, self.config, self.base_model = model, model.config, model.base_model

    def forward(self, **inputs):
        output = self.inner(**inputs, output_hidden_states=True)
        output.logits = output.logits + output.hidden_states[1][:, 0, :2]
        return output


def test_a_model_that_reads_below_the_border_is_found_out():
    inner, _ = build("bert", 2)
    model = LooksBelow(inner)
    split = Split(model, 2, 3, a_batch())
    assert compare(split, model, repadded(split.prefix(a_batch()))).startswith("scores: ")


class WrongGradient(TextClassification):
    """Its scores and its loss agree; only the way back doesn't."""

    def loss(self, model, batch, meta, config):
        loss = super().loss(model, batch, meta, config)
        runs_whole = "forward" not in vars(model.bert.encoder.layer[0])
        return loss if runs_whole else loss * 2 - loss.detach()


def test_a_gradient_that_differs_is_found_out():
    model, split = build("bert", 2)
    hidden = repadded(split.prefix(a_batch()))
    assert compare(split, model, hidden, task=WrongGradient()).startswith("gradient of bert.encoder.layer.2.")


class Failing(TextClassification):
    """Can't deal with one token."""

    def scores(self, model, batch, meta):
        if batch["input_ids"].shape[1] == 1:
            raise RuntimeError("too short\nand more")
        return super().scores(model, batch, meta)


def test_a_task_that_fails_on_the_suffix_is_found_out_and_draws_no_random_numbers():
    model, split = build("bert", 3)
    hidden = split.prefix(a_batch())[:, :1]
    part = {key: tensor[:, :1] if tensor.dim() == 2 else tensor for key, tensor in a_batch().items()}
    before = torch.get_rng_state()
    assert compare(split, model, hidden, part, Failing()) == "RuntimeError: too short"
    assert torch.equal(before, torch.get_rng_state())


def test_scores_that_are_no_numbers_never_agree():
    model, split = build("bert", 2)
    hidden = torch.full_like(split.prefix(a_batch()), math.nan)
    assert compare(split, model, hidden) == "scores: nan apart"


class Wrapped(torch.nn.Module):
    """A block that returns its hidden states in a dictionary."""

    def __init__(self, block):
        super().__init__()
        self.block = block

    def forward(self, *args, **kwargs):
        return {"states": self.block(*args, **kwargs)}


def test_blocks_that_return_something_else_can_not_be_split():
    model, _ = build("bert", 1)
    layers = model.bert.encoder.layer
    for i in range(3):
        layers[i] = Wrapped(layers[i])

    def forward(hidden_states, attention_mask=None, **kwargs):
        from transformers.modeling_outputs import BaseModelOutput

        for layer in layers:
            hidden_states = layer(hidden_states, attention_mask)["states"]
        return BaseModelOutput(last_hidden_state=hidden_states)

    model.bert.encoder.forward = forward
    with pytest.raises(Unsplittable, match="its blocks return dict"):
        Split(model, 1, 3, a_batch())


class Fickle(TextClassification):
    """A user's task that feeds the model with something else than the batch it was given."""

    name = "fickle"

    def scores(self, model, batch, meta):
        return super().scores(model, {key: tensor.flip(0) for key, tensor in batch.items()}, meta)[::-1].copy()


@pytest.mark.parametrize("name", BLOCKS)
def test_a_fine_tune_of_every_kind_is_cached_and_gives_the_same(tiny_job, tiny_models, tmp_path, name):
    path = tiny_models.get(name) or save_model(tmp_path / name, more_configs()[name])
    for depth in {1, BLOCKS[name]}:
        config = config_of(path, freeze_depth=depth, epochs=1, dropout=0.1)
        cached = FineTune(replace(tiny_job, cache=str(tmp_path / "cache")), config)
        plain = FineTune(tiny_job, config)
        assert (cached.uncached, plain.uncached) == ("", "the cache is off")
        for one, other in zip(run(cached), run(plain), strict=True):
            assert one.metrics == pytest.approx(other.metrics, abs=1e-4)
            assert one.train_loss == pytest.approx(other.train_loss, abs=1e-4)


def test_what_was_found_good_is_not_tried_again_by_another_worker(tiny_job, tiny_bert, tmp_path, monkeypatch):
    job, config = replace(tiny_job, cache=str(tmp_path)), config_of(tiny_bert, freeze_depth=1)
    monkeypatch.setattr(frozen, "_tried", {})
    assert not FineTune(job, config).uncached
    monkeypatch.setattr(frozen, "_tried", {})  # as in another process
    monkeypatch.setattr(frozen, "difference", lambda *args, **kwargs: "it was tried again")
    assert not FineTune(job, config).uncached
    assert "tried again" in FineTune(job, replace(config, freeze_depth=2)).uncached


class Own(TextClassification):
    """A task of a user's."""


class Bare:
    """One that derives from none, and gets the defaults of what it leaves out."""

    name = "bare"

    def __getattr__(self, name):
        if name.startswith("_") or name == "collate":
            raise AttributeError(name)
        return getattr(TextClassification(), name)


def changed():
    task = TextClassification()
    task.loss = TextClassification().loss
    return task


@pytest.mark.parametrize(
    "kept",
    ["true", "5", "-1", "0", "[" * 100_000, "\xff", ""],
    ids=["true", "5", "last", "first", "deep", "odd", "empty"],
)
def test_a_note_that_can_not_be_right_is_none(tiny_job, tiny_bert, tmp_path, monkeypatch, kept):
    job, config = replace(tiny_job, cache=str(tmp_path)), config_of(tiny_bert, freeze_depth=1)
    monkeypatch.setattr(frozen, "_tried", {})
    FineTune(job, config)
    (note,) = tmp_path.glob("*.good")
    note.write_text(kept, encoding="latin-1")
    monkeypatch.setattr(frozen, "_tried", {})
    assert not FineTune(job, config).uncached
    assert note.read_text(encoding="ascii") == "null"


@pytest.mark.parametrize("task", [Own(), Bare(), changed()], ids=["derived", "bare", "changed"])
def test_a_users_task_is_tried_in_every_process(tiny_job, tiny_bert, tmp_path, monkeypatch, task):
    job = replace(tiny_job, task=completed(task), cache=str(tmp_path))
    config = config_of(tiny_bert, freeze_depth=1)
    monkeypatch.setattr(frozen, "_tried", {})
    assert not FineTune(job, config).uncached
    monkeypatch.setattr(frozen, "_tried", {})
    monkeypatch.setattr(frozen, "difference", lambda *args, **kwargs: "it was tried again")
    assert "tried again" in FineTune(job, config).uncached


def test_a_task_that_reorders_its_batch_trains_uncached_and_says_why(tiny_job, tiny_bert, tmp_path):
    job = replace(tiny_job, task=Fickle(), cache=str(tmp_path))
    trial = FineTune(job, config_of(tiny_bert, freeze_depth=2, epochs=1))
    assert trial.uncached.startswith("the trained part alone gives something else than the whole model (scores: "), (
        trial.uncached
    )
    assert np.isfinite([report.value for report in run(trial)]).all()
    assert not any(tmp_path.iterdir())
