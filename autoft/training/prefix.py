"""Running a model in two parts: the frozen prefix once, the trained suffix as often as there are steps.

The model stays whole, and stays the one that computes masks, position biases and all that comes after the
blocks. For the time of a batch the frozen blocks only hand on the hidden states that the last of them once
gave, in the form in which each of them returns its own. Which form that is, and how often a block runs (ALBERT's
only one runs in every layer), is recorded from a real forward pass. Whether the outcome is that of the whole
model is not argued but measured: see `autoft.training.agreement`.

Computing a frozen prefix once was done before by AutoFreeze (Liu et al. 2021), Nautilus (Nakandala and Kumar
2022) and Egeria (Wang et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from autoft.training.freezing import block_list, probe, set_train_mode, traits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Batch = Mapping[str, torch.Tensor]
_Extra = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]
_Form = tuple[Any, list[_Extra | None]]
# What was recorded of models: calls of the last frozen block, names of the modules that had begun by then, and what the
# frozen blocks return.
_ways: dict[Hashable, tuple[int, list[str], list[_Form]]] = {}


class Unsplittable(Exception):  # noqa: N818 - it never leaves `autoft.training`
    """A model that can't be run from the middle; says why."""


class _Reached(Exception):  # noqa: N818 - a way out of a forward pass
    """The border is reached: what comes after it needn't run."""


