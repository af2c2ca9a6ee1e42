"""The contract of a task: all that autoft has to know to fine-tune for it.

A task is one object with the members below. It holds no state: what it learns from the training data (the label
names, say) travels as a plain dictionary, `meta`, which is stored with the model. Members with a default may be
left out, whether the class is derived from `Task` or not.

Three kinds of things go through a task, in this order:

    row       what the user has: a line of the table
    example   what the model reads: `input_ids` and friends as lists without padding. A row is one example, or
              several where a long text is cut into windows; each then says in `row` which one it is part of.
    score     what the model says: one entry for each example, and after `merge` one for each row

An example may hold beside the model's inputs

    labels      what is right: a number; a list of 0.0 and 1.0, one for each label; or a list of numbers as long as
                `input_ids`, one for each token, -100 where it doesn't count
    target_ids  instead of `labels`, for a model that writes: the tokens that it should write
    row         index of its row
    extra       a dictionary with whatever else `merge`, `measure` and `answers` need; it never reaches the model
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, Union

from autoft.data.formats import Reader
from autoft.data.splits import Column, Kind, Splits
from autoft.records import Direction
from autoft.spec import DataSpec

if TYPE_CHECKING:
    import pandas as pd
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from autoft.records import TrialConfig

__all__ = ["Column", "Example", "Kind", "Meta", "Scores", "Splits", "Task", "asked", "completed", "learn", "missing"]

Meta = Mapping[str, Any]
Example = dict[str, Any]
Scores = Union[Sequence[Any], "NDArray[Any]"]
"""One entry for each example, or row. A NumPy array is one, and so is a list of arrays of different lengths."""

NOT_INPUTS = frozenset({"labels", "target_ids", "row", "extra"})
"""Keys of an example that the model doesn't read."""


IGNORED = -100
"""The label of what doesn't count, as in transformers."""


