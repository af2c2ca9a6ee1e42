"""What is asked of a task, in the order in which a search will ask it."""

from __future__ import annotations

import json
import math
import pickle
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.records import Direction, TrialConfig
from autoft.spec import DataSpec
from autoft.spec.dimensions import parse_dimensions

if TYPE_CHECKING:
    import pandas as pd

    from autoft.tasks import Task

_LENGTH = 32  # tokens after which the texts are cut
_STEPS = 3


class Checks:
    """One run of the suite; the faults gather in `found`, and what a later step needs in the other attributes."""

    def __init__(self, task: Task, data: DataSpec) -> None:
        self.task, self.data = task, data
        self.found: list[str] = []
        self.examples: list[Any] = []
        self.meta: dict[str, Any] = {}
        self._rows: Any = None

    def declared(self) -> None:
        """What can be seen without any data."""
        task = self.task
        with self._of("name"):
            self._right(isinstance(task.name, str) and bool(task.name), "is no text, or empty")
        with self._of("metrics"):
            kinds = isinstance(task.metrics, Mapping) and bool(task.metrics)
            self._right(kinds and all(isinstance(way, Direction) for way in task.metrics.values()),
                        "is no mapping from names to Direction.MAXIMIZE or Direction.MINIMIZE")  # fmt: skip
        with self._of("space"):
            problems: list[str] = []
            parse_dimensions("space", task.space(), problems)
            self.found += problems
        with self._of("pickle"):
            from autoft.tasks.carrying import dumps

            again = pickle.loads(dumps(task))  # noqa: S301 - it was made two lines above
            self._right(again.name == task.name, "makes another task of it: a worker would not do the same")

    def read(self, rows: pd.DataFrame) -> bool:
        """The rows through the data layer; whether they got through."""
        from autoft import data
        from autoft.errors import InputError

        with self._of("columns"), tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.parquet"
            rows.reset_index(drop=True).to_parquet(path)
            try:
                splits = data.load(self.data.model_copy(update={"source": str(path)}), self.task, 0)
            except InputError as error:
                self.found += [f"columns, fault or problems: refuse the rows: {line}" for line in error.problems]
                return False
            self._rows = splits
            return True
        return False

    def learnt(self) -> None:
        """`meta` and whether it can be stored."""
        from autoft import tasks

        with self._of("learn"):
            self.meta = tasks.learn(self.task, self._rows.train, self.data)
            self._right(json.loads(json.dumps(self.meta)) == self.meta, "gives what JSON can't hold as it is")

    def encoded(self, path: str) -> None:
        """Examples: their keys, their order, and that they don't need a label."""
        from autoft.training.models import load_tokenizer

        rows, task, meta = self._rows.train, self.task, self.meta
        with self._of("encode"):
            tokenizer: Any = load_tokenizer(path)
            examples = task.encode(rows, tokenizer, meta, _LENGTH)
            order = [example.get("row", i) for i, example in enumerate(examples)]
            self._right(sorted(set(order)) == list(range(len(rows))) and order == sorted(order),
                        "doesn't give every row its examples in the rows' order; `row` says whose one is")  # fmt: skip
            self._right(all(example.get("input_ids") for example in examples), "gives an example without `input_ids`")
            self._right(all(len(example["input_ids"]) <= _LENGTH for example in examples),
                        "gives an example with more tokens than `max_length`")  # fmt: skip
            self._right(all("labels" in one or "target_ids" in one for one in examples),
                        "gives an example without `labels` or `target_ids`")  # fmt: skip
            again = task.encode(rows, tokenizer, meta, _LENGTH)
            self._right(str(again) == str(examples), "gives other examples for the same rows a second time")
            if not self.found:
                self.examples = examples
        with self._of("encode, without the label column"):
            task.encode(rows.drop(columns=meta["label"], errors="ignore"), tokenizer, meta, _LENGTH)

    def trained(self, path: str) -> None:
        """A model that is built, trained and scored."""
        import torch

        from autoft.training import rng
        from autoft.training.batching import collate
        from autoft.training.models import load_tokenizer, quiet

        quiet()
        task, meta = self.task, self.meta
        config = TrialConfig(path, 1e-2, 4, 1, 0, max_length=_LENGTH, dropout=0.0)
        tokenizer: Any = load_tokenizer(path)
        with rng.isolated():
            with self._of("build"):
                model, twin = (task.build(path, meta, config) for _ in range(2))
                same = all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
                self._right(same, "gives other weights for the same seed a second time; use autoft.tasks.loading")
                self._right(all(p.dtype == torch.float32 for p in model.parameters()), "gives weights that aren't fp32")
            if self.found:
                return
            if model.config.pad_token_id is None:
                model.config.pad_token_id = tokenizer.pad_token_id
            before = self._scored(model, tokenizer, 4)
            with self._of("loss"):
                batch = collate(self.examples[:8], tokenizer)
                model.train()
                optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
                losses = []
                for _ in range(_STEPS + 1):
                    torch.manual_seed(0)
                    loss = task.loss(model, batch, meta, config)
                    self._right(loss.dim() == 0 and bool(torch.isfinite(loss)), "is no finite scalar")
                    self._right(loss.requires_grad, "doesn't depend on the model's weights")
                    if self.found:
                        return
                    optimizer.zero_grad()
                    torch.autograd.backward(loss)
                    optimizer.step()
                    losses.append(loss.item())
                # The lowest one: with as large a learning rate the last step may go too far.
                lowest = min(losses[1:])
                self._right(lowest < losses[0], f"doesn't fall when it is trained on: {losses[0]:.4f} to {lowest:.4f}")
            if before is not None and not self.found:
                self._measured(before, self._scored(twin, tokenizer, 1))

    def _scored(self, model: Any, tokenizer: Any, size: int) -> Any:
        from autoft.training.dataset import Encoded
        from autoft.training.evaluation import finite, scores

        with self._of("scores"):
            found = scores(self.task, model, tokenizer, Encoded.of(self.examples), meta=self.meta, batch_size=size)
            self._right(finite(found), "aren't finite numbers")
            return found
        return None

    def _measured(self, scores: Any, one_by_one: Any) -> None:
        from autoft.tasks.base import first_of_each_row
        from autoft.training.evaluation import numbers

        task, meta, rows = self.task, self.meta, self._rows
        with self._of("scores"):
            a, b = numbers(scores), numbers(one_by_one)
            self._right(a.shape == b.shape and bool((a - b).abs().max() < 1e-3),
                        "depend on what else is in the batch; mind the padding")  # fmt: skip
        examples: Sequence[Any] = first_of_each_row(self.examples)
        merged: Any = []
        with self._of("merge"):
            merged = task.merge(scores, self.examples, meta)
            self._right(len(merged) == len(rows.train), f"gives {len(merged)} scores for {len(rows.train)} rows")
        if self.found:
            return
        with self._of("measure"):
            self._finite(task.measure(merged, examples, meta), needed=("loss", *task.metrics))
            self._finite(task.measure(merged[:1], examples[:1], meta), needed=task.metrics)
        with self._of("answers"):
            answers = task.answers(merged, examples, meta)
            self._right(len(answers) == len(merged) and all(isinstance(one, dict) for one in answers),
                        "doesn't give a dictionary for each row")  # fmt: skip
            json.dumps(answers)
        with self._of("baselines"):
            baselines = task.baselines(rows.train, rows.train, examples, examples, meta)
            self._right(bool(baselines), "gives none; there is always something trivial to compare with")
            for name, trivial in baselines.items():
                self._right(
                    len(trivial) == len(merged), f"gives {len(trivial)} scores of {name!r} for {len(merged)} rows"
                )
                self._finite(task.measure(trivial, examples, meta), needed=(next(iter(task.metrics)),))

    def _finite(self, measured: Mapping[str, float], needed: Sequence[str] | Mapping[str, Any]) -> None:
        for name in needed:
            value = measured.get(name)
            self._right(
                isinstance(value, float | int) and math.isfinite(value), f"gives {value!r} for the metric {name!r}"
            )

    def _right(self, right: bool, otherwise: str) -> None:
        line = f"{self._member}: {otherwise}"
        if not right and line not in self.found:
            self.found.append(line)

    @contextmanager
    def _of(self, member: str) -> Iterator[None]:
        """Whatever goes wrong in here is a fault of that member."""
        self._member = member
        try:
            yield
        except Exception as error:  # a task that we know nothing about
            first = next(iter(str(error).splitlines()), "")
            self.found.append(f"{member}: raises {type(error).__name__}: {first}"[:300])
