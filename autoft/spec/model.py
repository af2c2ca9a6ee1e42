"""The checked, frozen search spec."""

from __future__ import annotations

import os
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from autoft.space import Dimension, Range
from autoft.words import parse_duration, public_uri

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_STORES = "mlflow.tracking_store"  # where MLflow's plugins name the schemes that they bring


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def is_name(text: str) -> bool:
    """Whether a search can have that name, and its folder."""
    return len(text) <= 80 and _NAME.fullmatch(text) is not None


LEAST_BUDGET = 40.0  # seconds


def _nameable(ref: str) -> str:
    if not ref.strip():
        raise ValueError("is empty; leave it out or give a value")
    if "\0" in ref or any(len(part.encode("utf-8", "replace")) > 255 for part in ref.split("/")):
        raise ValueError("holds a name that no file and nothing on the hub can have")
    return ref


Ref = Annotated[str, AfterValidator(_nameable)]
Some = Annotated[str, Field(min_length=1)]
Duration = Annotated[float, BeforeValidator(parse_duration)]
Share = Annotated[float, Field(gt=0, lt=1)]


class DataSpec(_Section):
    """Where the labelled data are, and how they are split."""

    source: Ref | None = None
    """One table that autoft splits: a csv, tsv, jsonl, json, parquet or arrow file, a folder saved by
    `datasets`, `asset:NAME`, or the id of a data set on the hub."""

    config: Annotated[str, Field(min_length=1)] | None = None
    """Which configuration of a data set on the hub, where it has several: `sst2` of `nyu-mll/glue`, say."""

    train: Ref | None = None
    """The training table, where the splits are given (instead of `source`)."""

    validation: Ref | None = None
    """The validation table; without it a part of `train` is taken."""

    test: Ref | None = None
    """The test table; without it a part of `train` is taken. It stays locked until the end."""

    text: str = "text"
    """Column of the text."""

    text_pair: Some | None = None
    """Column of a second text, for tasks on pairs."""

    label: str = "label"
    """Column of the label."""

    separator: Some | None = None
    """What divides the labels of a row, for tasks with several of them in a column of texts: `;`, say."""

    split: Some | None = None
    """Column of `source` that says which part each row belongs to: train, validation (dev, val, valid) or test."""

    validation_size: Share = 0.15
    """Share of the rows that validation takes, where autoft splits."""

    test_size: Share = 0.15
    """Share of the rows that the test takes, where autoft splits."""

    limit: Annotated[int, Field(ge=20)] | None = None
    """Use at most this many rows, drawn with the search's seed."""

    clean: bool = False
    """Drop rows with an empty text or label, and repeated rows, instead of refusing them."""

    encoding: str = "utf-8"
    """Encoding of text files."""

    synonyms: Ref | None = None
    """Word list for `augmentation: synonym`, a line for each word: the word and its synonyms, with commas between;
    without it NLTK's WordNet is asked."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source is None) == (self.train is None):
            raise ValueError("give either `source` (one table, split by autoft) or `train` (splits of your own)")
        if self.source and (self.validation or self.test):
            raise ValueError("`validation` and `test` go with `train`, not with `source`")
        if self.train and self.split:
            raise ValueError("`split` goes with `source`: the tables of `train` have been split already")
        if self.validation_size + self.test_size >= 0.9:
            raise ValueError("`validation_size` and `test_size` together leave less than a tenth for training")
        return self


class SearchSection(_Section):
    """How the space is searched."""

    trials: Annotated[int, Field(ge=1)] | None = None
    """Number of configurations to try; without it as many as the budget allows (24 without a budget)."""

    budget: Duration | None = None
    """Wall clock for the whole search, the final evaluation included: `90s`, `10m`, `1h30m`."""

    @field_validator("budget")
    @classmethod
    def _long_enough(cls, budget: float | None) -> float | None:
        if budget is not None and budget < LEAST_BUDGET:
            raise ValueError(
                f"{budget:g}s is too short: the start of the workers and the scoring of the winner take half a minute; "
                f"give at least {LEAST_BUDGET:g}s"
            )
        return budget

    sampler: Literal["tpe", "random", "grid", "qmc", "gp", "cmaes"] = "tpe"
    """How configurations are drawn: `tpe` (tree-structured Parzen estimators), `random`, `grid` (all of a finite
    space), `qmc` (a Sobol sequence), `gp` (a Gaussian process), or `cmaes` (an evolution strategy, for ranges)."""

    scheduler: Literal["halving", "hyperband", "median", "none"] = "halving"
    """`halving` pauses trials at rungs and goes on with the best; `hyperband` does so in several brackets that begin
    later and later; `median` ends those behind the median of a rung; `none` trains each to its end."""

    eta: Annotated[int, Field(ge=2, le=10)] = 3
    """One in `eta` trials goes on from a rung, and the next one is `eta` times as far: in samples within the first
    epoch, then in epochs."""

    first_rung: Annotated[int, Field(ge=1)] | None = None
    """Training samples seen at the first rung; by default well inside the first epoch, where the data are enough."""

    patience: Annotated[int, Field(ge=1)] = 3
    """A trial ends after this many evaluations in a row without a new best."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the split, the sampler and every trial."""

    start: tuple[dict[str, Any], ...] | None = None
    """Configurations to try first; by default the plain recipe, then some good ones of the best-probed models."""

    against: Literal["parameters", "latency"] | None = None
    """A second objective that is weighed against the metric: the `parameters` of the model, or its `latency`, the time
    in which it answers one text on this machine. The answer is then a Pareto front: the best score at every cost."""

    within: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """Hand over the cheapest model of the front that scores less than the best by no more than this; by default the
    best score is handed over, whatever it costs."""

    @model_validator(mode="after")
    def _within_what_front(self) -> Self:
        if self.within is not None and self.against is None:
            raise ValueError("`within` goes with `against`; name a second objective, or leave it out")
        return self

    probe: bool = True
    """Measure what each model knows before it is trained: it orders the first trials, and drops hopeless models."""


