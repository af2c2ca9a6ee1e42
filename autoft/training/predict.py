"""Answers of a model that autoft saved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoft import tasks
from autoft.data.splits import Column, Kind
from autoft.errors import DataError, InputError
from autoft.records import TrialConfig
from autoft.tasks.base import asked, first_of_each_row, inputs
from autoft.training import models
from autoft.training.export import CARD, FORMAT, assemble

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Example, Scores, Task
    from autoft.training.dataset import Encoded
    from autoft.training.job import Job


class Predictor:
    """A saved model with its task; `Predictor.load` opens one.

    Attributes:
        task: What it was trained for.
        meta: What the task learnt from the training rows.
        config: How it was trained.
        model: The network, in eval mode.
        tokenizer: Its tokenizer.
        max_length: Most tokens that it is given.
    """

    def __init__(
        self,
        task: Task,
        meta: Mapping[str, Any],
        config: TrialConfig,
        *,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
    ) -> None:
        self.task, self.meta, self.config = task, meta, config
        self.model, self.tokenizer, self.max_length = model, tokenizer, max_length

    @classmethod
    def load(cls, folder: str | Path) -> Predictor:
        """Opens the model in `folder`, on the GPU where there is one.

        Raises:
            InputError: The folder isn't one that autoft saved a model to.
        """
        folder = Path(folder)
        try:
            card = json.loads((folder / CARD).read_text(encoding="utf-8"))
            if card["format"] != FORMAT:
                raise InputError(f"{folder}: saved by another version of autoft; use that one to open it")
            name, meta, length = card["task"], card["meta"], int(card["max_length"])
            config = TrialConfig(**card["config"])
        except OSError:
            raise InputError(
                f"{folder}: not a model that autoft saved (it has no {CARD}); give the model folder of a search"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{folder / CARD}: damaged; export the model again") from None

        if ":" in name and Path.cwd().is_relative_to(folder.resolve()):
            # What comes with a model is never run, and a task is looked for in the folder that one works in.
            raise InputError(
                f"{folder}: was made for the task {name}; work in the folder that holds it, not in the model's"
            )

        from autoft.training import rng

        task = tasks.get(name)
        models.quiet()
        try:
            with rng.isolated():
                model: Any = task.build(str(folder), meta, config)
            tokenizer = models.load_tokenizer(folder)
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: can't be opened: {' '.join(str(error).split())[:200]}") from None
        return cls(task, meta, config, model=_ready(model), tokenizer=tokenizer, max_length=length)

    @classmethod
    def assembled(cls, job: Job, config: TrialConfig, tensors: Mapping[str, torch.Tensor]) -> Predictor:
        """A model that isn't saved as one, with these weights; see `autoft.training.export.assemble`."""
        model, tokenizer, length = assemble(job, config, tensors)
        return cls(job.task, job.meta, config, model=_ready(model), tokenizer=tokenizer, max_length=length)

    def weights(self) -> dict[str, torch.Tensor]:
        """Copies of all its weights, by name."""
        from autoft.training import weights

        return weights.everything(self.model)

    def load_weights(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Goes on with these weights; those that are not among them stay.

        Raises:
            ValueError: The model lacks one of them.
        """
        from autoft.training import weights

        weights.load(self.model, tensors)

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that it answers for, as the task names them: all but the label."""
        return asked(self.task, self.meta)

    def scores(self, rows: pd.DataFrame, batch_size: int = 64) -> Scores:
        """What the model says of at least one row, in the order of the rows.

        Args:
            rows: With the task's text columns; a label column may be missing.
            batch_size: Examples per batch.

        Returns:
            One entry for each row, as the task's `merge` gives them.

        Raises:
            DataError: A column is missing.
        """
        # The labels, if any, aren't needed, and may be ones that training never saw.
        return self._scores(self._encoded(rows), batch_size)

    def evaluated(self, rows: pd.DataFrame) -> tuple[Scores, list[Example]]:
        """What the model says of at least one row whose label is known, and the first example of each row.

        A model that writes is not only told to write, but also asked how likely what is right would have been.
        """
        examples = self.task.encode(rows.reset_index(drop=True), self.tokenizer, self.meta, self.max_length)
        return self._scores(examples), first_of_each_row(examples)

    def running(self, model: Any) -> Predictor:
        """The same with another model, which takes the same inputs and gives the same outputs."""
        return Predictor(
            self.task, self.meta, self.config, model=model, tokenizer=self.tokenizer, max_length=self.max_length
        )

    def encoded(self, rows: pd.DataFrame) -> Encoded:
        """Some rows as tokens, without their labels.

        Raises:
            DataError: A column is missing.
        """
        from autoft.training.dataset import Encoded

        return Encoded.of(self._encoded(rows))

    def batch(self, rows: pd.DataFrame) -> dict[str, torch.Tensor]:
        """What the model reads of some rows, as one padded batch on its device, without their labels.

        Raises:
            DataError: A column is missing.
        """
        from autoft.training.evaluation import collated

        encoded = self.encoded(rows)
        return inputs(collated(encoded, np.arange(len(encoded)), self.tokenizer, self.model.device))

    def examples(self, rows: pd.DataFrame) -> list[Example]:
        """The first example of each row: what `scores` should have found, where the labels are known."""
        return first_of_each_row(self.task.encode(rows, self.tokenizer, self.meta, self.max_length))

    def predict(
        self,
        texts: Sequence[str] | Sequence[tuple[str, str]] | pd.DataFrame,
        *,
        probabilities: bool = False,
        batch_size: int = 64,
    ) -> list[dict[str, Any]]:
        """The answer for each text, pair of texts or row, in their order.

        Args:
            texts: Texts, pairs of texts, or a table with the task's text columns.
            probabilities: Add to each answer, as `probabilities`, how likely each label is, by its name.
            batch_size: Texts that the model reads at once.

        Raises:
            InputError: The model was trained on pairs and single texts were given, or the other way round; or its task
                has no probabilities.
            DataError: A column is missing in a table.
        """
        import pandas as pd

        rows = texts if isinstance(texts, pd.DataFrame) else self._table(texts)
        if not len(rows):
            return []
        examples = self._encoded(rows)
        scores = self._scores(examples, batch_size)
        answers = self.task.answers(scores, first_of_each_row(examples), self.meta)
        if not probabilities:
            return answers
        found = self.task.probabilities(scores, self.meta)
        if not found:
            raise InputError(f"probabilities: a model for {self.task.name} gives none of labels; leave them out")
        return [{**answer, "probabilities": row} for answer, row in zip(answers, found, strict=True)]

    def _scores(self, examples: list[Example], batch_size: int = 64) -> Scores:
        from autoft.training.dataset import Encoded
        from autoft.training.evaluation import scores

        encoded = Encoded.of(examples)
        found = scores(self.task, self.model, self.tokenizer, encoded, meta=self.meta, batch_size=batch_size)
        return self.task.merge(found, examples, self.meta)

    def _encoded(self, rows: pd.DataFrame) -> list[Example]:
        names = [column.name for column in self.inputs]
        if lacking := [name for name in names if name not in rows]:
            raise DataError(
                f"data: there is no column {lacking[0]!r}, which the model was trained on; "
                f"the table has {', '.join(map(str, rows.columns))}"
            )
        return self.task.encode(rows[names].reset_index(drop=True), self.tokenizer, self.meta, self.max_length)

    def _table(self, texts: Sequence[Any]) -> pd.DataFrame:
        import pandas as pd

        if isinstance(texts, str):
            raise InputError("predict: give a list of texts, not a single one: predict([text])")
        columns = self.inputs
        items = [(text,) if len(columns) == 1 else text for text in texts]
        if any(not _fits(item, columns) for item in items):
            names = " and ".join(column.name for column in columns)
            wanted = "a text" if len(columns) == 1 else f"{len(columns)} texts ({names})"
            raise InputError(f"predict: the model takes {wanted} for each answer")
        return pd.DataFrame(list(zip(*items, strict=True)), index=[column.name for column in columns], dtype=object).T


def _ready(model: Any) -> Any:
    """The model where it answers fastest, in eval mode."""
    import torch

    from autoft.training import products

    model.to("cuda" if torch.cuda.is_available() else "cpu")
    products.speed_up(model)
    return model.eval()


def _fits(item: Any, columns: Sequence[Column]) -> bool:
    """Whether an item of `predict` has a value for each column, a text wherever the task wants one."""
    return (
        isinstance(item, list | tuple)
        and len(item) == len(columns)
        and all(isinstance(v, str) or c.kind is not Kind.TEXT for v, c in zip(item, columns, strict=True))
    )
