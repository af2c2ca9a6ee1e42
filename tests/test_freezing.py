"""Freezing hits exactly the right parameters, in every kind of model."""

import re

import pytest
import torch
from tiny import configs
from transformers import AutoModelForSequenceClassification, BigBirdConfig

from autoft.errors import ModelError
from autoft.training.freezing import freeze, set_train_mode

BLOCKS = {name: 1 if name == "albert" else 3 for name in configs()}
CASES = [(name, depth) for name, blocks in BLOCKS.items() for depth in range(blocks + 1)]

# Where each architecture keeps what has to be frozen: written by hand from its source, so that the rule under
# test, which knows none of these names, is held against something else. First what goes with any depth, then a block,
# then what only `all` freezes.
EXPECTED = {
    "bert": (r"bert\.embeddings\.", r"bert\.encoder\.layer\.(\d+)\."),
    "roberta": (r"roberta\.embeddings\.", r"roberta\.encoder\.layer\.(\d+)\."),
    "distilbert": (r"distilbert\.embeddings\.", r"distilbert\.transformer\.layer\.(\d+)\."),
    "electra": (r"electra\.embeddings(_project)?\.", r"electra\.encoder\.layer\.(\d+)\."),
    "albert": (
        r"albert\.(embeddings|encoder\.embedding_hidden_mapping_in)\.",
        r"albert\.encoder\.albert_layer_groups\.(\d+)\.",
    ),
    "mpnet": (r"mpnet\.(embeddings|encoder\.relative_attention_bias)\.", r"mpnet\.encoder\.layer\.(\d+)\."),
    "deberta-v2": (
        r"deberta\.(embeddings|encoder\.rel_embeddings|encoder\.LayerNorm)\.",
        r"deberta\.encoder\.layer\.(\d+)\.",
    ),
    "modernbert": (r"model\.embeddings\.", r"model\.layers\.(\d+)\."),
    "gpt2": (r"transformer\.(wte|wpe)\.", r"transformer\.h\.(\d+)\."),
}


def build(name, dropout=0.1):
    torch.manual_seed(0)
    config = configs(dropout)[name]
    config.num_labels = 2
    return AutoModelForSequenceClassification.from_config(config)


def a_batch():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, 200, (4, 12), generator=generator)
    mask = torch.ones_like(ids)
    ids[0, 9:] = 0
    mask[0, 9:] = 0
    return {"input_ids": ids, "attention_mask": mask}


def expected(name, depth, model):
    always, block = EXPECTED[name]

    def frozen(key):
        match = re.match(block, key)
        return bool(re.match(always, key)) or (match is not None and int(match[1]) < depth)

    return [key for key, _ in model.named_parameters() if depth and frozen(key)]


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_embeddings_and_first_blocks_are_frozen_and_nothing_else(name, depth):
    model = build(name)
    assert freeze(model, depth, a_batch(), BLOCKS[name]) == expected(name, depth, model)
    assert [k for k, p in model.named_parameters() if not p.requires_grad] == expected(name, depth, model)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize(("name", "depth"), CASES)
def test_after_some_steps_frozen_parameters_are_bit_identical_and_all_others_have_moved(name, depth):
    model = build(name)
    frozen = set(freeze(model, depth, a_batch(), BLOCKS[name]))
    before = {key: parameter.clone() for key, parameter in model.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01, weight_decay=0.0)
    set_train_mode(model)
    for _ in range(3):
        logits = model(**a_batch()).logits
        torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 1, 0])).backward()
        optimizer.step()
    for key, parameter in model.named_parameters():
        if key in frozen:
            assert parameter.grad is None, key
            assert torch.equal(parameter, before[key]), key
        else:
            assert parameter.grad is not None, key
            # A bias that is added to all keys alike cancels in the softmax: its gradient is rounding, or zero.
            assert not torch.equal(parameter, before[key]) or "key" in key, key