class Finals(_Section):
    """How the winner is chosen among the best, once the search is over."""

    finalists: Annotated[int, Field(ge=1, le=10)] = 2
    """Trials, the best on validation, that may win."""

    repeats: Annotated[int, Field(ge=0, le=10)] = 2
    """How often each finalist is trained again, with a new seed each time."""

    plain: bool = True
    """Train the plain recipe (learning rate 2e-5, batch 16, 3 epochs) to its end, and compare the winner with it."""

    soup: bool = True
    """Let an average of the weights of the finalists, and of the trials next to them, compete, too."""

    @property
    def off(self) -> bool:
        """Nothing is trained, and nothing competes, beside the best trial of the search."""
        return self == NO_FINALS

    def where(self, within: float | None) -> Finals:
        """These; with `search.within` one finalist: what scores a bit more mustn't take the cheap one's place."""
        return self if within is None else self.model_copy(update={"finalists": 1, "soup": False})


NO_FINALS = Finals(finalists=1, repeats=0, plain=False, soup=False)


class Resources(_Section):
    """What a trial may use."""

    workers: Annotated[int, Field(ge=1)] | None = None
    """Trials at once; by default as many as fit."""

    cpus_per_trial: Annotated[int, Field(ge=1)] = 1
    """Cores, and so threads, of a trial."""

    gpus_per_trial: Annotated[float, Field(ge=0, le=16)] = 0
    """GPUs of a trial; a fraction lets trials share one."""

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the products of what is trained: by default bf16 where the hardware computes with it, else fp32."""

    address: str | None = None
    """Address of a running Ray cluster; by default Ray is started on this machine."""


class Tracking(_Section):
    """Where MLflow keeps the record."""

    uri: Some | None = None
    """An MLflow tracking URI; by default a SQLite store beside the searches."""

    @field_validator("uri", mode="before")
    @classmethod
    def _no_secret(cls, uri: Any) -> Any:
        # The spec is stored, and shown in MLflow; the message must not repeat the password either.
        text = str(uri)
        server = text.startswith(("http://", "https://"))
        # The name of a database's user is no secret, and nothing else can say it; a server's login may be a token.
        if public_uri(text) in (text, "" if server else re.sub(r"(?<=://)[^/:@\s]*@", "", text)):
            return uri
        instead = (
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            if server
            else "keep it where the database's client looks, for PostgreSQL ~/.pgpass or PGPASSWORD"
        )
        raise PydanticCustomError(
            "secret", f"holds a password or token, which would be stored with the search; leave it out and {instead}"
        )

    @field_validator("uri")
    @classmethod
    def _of_a_store(cls, uri: str | None) -> str | None:
        if uri is None or re.match(r"(https?|(sqlite|postgresql|mysql|mssql)(\+\w+)?)://", uri):
            return uri
        scheme = re.split(r"[:+]", uri)[0] if ":" in uri else uri
        if scheme.startswith("databricks") or scheme == "uc" or entry_points(group=_STORES, name=scheme):
            return uri
        if scheme in ("file", uri) and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() == "true":
            return uri
        raise ValueError(
            f"{public_uri(uri)!r} is no address of an MLflow store; give that of a server (http://HOST:5000) "
            f"or a database (sqlite:///runs/mlflow.db)"
        )

    experiment: Some = "autoft"
    """Name of the MLflow experiment."""

    register_model: bool = True
    """Register the winner, with the alias `champion`."""


def _as_source(value: Any) -> Any:
    return {"source": str(value)} if isinstance(value, str | Path) else value


def _as_finals(value: Any) -> Any:
    return NO_FINALS if value is False else {} if value is True or value is None else value


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class SearchSpec(_Section):
    """Everything a search needs to know."""

    name: str = "search"
    """Name of the search, and of its folder; by default that of the spec's file, or else of the data."""

    task: str
    """Name of the task; `autoft tasks` lists them. One of your own is `my_task:Toxicity`: its module and class."""

    data: Annotated[DataSpec, BeforeValidator(_as_source)]
    """The data; a string is short for `source`."""

    metric: Some | None = None
    """The metric to optimise; by default the task's own."""

    models: Annotated[tuple[Ref, ...], BeforeValidator(_as_list), Field(min_length=1)] | None = None
    """Pretrained models to choose from: a folder, `asset:NAME`, or an id on the hub; by default the task's."""

    space: dict[str, Dimension] = Field(default_factory=dict)
    """Dimensions by knob: a range, a list of choices, or one fixed value; the rest is the task's default."""

    per_model: dict[str, dict[str, Dimension]] = Field(default_factory=dict)
    """Dimensions that hold for one model only."""

    search: SearchSection = SearchSection()
    """How the space is searched."""

    finals: Annotated[Finals, BeforeValidator(_as_finals)] = Finals()
    """How the winner is chosen among the best; `false` takes the best trial of the search as it is."""

    resources: Resources = Resources()
    """What a trial may use."""

    tracking: Tracking = Tracking()
    """Where MLflow keeps the record."""

    @field_validator("name")
    @classmethod
    def _safe_name(cls, name: str) -> str:
        if not is_name(name):
            raise ValueError(
                f"{name!r} can't be the name of a folder; use up to 80 letters, digits, '-', '_', and '.' between them"
            )
        return name

    @field_validator("models")
    @classmethod
    def _distinct(cls, models: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if models and len(set(models)) < len(models):
            raise ValueError("the same model stands there twice")
        return models

    @property
    def idle(self) -> dict[tuple[str, str], str]:
        """Entries that can have no effect beside the others, by section and key, each with the reason."""
        found: dict[tuple[str, str], str] = {}
        if self.search.scheduler == "none":
            found |= {("search", key): "with `scheduler: none`" for key in ("eta", "first_rung")}
        for part in ("validation", "test"):
            if getattr(self.data, part):
                found["data", f"{part}_size"] = f"where `{part}` is given"
        return found

    def dump(self) -> dict[str, Any]:
        """The spec as plain data that `parse` reads back to an equal spec; what has no effect is left out."""
        data = self.model_dump(mode="json", exclude_none=True, exclude={"space", "per_model"})
        for section, key in self.idle:
            data[section].pop(key, None)
        data["space"] = {knob: _plain(dimension) for knob, dimension in self.space.items()}
        data["per_model"] = {
            model: {knob: _plain(dimension) for knob, dimension in knobs.items()}
            for model, knobs in self.per_model.items()
        }
        return data


def _plain(dimension: Dimension) -> Any:
    if isinstance(dimension, Range):
        plain: dict[str, Any] = {"low": dimension.low, "high": dimension.high}
        if dimension.log:
            plain["log"] = True
        if dimension.step is not None:
            plain["step"] = dimension.step
        return plain
    return list(dimension.values) if len(dimension.values) > 1 else dimension.values[0]
