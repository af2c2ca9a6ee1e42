"""Freezing the first blocks of a model, decided from the model itself and not from a list of architectures.

What has to be frozen with the blocks differs: MPNet computes a position bias beside them, ELECTRA projects
its embeddings, DeBERTa reads a table of relative positions without ever calling it as a module. So a
small batch is run, and two questions are put to it: which modules were done before the first trained block
began, and from which parameters was the input of that block computed? The second answer is in autograd's graph.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from autoft.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_FROZEN = "_autoft_frozen"
_KNOWN = {"torch", "transformers", "autoft"}  # whose modules are the same where the config is
# What was found at a border, by name: parameters and modules. A worker trains many trials of the same few models.
_borders: dict[Hashable, tuple[list[str], list[str]]] = {}


def freeze(model: PreTrainedModel, depth: int, batch: Mapping[str, torch.Tensor], blocks: int) -> list[str]:
    """Freezes the embeddings and the first `depth` blocks, with all that works for them.

    Args:
        model: Is changed: `requires_grad`, and marks that `set_train_mode` reads.
        depth: Number of blocks to freeze. 0 freezes nothing; `blocks` freezes all up to the end of the last one,
            and leaves the final norm, the pooler and the head to train.
        batch: A real batch on the model's device, shape (batch, tokens) each; two rows are enough.
        blocks: Number of blocks that the model has.

    Returns:
        Names of the frozen parameters, in the model's order.

    Raises:
        ModelError: The model has no such depth, or its blocks don't run one after another.
    """
    if depth == 0:
        return []
    name = type(model).__name__
    if not 0 < depth <= blocks:
        raise ModelError(f"freeze_depth: {name} has {blocks} blocks, so {depth} of them can't be frozen")
    stack = block_list(model, blocks)
    prefix, done = _border(model, stack, depth, batch)
    prefix.update(parameter for block in stack[:depth] for parameter in block.parameters())
    prefix.update(parameter for module in done for parameter in module.parameters())
    if any(parameter in prefix for block in stack[depth:] for parameter in block.parameters()):
        raise ModelError(
            f"freeze_depth: the blocks of {name} don't run one after another, "
            f"so the first {depth} can't be frozen; set freeze_depth to 0 for this model"
        )
    if all(parameter in prefix for parameter in model.parameters()):
        raise ModelError(f"freeze_depth: with {depth} frozen blocks nothing is left of {name} to train")
    for parameter in prefix:
        parameter.requires_grad_(False)
    for module in done:
        setattr(module, _FROZEN, True)
    return [key for key, parameter in model.named_parameters() if not parameter.requires_grad]


def distances(model: PreTrainedModel, batch: Mapping[str, torch.Tensor], blocks: int) -> dict[nn.Parameter, int]:
    """How many blocks each parameter is away from the head.

    Args:
        model: As it is trained.
        batch: A real batch on the model's device, shape (batch, tokens) each.
        blocks: Number of blocks that the model has.

    Returns:
        0 for the head and all that follows the blocks, a decoder among it; 1 for the last block, `blocks` for the
        first, and one more for what the first block's input was computed from.

    Raises:
        ModelError: The model has no plain list of blocks.
    """
    stack = block_list(model, blocks)
    before, _ = _border(model, stack, 0, batch)
    found = {parameter: blocks + 1 if parameter in before else 0 for parameter in model.parameters()}
    for i, block in enumerate(stack):
        found |= dict.fromkeys(block.parameters(), blocks - i)
    return found


def set_train_mode(model: PreTrainedModel) -> None:
    """Training mode, but for the frozen modules: without dropout, their output never changes."""
    model.train()
    for module in model.modules():
        if getattr(module, _FROZEN, False):
            module.eval()


def probe(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What of a batch a forward pass needs: not the labels, but where a model writes what its decoder makes of them."""
    inputs = {key: tensor for key, tensor in batch.items() if key != "labels"}
    known: Any = model
    if hasattr(known, "prepare_decoder_input_ids_from_labels") and "labels" in batch and batch["labels"].dim() == 2:
        inputs["decoder_input_ids"] = known.prepare_decoder_input_ids_from_labels(labels=batch["labels"])
    return inputs