@pytest.mark.parametrize(("name", "depth"), [case for case in CASES if case[1]])
def test_the_frozen_part_gives_the_same_with_every_call_and_dropout_stays_on_behind_it(name, depth):
    model = build(name, dropout=0.5)
    blocks = BLOCKS[name]
    freeze(model, depth, a_batch(), blocks)
    set_train_mode(model)
    stack = next(m for m in model.base_model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == blocks)
    seen = []
    # The first module behind the border, or the last one before it where nothing but the head is trained.
    border = stack[depth] if depth < blocks else stack[-1]
    if depth < blocks:
        border.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    else:
        border.register_forward_hook(
            lambda module, args, out: seen.append((out if torch.is_tensor(out) else out[0]).detach())
        )
    first, second = (model(**a_batch()).logits for _ in range(2))
    calls = len(seen) // 2
    assert all(torch.equal(a, b) for a, b in zip(seen[:calls], seen[calls:], strict=True))
    if name != "gpt2" or depth < blocks:  # GPT-2's head has no dropout
        assert not torch.equal(first, second)


def test_freezing_draws_no_random_numbers_and_keeps_the_mode():
    model = build("bert").train()
    state = torch.get_rng_state()
    freeze(model, 1, a_batch(), 3)
    assert torch.equal(state, torch.get_rng_state())
    assert model.training


@pytest.mark.parametrize(("name", "depth"), [("albert", 1), ("bert", 2), ("bert", 3), ("deberta-v2", 1)])
def test_a_model_that_is_built_alike_is_frozen_alike_without_being_run(name, depth, monkeypatch):
    batch, first = a_batch(), build(name)
    names = freeze(first, depth, batch, BLOCKS[name])
    again = build(name)
    monkeypatch.setattr(type(again), "forward", None)
    assert freeze(again, depth, batch, BLOCKS[name]) == names
    frozen = [[hasattr(module, "_autoft_frozen") for module in model.modules()] for model in (first, again)]
    assert frozen[0] == frozen[1]


def test_a_model_with_code_of_its_own_is_run_however_alike_it_looks():
    freeze(build("bert"), 1, a_batch(), 3)
    changed = build("bert")
    whole, calls = changed.bert.embeddings.forward, []
    changed.bert.embeddings.forward = lambda *args, **kwargs: (calls.append(1), whole(*args, **kwargs))[1]
    freeze(changed, 1, a_batch(), 3)
    assert calls


def test_a_model_that_becomes_another_when_it_is_run_is_run_every_time():
    config = BigBirdConfig(
        vocab_size=200, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, num_labels=2, attention_type="block_sparse",
    )  # fmt: skip
    for _ in range(3):  # with texts as short as these its attention is another one
        model = AutoModelForSequenceClassification.from_config(config)
        freeze(model, 2, a_batch(), 3)
        assert model.bert.encoder.attention_type == "original_full"


@pytest.mark.parametrize("depth", [-1, 4])
def test_a_depth_that_the_model_does_not_have_is_refused(depth):
    with pytest.raises(ModelError, match=f"BertForSequenceClassification has 3 blocks, so {depth} of them can't be"):
        freeze(build("bert"), depth, a_batch(), 3)


def test_a_model_without_such_a_list_of_blocks_is_refused():
    with pytest.raises(ModelError, match="no plain list of 5 blocks; set freeze_depth to 0"):
        freeze(build("bert"), 2, a_batch(), 5)


def test_blocks_that_run_in_another_order_are_refused():
    model = build("bert")
    encoder = model.bert.encoder
    straight = encoder.forward

    def backwards(*args, **kwargs):
        order = encoder.layer
        encoder.layer = torch.nn.ModuleList(reversed(order))
        try:
            return straight(*args, **kwargs)
        finally:
            encoder.layer = order

    encoder.forward = backwards
    with pytest.raises(ModelError, match="don't run one after another"):
        freeze(model, 1, a_batch(), 3)
