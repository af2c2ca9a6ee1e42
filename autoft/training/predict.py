"""Answers of a model that autoft saved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft import tasks
from autoft.errors import DataError, InputError
from autoft.records import TrialConfig
from autoft.training import models
from autoft.training.export import CARD, FORMAT

if TYPE_CHECKING:
    import pandas as pd
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.tasks.base import Scores, Task


class Predictor:
    """A saved model with its task; `Predictor.load` opens one.

    Attributes:
        task: What it was trained for.
        meta: What the task learnt from the training rows.
        config: How it was trained.
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
        self._model, self._tokenizer, self._max_length = model, tokenizer, max_length

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

        import torch

        from autoft.training import rng

        task = tasks.get(name)
        models.quiet()
        try:
            with rng.isolated():
                model: Any = task.build(str(folder), meta, config)
            tokenizer = models.load_tokenizer(folder)
        except (OSError, ValueError) as error:
            raise InputError(f"{folder}: can't be opened: {' '.join(str(error).split())[:200]}") from None
        model.to("cuda" if torch.cuda.is_available() else "cpu")
        model.eval()
        return cls(task, meta, config, model=model, tokenizer=tokenizer, max_length=length)

    def scores(self, rows: pd.DataFrame, batch_size: int = 64) -> Scores:
        """The model's raw output for at least one row, in the order of the rows.

        Args:
            rows: With the task's text columns; a label column may be missing.
            batch_size: Rows per batch.

        Returns:
            Shape (n, …).

        Raises:
            DataError: A column is missing.
        """
        from autoft.training.dataset import Encoded
        from autoft.training.evaluation import scores

        texts = self._text_columns()
        if missing := [column for column in texts if column not in rows]:
            raise DataError(
                f"data: there is no column {missing[0]!r}, which the model was trained on; "
                f"the table has {', '.join(map(str, rows.columns))}"
            )
        # The labels, if any, aren't needed, and may be ones that training never saw.
        encoded = Encoded.of(self.task.encode(rows[texts], self._tokenizer, self.meta, self._max_length))
        return scores(self.task, self._model, self._tokenizer, encoded, meta=self.meta, batch_size=batch_size)

    def targets(self, rows: pd.DataFrame) -> list[Any]:
        """What `scores` should have found for rows whose labels are known, in the task's own coding."""
        examples = self.task.encode(rows, self._tokenizer, self.meta, self._max_length)
        return [example["labels"] for example in examples]

    def predict(self, texts: Sequence[str] | Sequence[tuple[str, str]] | pd.DataFrame) -> list[dict[str, Any]]:
        """The answer for each text, pair of texts or row, in their order.

        Raises:
            InputError: The model was trained on pairs and single texts were given, or the other way round.
            DataError: A column is missing in a table.
        """
        import pandas as pd

        rows = texts if isinstance(texts, pd.DataFrame) else self._table(texts)
        return self.task.answers(self.scores(rows), self.meta) if len(rows) else []

    def _text_columns(self) -> list[str]:
        return [self.meta[key] for key in ("text", "text_pair") if self.meta.get(key)]

    def _table(self, texts: Sequence[Any]) -> pd.DataFrame:
        import pandas as pd

        if isinstance(texts, str):
            raise InputError("predict: give a list of texts, not a single one: predict([text])")
        columns = self._text_columns()
        items = [tuple(text) if isinstance(text, list | tuple) else (text,) for text in texts]
        if any(len(item) != len(columns) or not all(isinstance(text, str) for text in item) for item in items):
            wanted = "a text" if len(columns) == 1 else f"{len(columns)} texts ({' and '.join(columns)})"
            raise InputError(f"predict: the model takes {wanted} for each answer")
        return pd.DataFrame(items, columns=columns)