def block_list(model: PreTrainedModel, blocks: int) -> list[nn.Module]:
    """The model's blocks, in the order in which they run.

    Raises:
        ModelError: There is no list of that many modules of one class.
    """
    found = [
        module
        for module in model.base_model.modules()  # outer ones come first: ALBERT has a list within its blocks
        if isinstance(module, nn.ModuleList) and len(module) == blocks and len({type(block) for block in module}) == 1
    ]
    if not found:
        raise ModelError(
            f"freeze_depth: {type(model).__name__} has no plain list of {blocks} blocks; "
            f"set freeze_depth to 0 for this model"
        )
    return list(found[0])


def traits(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> Hashable | None:
    """All that decides which way a batch takes through a model; None where the code of others may have a say in it.

    What is not seen is an attribute of a module that was changed after it was made, and that no config tells of.
    """
    order: dict[nn.Module, int] = {}
    modules = []
    for name, module in model.named_modules(remove_duplicate=False):
        if type(module).__module__.partition(".")[0] not in _KNOWN or "forward" in vars(module):
            return None
        if module._forward_hooks or module._forward_pre_hooks:
            return None
        modules.append((name, type(module), order.setdefault(module, len(order))))
    trained = tuple((name, p.requires_grad) for name, p in model.named_parameters(remove_duplicate=False))
    shapes = tuple(sorted((key, tensor.dim()) for key, tensor in batch.items()))
    return type(model), model.config.to_json_string(), tuple(modules), trained, shapes


def _border(
    model: PreTrainedModel, stack: list[nn.Module], depth: int, batch: Mapping[str, torch.Tensor]
) -> tuple[set[nn.Parameter], list[nn.Module]]:
    """As `_record` finds it, once in a process for models that are built alike."""
    known = traits(model, batch)
    parameters, modules = dict(model.named_parameters()), dict(model.named_modules())
    if known is None or (known, depth) not in _borders:
        read, done = _record(model, stack, depth, batch)
        if known is not None and traits(model, batch) == known:  # BigBird makes other modules when it is first run
            names = [name for name, parameter in parameters.items() if parameter in read]
            _borders[known, depth] = names, [name for name, module in modules.items() if module in done]
        return read, list(done)
    names, done_names = _borders[known, depth]
    return {parameters[name] for name in names}, [modules[name] for name in done_names]


def _record(
    model: PreTrainedModel, stack: list[nn.Module], depth: int, batch: Mapping[str, torch.Tensor]
) -> tuple[set[nn.Parameter], Collection[nn.Module]]:
    """Runs the batch, and watches the border between the last frozen and the first trained block.

    Returns:
        The parameters that the tensors at the border were computed from, and the modules that had finished by
        then and did not run again.
    """
    border: list[torch.Tensor] = []
    finished: dict[nn.Module, bool] = {}
    crossed = False

    def started(module: nn.Module, args: Any, kwargs: Any) -> None:
        nonlocal crossed
        if depth < len(stack) and module is stack[depth] and not crossed:
            crossed = True
            border.extend(_tensors((args, kwargs)))
        if crossed:
            finished.pop(module, None)  # it works for the trained part too, as T5's one dropout does

    def ended(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        nonlocal crossed
        if not crossed:
            finished[module] = True
        if depth == len(stack) and module is stack[-1]:
            border[:] = _tensors(output)  # of its last call, where a block runs more than once
            crossed = True
            finished[module] = True
            finished.update(dict.fromkeys(module.modules(), True))

    hooks = []
    for module in model.modules():
        hooks.append(module.register_forward_pre_hook(started, with_kwargs=True))
        hooks.append(module.register_forward_hook(ended, with_kwargs=True))
    was_training = model.training
    model.eval()  # no dropout: freezing must not draw from the trial's random numbers
    try:
        with torch.enable_grad():
            model(**probe(model, batch))
            parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
            gradients = (
                torch.autograd.grad([tensor.sum() for tensor in border], parameters, allow_unused=True)
                if border
                else [None] * len(parameters)
            )
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    read = {parameter for parameter, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    return read, finished.keys()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors with a history in nested arguments or outputs."""
    if isinstance(value, torch.Tensor):
        if value.requires_grad:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