def inputs(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What of a batch the model reads: all but `labels`."""
    return {key: tensor for key, tensor in batch.items() if key != "labels"}


def first_of_each_row(examples: Sequence[Example]) -> list[Example]:
    """The examples without the later ones of a row that is several."""
    numbers = [example.get("row", i) for i, example in enumerate(examples)]
    return [example for i, example in enumerate(examples) if i == 0 or numbers[i] != numbers[i - 1]]


class Task(Protocol):
    """What autoft asks of a task; members with a default may be left out.

    Attributes:
        name: As in `task: NAME` of a spec.
        metrics: Names of the metrics with their direction; the first is the default objective.
        summary: What it does, in one line.
        example: A command that a person can run.
        pipeline: Name of the matching `transformers` pipeline, and of MLflow's flavour; empty where there is none.
        models: Pretrained models to choose from where the user names none.
        formats: Files that it reads beside tables, by the end of their name.
        head: The class of transformers that a pretrained model has to be known to, `AutoModelForTokenClassification`
            say; empty where `build` can make do with any.
        evaluated_at_once: Examples in a batch where nothing is trained: fewer where the model says a lot of each.
        windows: Long rows are cut into several examples, so that nothing of them is lost.
        knobs: Those of `autoft.space.TASK_KNOBS` that the task obeys.
        losses: Names of the losses that it can train with, its own first; `autoft.tasks.losses` has them.
    """

    name: str
    metrics: Mapping[str, Direction]
    summary: str = ""
    example: str = ""
    pipeline: str = ""
    models: tuple[str, ...] = ("asset:minilm-l6", "asset:bert-tiny")
    formats: Mapping[str, Reader] = MappingProxyType({})
    head: str = ""
    evaluated_at_once: int = 64
    windows: bool = False
    knobs: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()

    def space(self) -> Mapping[str, Any]:
        """The default search space, as a user would write it."""
        return {
            "learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
            "batch_size": [8, 16, 32],
            "epochs": {"low": 1, "high": 4},
            "freeze_depth": {"low": 0, "high": "all"},
            "dropout": [None, 0.0],
        }

    def columns(self, data: DataSpec) -> tuple[Column, ...]:
        """Columns that the table has to have, and what their cells have to hold: texts and labels by default."""
        pair = (Column(data.text_pair),) if data.text_pair else ()
        return (Column(data.text), *pair, Column(data.label, Kind.LABEL))

    def stratify(self, data: DataSpec) -> str | None:
        """Column whose values every split should hold in the same shares, if there is one."""
        return None

    def fault(self, row: Mapping[str, Any], data: DataSpec) -> str:
        """What is wrong with a row, to be read after "has 3 rows (rows 4, 7, 9) where the row"; empty where nothing is.

        Args:
            row: Cells by column name, none of them missing.
            data: Names the columns.
        """
        return ""

    def problems(self, splits: Splits, data: DataSpec) -> list[str]:
        """Everything that makes the data unfit, one line each."""
        return []

    def learn(self, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
        """What has to be known of the training rows, as plain data that JSON can hold: it goes into `meta`.

        The names of the columns stand there anyway, as `text`, `text_pair` (None where there is none) and `label`.
        """
        return {}

    def build(self, path: str, meta: Meta, config: TrialConfig) -> PreTrainedModel:
        """The pretrained model in the folder `path`, in fp32, with a fresh head for this task."""

    def encode(
        self, rows: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, meta: Meta, max_length: int
    ) -> list[Example]:
        """The examples of the rows, in their order; see the top of this module.

        `rows` may lack the label column; the examples then have no `labels`.
        """

    def loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta, config: TrialConfig
    ) -> torch.Tensor:
        """Mean training loss of a padded batch, a scalar; `config` says which one."""

    def scores(self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], meta: Meta) -> Scores:
        """What the model says of each example of a padded batch, on the CPU and without the padding."""

    def merge(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> Scores:
        """The scores of the rows from those of their examples, where a row may be several.

        Args:
            scores: One for each example.
            examples: Those of a row one after another, with `row` rising.
            meta: What is known of the training rows.
        """
        return scores

    def measure(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> dict[str, float]:
        """All metrics, and `loss`.

        Args:
            scores: One for each row, from `merge` or `baselines`.
            examples: The first example of each row.
            meta: What is known of the training rows.
        """

    def answers(self, scores: Scores, examples: Sequence[Example], meta: Meta) -> list[dict[str, Any]]:
        """What a user gets to see for each row, as the `transformers` pipeline gives it; arguments as `measure`'s."""

    def probabilities(self, scores: Scores, meta: Meta) -> list[dict[str, float]]:
        """The probability of each label by its name, for each row; empty where the task has no labels for a row.

        Args:
            scores: One for each row, from `merge`.
            meta: What is known of the training rows.
        """
        return []

    def baselines(
        self,
        train: pd.DataFrame,
        other: pd.DataFrame,
        known: Sequence[Example],
        examples: Sequence[Example],
        meta: Meta,
    ) -> dict[str, Scores]:
        """Scores of trivial models by their name, at least one, for the rows of `other`.

        Args:
            train: The training rows.
            other: The rows to be scored.
            known: The first example of each training row.
            examples: The first example of each row of `other`.
            meta: What is known of the training rows.
        """


_ATTRIBUTES = ("summary", "example", "pipeline", "models", "formats", "head", "evaluated_at_once", "windows")
_DEFAULTS = (
    *_ATTRIBUTES,
    "knobs",
    "losses",
    "space",
    "columns",
    "stratify",
    "fault",
    "problems",
    "learn",
    "merge",
    "probabilities",
)
_NEEDED = ("name", "metrics", "build", "encode", "loss", "scores", "measure", "answers", "baselines")


def missing(task: object) -> list[str]:
    """Members that a task, or the class of one, has to have and lacks."""
    kind = task if isinstance(task, type) else type(task)
    return [
        name for name in _NEEDED if not hasattr(task, name) or getattr(kind, name, None) is getattr(Task, name, name)
    ]


def completed(task: Any) -> Task:
    """The task itself, or one that has the defaults of `Task` for the members that it leaves out."""
    found: Task = task if all(hasattr(task, name) for name in _DEFAULTS) else _Completed(task)
    return found


def original(task: Any) -> Any:
    """The task that `completed` was given."""
    return task._task if isinstance(task, _Completed) else task


class _Completed:
    def __init__(self, task: Any) -> None:
        self._task = task

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_task":  # while it is being unpickled
            raise AttributeError(name)
        if hasattr(self._task, name) or name not in _DEFAULTS:
            return getattr(self._task, name)
        default = getattr(Task, name)
        return default.__get__(self) if callable(default) else default

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._task,)


def learn(task: Task, train: pd.DataFrame, data: DataSpec) -> dict[str, Any]:
    """`meta`: the names of the columns, and what the task learns of the training rows."""
    names = {"text": data.text, "text_pair": data.text_pair, "label": data.label}
    return {**names, **task.learn(train, data)}


def asked(task: Task, meta: Meta) -> tuple[Column, ...]:
    """The columns that a trained model answers for, as the task names them: all but the label."""
    names = {key: meta.get(key) for key in ("text", "text_pair", "label")}
    columns = task.columns(DataSpec(source="a table", **names))
    return tuple(column for column in columns if column.name != names["label"])