class Split:
    """A model with a border behind its first blocks.

    Args:
        model: With its first blocks frozen. Nothing of it is changed, but for the time of `running`.
        depth: Number of blocks before the border, at least 1.
        blocks: Number of blocks that the model has.
        batch: A real batch on the model's device.

    Raises:
        Unsplittable: A block doesn't run, or returns something in which there are no hidden states.
        ModelError: The model has no plain list of blocks.
    """

    def __init__(self, model: PreTrainedModel, depth: int, blocks: int, batch: Batch) -> None:
        self._model: Any = model
        self._frozen = block_list(model, blocks)[:depth]
        self._forms: dict[nn.Module, _Form] = {}
        calls, begun = self._way(batch)
        self._calls = calls  # of the last frozen block in one forward pass
        inner = {module for block in self._frozen for module in block.modules()}
        was_training = model.training
        set_train_mode(model)
        # What works before the border and behind it too, such as the encoder itself.
        self._early = [module for module in begun if module.training and module not in inner]
        if not was_training:
            model.eval()

    @contextmanager
    def running(self, hidden: torch.Tensor | None) -> Iterator[None]:
        """Lets the model begin at the border.

        Whatever runs before the border is in eval mode there, even if it belongs to the trained part as well, as
        BART's encoder does with the dropout of its embeddings: the frozen part gives the same at every step.

        Args:
            hidden: Shape (batch, tokens, width), what the last frozen block gives for the batch to come. None: the
                whole model runs.
        """
        seen, training = 0, False

        def begin(module: nn.Module, args: Any) -> None:
            nonlocal seen, training
            seen, training = 0, module.training
            self._switch(False)

        def crossed() -> None:
            nonlocal seen
            seen += 1
            if seen == self._calls and training:
                self._switch(True)

        changed = self._frozen if hidden is not None else self._frozen[-1:]
        before = {block: block.__dict__.get("forward") for block in changed}
        hook = self._model.register_forward_pre_hook(begin)
        try:
            for block in changed:
                forward = block.forward if hidden is None else self._shortened(block, hidden)
                block.forward = _then(forward, crossed) if block is self._frozen[-1] else forward
            yield
        finally:
            hook.remove()
            for block, own in before.items():
                block.__dict__.pop("forward", None)
                if own is not None:
                    block.forward = own
            if training:  # the forward pass may have failed on its way
                self._switch(True)

    def prefix(self, batch: Batch, start: Split | None = None, hidden: torch.Tensor | None = None) -> torch.Tensor:
        """What the last frozen block gives for a batch; leaves the model in eval mode.

        Args:
            batch: On the model's device, shape (batch, tokens) each.
            start: A split of the same model at a lower depth, to go on from; None starts with the tokens.
            hidden: Shape (batch, tokens, width), the hidden states at the border of `start`.

        Returns:
            Shape (batch, tokens, width).
        """
        found: list[torch.Tensor] = []

        def ended(module: nn.Module, args: Any, output: Any) -> None:
            found.append(output if isinstance(output, torch.Tensor) else output[0])
            if len(found) == self._calls:
                raise _Reached

        self._model.eval()
        hook = self._frozen[-1].register_forward_hook(ended)
        try:
            with torch.no_grad():
                if start is None:
                    self._model(**probe(self._model, batch))
                else:
                    with start.running(hidden):
                        self._model(**probe(self._model, batch))
        except _Reached:
            return found[-1]
        finally:
            hook.remove()
        raise Unsplittable(f"its blocks didn't all run: {len(found)} calls of the last frozen one")

    def _way(self, batch: Batch) -> tuple[int, list[nn.Module]]:
        """As `_record` finds it, once in a process for models that are built alike."""
        known = traits(self._model, batch)
        modules = dict(self._model.named_modules())
        if known is None or (known, len(self._frozen)) not in _ways:
            calls, begun = self._record(batch)
            if known is not None and traits(self._model, batch) == known:
                names = [name for name, module in modules.items() if module in begun]
                _ways[known, len(self._frozen)] = calls, names, [self._forms[block] for block in self._frozen]
            return calls, list(begun)
        calls, names, forms = _ways[known, len(self._frozen)]
        self._forms = dict(zip(self._frozen, forms, strict=True))
        return calls, [modules[name] for name in names]

    def _record(self, batch: Batch) -> tuple[int, Collection[nn.Module]]:
        """Runs the batch; the calls of the last frozen block, and the modules that had begun when it was done."""
        begun: dict[nn.Module, None] = {}
        before: dict[nn.Module, None] = {}
        calls = 0

        def started(module: nn.Module, args: Any) -> None:
            begun[module] = None

        def ended(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> None:
            nonlocal calls
            self._forms.setdefault(module, _form(args, kwargs, output))
            if module is self._frozen[-1]:
                calls += 1
                before.update(begun)

        hooks = [module.register_forward_pre_hook(started) for module in self._model.modules()]
        hooks += [block.register_forward_hook(ended, with_kwargs=True) for block in self._frozen]
        was_training = self._model.training
        self._model.eval()
        try:
            with torch.no_grad():
                self._model(**probe(self._model, batch))
        finally:
            for hook in hooks:
                hook.remove()
            if was_training:
                set_train_mode(self._model)
        if len(self._forms) < len(self._frozen):
            raise Unsplittable("not all of its frozen blocks run")
        return calls, before.keys()

    def _shortened(self, block: nn.Module, hidden: torch.Tensor) -> Callable[..., Any]:
        """A forward pass of `block` that gives `hidden`, and beside it what the block would have given."""
        kind, extras = self._forms[block]
        if issubclass(kind, torch.Tensor):
            return lambda *args, **kwargs: hidden
        if None not in extras:
            given = [extra for extra in extras if extra is not None]
            return lambda *args, **kwargs: kind([hidden, *(extra(args, kwargs) for extra in given)])
        whole = block.forward  # T5's first block makes the position bias of all: it has to run

        def forward(*args: Any, **kwargs: Any) -> Any:
            with torch.no_grad():
                return kind([hidden, *whole(*args, **kwargs)[1:]])

        return forward

    def _switch(self, training: bool) -> None:
        for module in self._early:
            module.training = training


def _form(args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> _Form:
    """How a block returns its hidden states, and where it has what it returns beside them; None: it made it."""
    if isinstance(output, torch.Tensor):
        return torch.Tensor, []
    if type(output) not in (tuple, list) or not output or not isinstance(output[0], torch.Tensor):
        raise Unsplittable(f"its blocks return {type(output).__name__}, in which no hidden states are found")
    return type(output), [_source(extra, args, kwargs) for extra in output[1:]]


def _source(extra: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _Extra | None:
    if extra is None:
        return lambda _args, _kwargs: None
    if places := [i for i, value in enumerate(args) if value is extra]:
        return lambda args, _kwargs: args[places[0]]
    if names := [key for key, value in kwargs.items() if value is extra]:
        return lambda _args, kwargs: kwargs[names[0]]
    return None


def _then(forward: Callable[..., Any], done: Callable[[], None]) -> Callable[..., Any]:
    def both(*args: Any, **kwargs: Any) -> Any:
        output = forward(*args, **kwargs)
        done()
        return output

    return both
