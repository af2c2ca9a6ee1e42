"""The records of a search: what a trial was given, what it reported, how it ended.

They are frozen, refuse bad states when built, and travel as they are between the driver, the
workers, the ledger, MLflow and the report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar

# Knobs that have a part in the recipe only with some values of another one, their parent.
CONDITIONS: Mapping[str, tuple[str, tuple[Any, ...]]] = MappingProxyType(
    {
        "freeze_depth": ("adapter", ("none",)),
        "lora_rank": ("adapter", ("lora",)),
        "lora_alpha": ("adapter", ("lora",)),
        "lora_dropout": ("adapter", ("lora",)),
        "momentum": ("optimizer", ("sgd",)),
        "cooldown": ("schedule", ("wsd",)),
        "focal_gamma": ("loss", ("focal",)),
        "huber_delta": ("loss", ("huber",)),
        "label_smoothing": ("loss", (None, "cross-entropy", "weighted")),
        "augmentation_rate": ("augmentation", ("delete", "swap", "mask", "synonym")),
    }
)


class Direction(StrEnum):
    """Whether a metric is better when it is larger or smaller."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"

    def better(self, a: float, b: float) -> bool:
        """Whether `a` is strictly better than `b`."""
        return a > b if self is Direction.MAXIMIZE else a < b

    def gain(self, value: float) -> float:
        """`value` with its sign set so that larger is always better."""
        return value if self is Direction.MAXIMIZE else -value


@dataclass(frozen=True, slots=True)
class TrialConfig:
    """One configuration to fine-tune: every knob of the recipe with its value.

    A knob without a part in the recipe (see `CONDITIONS`) takes its default, whatever it is given: two
    configurations that train alike are equal.

    Attributes:
        model: Reference of the pretrained model, as the user wrote it.
        learning_rate: Peak learning rate.
        batch_size: Training samples per optimiser step.
        epochs: The trial's horizon: the length of its learning-rate schedule in passes over the data.
        freeze_depth: Number of blocks that stay frozen, counted from the input, together with the
            embeddings. 0 freezes nothing; the model's number of blocks leaves only the head to train.
        weight_decay: L2 penalty on all weights but biases and norms; decoupled with AdamW and Adafactor, a part of
            the gradient with Adam and SGD.
        warmup: Share of the horizon over which the learning rate rises from 0 to its peak, in [0, 1).
        schedule: `linear`, `cosine`, `constant` or `wsd` (stable, then a linear cool-down) after the warm-up.
        max_grad_norm: Gradients are clipped to this global norm; 0 turns clipping off.
        max_length: Tokens after which a text is cut.
        dropout: Dropout probability of the trained part; None keeps the model's own.
        seed: Seed of the head's initial weights, the order of the data, augmentation and dropout.
        micro_batch_size: Training samples whose gradients are computed at once and summed up to those of the batch,
            so that memory bounds it and not `batch_size`; None computes them all at once.
        layer_decay: Factor on the learning rate from each block to the one before it; 1 trains all alike.
        adapter: `none` trains the model's own weights; `lora` leaves them as they are and trains low-rank updates
            of its linear layers, and the head.
        lora_rank: Rank of the updates.
        lora_alpha: The updates count `lora_alpha / lora_rank` times.
        lora_dropout: Dropout probability of what goes into the updates.
        optimizer: `adamw`, `adam`, `sgd` or `adafactor`.
        momentum: Of SGD.
        cooldown: Share of the horizon over which `wsd` falls to 0 at the end.
        l1: L1 penalty on the weights that `weight_decay` is for.
        loss: Name of the training loss; None is the task's own.
        focal_gamma: How much less the focal loss counts what the model is sure of.
        huber_delta: Error above which the Huber loss is linear.
        label_smoothing: Probability spread evenly over all classes in the target.
        pooling: How a classifier makes one vector of a text's tokens; None is the model's own way.
        augmentation: `none`, or what is done to words of the training texts, anew in every epoch: `delete`, `swap`,
            `mask` or `synonym`.
        augmentation_rate: Probability of that for each word.
    """

    model: str
    learning_rate: float
    batch_size: int
    epochs: int
    freeze_depth: int = 0
    weight_decay: float = 0.01
    warmup: float = 0.1
    schedule: str = "linear"
    max_grad_norm: float = 1.0
    max_length: int = 128
    dropout: float | None = None
    seed: int = 0
    micro_batch_size: int | None = None
    layer_decay: float = 1.0
    adapter: str = "none"
    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.0
    optimizer: str = "adamw"
    momentum: float = 0.9
    cooldown: float = 0.2
    l1: float = 0.0
    loss: str | None = None
    focal_gamma: float = 2.0
    huber_delta: float = 1.0
    label_smoothing: float = 0.0
    pooling: str | None = None
    augmentation: str = "none"
    augmentation_rate: float = 0.1

    def __post_init__(self) -> None:
        if not self.learning_rate > 0 or self.batch_size < 1 or self.epochs < 1 or self.freeze_depth < 0:
            raise ValueError(f"not a configuration that can be trained: {self}")
        if self.micro_batch_size is not None and self.micro_batch_size < 1:
            raise ValueError(f"not a configuration that can be trained: {self}")
        for knob in CONDITIONS:
            if not self.active(knob):
                object.__setattr__(self, knob, _DEFAULTS[knob])
        if self.micro_batch_size is not None and self.micro_batch_size >= self.batch_size:
            object.__setattr__(self, "micro_batch_size", None)

    def active(self, knob: str) -> bool:
        """Whether a knob has a part in the recipe."""
        parent, values = CONDITIONS.get(knob, (None, ()))
        return parent is None or getattr(self, parent) in values

    def as_dict(self) -> dict[str, Any]:
        """The knobs that have a part in the recipe as a plain dictionary, in the order of the fields."""
        return {knob: value for knob, value in asdict(self).items() if self.active(knob)}

    def unusual(self) -> dict[str, Any]:
        """The knobs that differ from their defaults, without those that every trial is told by."""
        return {
            knob: value
            for knob, value in self.as_dict().items()
            if knob in _DEFAULTS and knob not in ("freeze_depth", "seed") and value != _DEFAULTS[knob]
        }


