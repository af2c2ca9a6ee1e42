"""What is worth caching of a frozen model, under which name, and how it is computed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import transformers
import xxhash

from autoft.tasks.base import NOT_INPUTS, original
from autoft.training.activations import Activations, Layout, Store, real, spread
from autoft.training.agreement import difference
from autoft.training.batching import Rows, collate, token_batches
from autoft.training.freezing import block_list
from autoft.training.prefix import Batch, Split

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig
    from autoft.tasks.base import Example, Meta, Task
    from autoft.training.dataset import Encoded
    from autoft.training.models import ModelInfo

_CHUNK = 1024  # padded tokens of a batch in which activations are computed: about the work of a training step
# Whether a model agrees with its own suffix is the same in all trials. By all that it depends on: the only token of a
# row whose activations are needed (0: the first, -1: the last, None: all are), and what differs.
_tried: dict[str, tuple[int | None, str]] = {}


@dataclass
class FrozenPart:
    """The frozen part of a model, and the rows that it is run on.

    Attributes:
        split: The model with its border.
        model: The same model, on its device.
        tokenizer: Pads.
        task: Tells a right outcome from a wrong one.
        meta: Of the task.
        info: Of the model.
        config: Of the trial; its `freeze_depth` is the number of frozen blocks.
        rows: All rows that the model is ever run on.
        traits: What else the activations depend on.
        token: The only token of a row whose activations are needed: 0 the first, -1 the last, None all.
    """

    split: Split
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    task: Task
    meta: Meta
    info: ModelInfo
    config: TrialConfig
    rows: Encoded
    traits: tuple[str, ...]
    token: int | None = None

    def __post_init__(self) -> None:
        self.depth = self.config.freeze_depth
        self._lower: tuple[Split, Activations] | tuple[()] | None = None
        tokenizer: Any = self.tokenizer
        self.left = tokenizer.padding_side == "left"
        self._chunks = token_batches(self.rows.lengths, _CHUNK)
        common = [
            torch.__version__,
            transformers.__version__,
            f"{type(self.model).__name__} {self.model.device.type} {self.task.name}",
            f"{tokenizer.pad_token_id} {tokenizer.padding_side} {_CHUNK} {version('autoft')}",
            (Path(self.info.path) / "config.json").read_text(encoding="utf-8"),
            *self.traits,
        ]
        prints = _fingerprints(self.model, block_list(self.model, self.info.blocks)[: self.depth])
        # By depth; a trial at one depth can tell what another one at a lower depth has left for it.
        self._keys = ["", *(_digest([*common, *prints[: depth + 1]]) for depth in range(1, self.depth + 1))]

    @property
    def key(self) -> str:
        """Name of the cached activations; the same for the same ones only."""
        return self._keys[-1] if self.token is None else _digest([self._keys[-1], f"token {self.token}"])

    @property
    def layout(self) -> Layout:
        """How the cached activations lie."""
        lengths = self.rows.lengths
        return Layout(self._chunks, lengths if self.token is None else np.ones_like(lengths))

    def settle(self, store: Store) -> str:
        """Finds out what is needed of the activations: what was found good once, in this process or another, stays so.

        Returns:
            Why they are of no use; empty where they are. The model may be left in its training mode.
        """
        if self.rows.lengths.min() < 1:
            return "there is a text without a token"
        kinds = sorted({f"{type(module).__module__}.{type(module).__qualname__}" for module in self.model.modules()})
        question = _digest([self._keys[-1], self.model.config.to_json_string(), repr(self.meta), *kinds])
        if question not in _tried:
            # A user's task may be another one tomorrow, under the same name.
            task = original(self.task)
            ours = type(task).__module__.startswith("autoft.") and not vars(task)
            known = store.settled(question, alone=self.depth == self.info.blocks) if ours else None
            _tried[question] = (*known, "") if known else self._try()
            if ours and not known and not _tried[question][1]:
                store.settle(question, _tried[question][0])
        self.token, problem = _tried[question]
        return problem

    def compute(self, rows: Rows, store: Store) -> torch.Tensor:
        """The activations that are needed of some rows, from the nearest ones that are cached.

        Returns:
            Shape (states, width), on the CPU. The model is left in eval mode.
        """
        if self._lower is None:
            self._lower = self._nearest(store)
        batch = self.batch(rows)
        if self._lower:
            split, activations = self._lower
            tokens = batch["input_ids"].shape[1]
            hidden = activations.padded(rows, tokens, left=self.left).to(self.model.device)
            states = self.split.prefix(batch, split, hidden)
        else:
            states = self.split.prefix(batch)
        flat, starts = self._flat(states, rows)
        return flat.cpu() if self.token is None else flat[self._places(starts, rows, self.token)].cpu()

    def done(self) -> None:
        """Lets go of what was needed only to compute."""
        self._lower = None

    def batch(self, rows: Rows, token: int | None = None) -> dict[str, torch.Tensor]:
        """Some rows, or a single token of each, as a padded batch on the model's device."""
        examples = [self.rows.examples[row] for row in rows]
        if token is not None:
            examples = [_cut(example, token) for example in examples]
        return {key: tensor.to(self.model.device) for key, tensor in collate(examples, self.tokenizer).items()}

    def _try(self) -> tuple[int | None, str]:
        """Runs a short, a middling and the longest row in one piece and in two."""
        order = np.argsort(self.rows.lengths, kind="stable")
        rows = order[[0, len(order) // 2, -1]]
        batch = self.batch(rows)
        flat, starts = self._flat(self.split.prefix(batch), rows)
        if self.depth == self.info.blocks:
            for token in (0, -1):
                hidden = flat[self._places(starts, rows, token)].unsqueeze(1)
                if not self._difference(batch, self.batch(rows, token), hidden):
                    return token, ""
        lengths = torch.from_numpy(self.rows.lengths[rows])
        hidden = flat[spread(starts, lengths, batch["input_ids"].shape[1], left=self.left)]
        problem = self._difference(batch, batch, hidden)
        return None, problem and f"the trained part alone gives something else than the whole model ({problem})"

    def _difference(self, whole: Batch, part: Batch, hidden: torch.Tensor) -> str:
        return difference(
            self.split, self.task, self.model, self.meta, self.config, whole=whole, part=part, hidden=hidden
        )

    def _nearest(self, store: Store) -> tuple[Split, Activations] | tuple[()]:
        layout = Layout(self._chunks, self.rows.lengths)
        for depth in range(self.depth - 1, 0, -1):
            if (found := store.open(self._keys[depth], layout)) is not None:
                return Split(self.model, depth, self.info.blocks, self.batch(self._chunks[-1][:2])), found
        return ()

    def _flat(self, states: torch.Tensor, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        """A padded batch of hidden states without the padding, and where each row begins."""
        lengths = torch.from_numpy(self.rows.lengths[rows])
        mask = real(lengths, states.shape[1], left=self.left)
        return states[mask.to(states.device)], lengths.cumsum(0) - lengths

    def _places(self, starts: torch.Tensor, rows: Rows, token: int) -> torch.Tensor:
        return starts if token == 0 else starts + torch.from_numpy(self.rows.lengths[rows]) - 1


def _cut(example: Example, token: int) -> Example:
    """An example of one token only; what doesn't come by token stays."""
    length = len(example["input_ids"])
    return {
        key: [value[token]] if isinstance(value, Sequence) and len(value) == length and key not in NOT_INPUTS else value
        for key, value in example.items()
    }


def _fingerprints(model: PreTrainedModel, frozen: Sequence[torch.nn.Module]) -> list[str]:
    """What tells the frozen weights from others: those beside the blocks first, then each block's."""
    inner = {tensor for block in frozen for tensor in (*block.parameters(), *block.buffers())}
    beside = (tensor for tensor in model.parameters() if not tensor.requires_grad)
    first = [tensor for tensor in (*beside, *model.buffers()) if tensor not in inner]
    return [_hash(first), *(_hash((*block.parameters(), *block.buffers())) for block in frozen)]


def _hash(tensors: Iterable[torch.Tensor]) -> str:
    digest = xxhash.xxh3_128()
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{plain.dtype} {tuple(plain.shape)}".encode())
        content: Any = plain.view(-1).view(torch.uint8).numpy()
        digest.update(content)
    return digest.hexdigest()


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
