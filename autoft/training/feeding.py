"""The batches of a trial: as tokens or, where the frozen part of the model is computed only once, as its activations.

    with feed.train(rows) as batch:
        loss = task.loss(model, batch, meta, config)

Within the `with`, the model begins where the batch lets it begin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from autoft.training.activations import Activations, Store
from autoft.training.dataset import Encoded
from autoft.training.evaluation import collated
from autoft.training.frozen import FrozenPart
from autoft.training.prefix import Split, Unsplittable

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig
    from autoft.training.batching import Rows
    from autoft.training.job import Job
    from autoft.training.models import ModelInfo

_Batch = dict[str, torch.Tensor]


class Feed:
    """The batches of a trial.

    Args:
        job: Says whether there is a cache, and where.
        model: On its device, frozen.
        tokenizer: Pads.
        info: Of the model.
        config: Says what is frozen, and whether the training texts stay as they are.
        parts: The training and the validation rows.
        precision: Of the forward pass, as accelerate calls it.

    Attributes:
        uncached: Why the frozen part is computed at every step; empty where it isn't.
    """

    def __init__(
        self,
        job: Job,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        info: ModelInfo,
        *,
        config: TrialConfig,
        parts: tuple[Encoded, Encoded],
        precision: str,
    ) -> None:
        self._model, self._tokenizer, self._parts = model, tokenizer, parts
        self._activations: Activations | None = None
        self._tensors: _Batch = {}  # of all rows, where a single token of each is enough
        self._split: Split | None = None
        self._store = Store(Path(job.cache), job.cache_bytes)
        depth = config.freeze_depth
        if not depth:
            self.uncached = "LoRA trains a part of every block" if config.adapter == "lora" else "nothing is frozen"
            return
        train, validation = parts
        if "target_ids" in train.examples[0]:
            self.uncached = "a model that writes runs whole at every step, for it also begins where no batch is"
            return
        try:
            two = collated(train, np.arange(min(2, len(train))), tokenizer, model.device)
            self._split = Split(model, depth, info.blocks, two)
            if not job.cache or job.cache_bytes == 0:
                self.uncached = "the cache is off"
                return
            if config.augmentation != "none":
                self.uncached = "the training texts are augmented anew in every epoch"
                return
            both = Encoded(train.examples + validation.examples, np.concatenate([train.lengths, validation.lengths]))
            traits = (precision, train.fingerprint, validation.fingerprint)
            self._frozen = FrozenPart(
                self._split, model, tokenizer, job.task, job.meta, info, config=config, rows=both, traits=traits
            )
            self.uncached = self._frozen.settle(self._store)
        except Unsplittable as error:
            self.uncached = str(error)

    @property
    def waited(self) -> float:
        """Seconds for which it waited for what another worker computed."""
        return self._store.waited

    def augmented(self, train: Encoded) -> None:
        """Takes the training rows as they are in this epoch."""
        self._parts = (train, self._parts[1])

    def train(self, rows: Rows) -> AbstractContextManager[_Batch]:
        """Some of the training rows as a padded batch, and the model ready for it."""
        return self._batch(self._parts[0], rows, 0)

    def validation(self, rows: Rows) -> AbstractContextManager[_Batch]:
        """Some of the validation rows as a padded batch, and the model ready for it."""
        return self._batch(self._parts[1], rows, len(self._parts[0]))

    def ready(self, deadline: float) -> bool:
        """Opens the cached activations, or computes them until the deadline; may leave the model in eval mode.

        A disk that is full, or whatever else is wrong with it, is a reason to do without them.

        Args:
            deadline: As `time.monotonic` counts.

        Returns:
            Whether training can begin.
        """
        if self.uncached or self._activations is not None:
            return True
        frozen = self._frozen
        try:
            self._activations = self._store.build(
                frozen.key, frozen.layout, lambda rows: frozen.compute(rows, self._store), deadline
            )
        except OSError as error:
            self.uncached = f"the cache can't be used: {error.strerror or error}"
            with suppress(OSError):
                self._store.discard(frozen.key)
        if self._activations is None and not self.uncached:
            return False
        if self._activations is not None and frozen.token is not None:
            self._tensors = frozen.batch(np.arange(len(frozen.rows)), frozen.token)
        frozen.done()
        return True

    @contextmanager
    def _batch(self, part: Encoded, rows: Rows, first: int) -> Iterator[_Batch]:
        activations, hidden = self._activations, None
        if activations is not None and self._tensors:
            at = torch.from_numpy(rows + first)
            hidden = activations.states[activations.starts[at]].unsqueeze(1).to(self._model.device)
            at = at.to(self._model.device)
            batch = {key: tensor[at] for key, tensor in self._tensors.items()}
        else:
            batch = collated(part, rows, self._tokenizer, self._model.device)
            if activations is not None:
                tokens = batch["input_ids"].shape[1]
                hidden = activations.padded(rows + first, tokens, left=self._frozen.left).to(self._model.device)
        if self._split is None:
            yield batch
        else:
            with self._split.running(hidden):
                yield batch