_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {entry.name: entry.default for entry in fields(TrialConfig) if entry.default is not MISSING}
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a trial measured at one milestone.

    Attributes:
        samples: The milestone, in training samples seen. Reports of a trial are identified by it.
        value: The objective on the validation data.
        metrics: All validation metrics by name, `loss` among them.
        train_loss: Mean training loss since the report before.
        seconds: Time the trial has spent on training and evaluating so far.
        time: Unix time of the report.
    """

    samples: int
    value: float
    metrics: Mapping[str, float]
    train_loss: float
    seconds: float
    time: float

    @property
    def finite(self) -> bool:
        """Whether objective and losses are numbers that may be ranked."""
        return all(math.isfinite(x) for x in (self.value, self.train_loss, *self.metrics.values()))

    def as_dict(self) -> dict[str, Any]:
        """A plain dictionary that JSON can hold."""
        return {**asdict(self), "metrics": dict(self.metrics)}


class TrialState(StrEnum):
    """How far a trial is."""

    OPEN = "open"  # running, or paused at a rung
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """A trial as the ledger knows it.

    Attributes:
        number: Place in the search, from 0.
        config: What was trained.
        state: How far it is.
        reports: Its reports by rising `samples`; only finite ones.
        reason: Why it ended the way it did, in a few words; empty while open.
        started: Unix time of its start.
        finished: Unix time of its end, None while open.
    """

    number: int
    config: TrialConfig
    state: TrialState
    reports: tuple[Report, ...] = ()
    reason: str = ""
    started: float = 0.0
    finished: float | None = None

    def best(self, direction: Direction) -> Report | None:
        """The best report, the earlier one where two are equal; None where there is none."""
        return max(self.reports, key=lambda r: (direction.gain(r.value), -r.samples), default=None)

    @property
    def seconds(self) -> float:
        """Time spent on training and evaluating."""
        return self.reports[-1].seconds if self.reports else 0.0

    @property
    def samples(self) -> int:
        """Training samples seen up to the last report."""
        return self.reports[-1].samples if self.reports else 0


@dataclass(frozen=True, slots=True)
class Probe:
    """What a pretrained model knows before it is fine-tuned.

    Attributes:
        model: Reference of the model.
        value: The objective of a linear model on its frozen features, on held-out validation rows.
        rows: Number of rows it was fitted and measured on.
        seconds: Time it took.
        dropped: Why the model is not tried; empty where it is.
        reading: Seconds that the model takes to read a row, once it is warm; 0 where that was not measured.
    """

    model: str
    value: float
    rows: int
    seconds: float
    dropped: str = ""
    reading: float = 0.0


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """What a search is, as its tracking and its report need to know it.

    Attributes:
        id: Unique for ever, also between machines.
        name: The user's name for it, and its folder's.
        task: Name of the task.
        metric: Name of the objective.
        direction: Direction of the objective.
        started: Unix time of the first start.
        tags: More to be said about it, such as the data's fingerprint.
    """

    REPLACES: ClassVar[str] = "replaces"  # the tag with the ids of the searches that stood in its place before

    id: str
    name: str
    task: str
    metric: str
    direction: Direction
    started: float
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def replaces(self) -> tuple[str, ...]:
        """The ids of the searches that this one has replaced, the latest first."""
        return tuple(self.tags.get(self.REPLACES, "").split())


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A search at one moment, for whoever watches it.

    Attributes:
        name: Name of the search.
        phase: What is going on, in a few words ("searching", "scoring the winner").
        metric: Name of the objective.
        direction: Direction of the objective.
        trials: All trials so far, by number.
        running: Training samples seen by each trial that is training right now, by its number.
        horizons: Training samples at the end of each trial's horizon, by its number.
        planned: Number of trials to be started, where it is bounded.
        elapsed: Seconds since the search began.
        budget: Seconds that it may take, where it is bounded.
        blocks: Number of blocks of each model, by its reference, where it is known.
    """

    name: str
    phase: str
    metric: str
    direction: Direction
    trials: tuple[TrialRecord, ...] = ()
    running: Mapping[int, int] = field(default_factory=dict)
    horizons: Mapping[int, int] = field(default_factory=dict)
    planned: int | None = None
    elapsed: float = 0.0
    budget: float | None = None
    blocks: Mapping[str, int] = field(default_factory=dict)


def ranked(trials: Iterable[TrialRecord], direction: Direction) -> list[TrialRecord]:
    """The trials that may win, the best report first, the lower number first where they are equal.

    A trial that failed or has no report is not among them.
    """
    contenders = [(trial.best(direction), trial) for trial in trials if trial.state is not TrialState.FAILED]
    keyed = [(-direction.gain(best.value), trial.number, trial) for best, trial in contenders if best is not None]
    return [trial for _, _, trial in sorted(keyed, key=lambda entry: entry[:2])]


def in_order(trials: Iterable[TrialRecord], direction: Direction) -> list[TrialRecord]:
    """All trials: those that may win as `ranked` has them, then those without a report, the failed ones last."""
    trials = tuple(trials)
    first = ranked(trials, direction)
    numbers = {trial.number for trial in first}
    rest = (trial for trial in trials if trial.number not in numbers)
    return first + sorted(rest, key=lambda trial: (trial.state is TrialState.FAILED, trial.number))
