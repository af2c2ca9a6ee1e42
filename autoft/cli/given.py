"""The arguments that say what to search for, shared by the commands that take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from autoft.cli import options


def _given(
    spec: options.SpecFile = None,
    *,
    task: options.Task = None,
    data: options.Data = None,
    text: options.Text = None,
    text_pair: options.TextPair = None,
    label: options.Label = None,
    split: options.Split = None,
    encoding: options.Encoding = None,
    model: options.Models = None,
    metric: options.Metric = None,
    against: options.Against = None,
    clean: options.Clean = None,
    limit: options.Limit = None,
    set_: options.Settings = None,
    budget: options.Budget = None,
    trials: options.Trials = None,
    workers: options.Workers = None,
    seed: options.Seed = None,
    name: options.Name = None,
    tracking_uri: options.TrackingUri = None,
    experiment: options.Experiment = None,
) -> dict[str, Any]:
    found = options.given(
        set_,
        task=task,
        data=data,
        text=text,
        text_pair=text_pair,
        label=label,
        split=split,
        encoding=encoding,
        models=model or None,
        metric=metric,
        against=against,
        clean=clean,
        limit=limit,
        budget=budget,
        trials=trials,
        workers=workers,
        seed=seed,
        name=name,
        tracking_uri=tracking_uri,
        experiment=experiment,
    )
    return {"path": spec, **found}


def takes_a_search(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command a spec file and all the options that go before it.

    Args:
        command: Its first parameter gets them as keywords of `autoft.api.make_spec`; its others stay its own.
    """
    shared = inspect.signature(_given, eval_str=True).parameters
    first, *own = inspect.signature(command, eval_str=True).parameters.values()

    @wraps(command)
    def taking(**arguments: Any) -> None:
        given = _given(**{name: arguments.pop(name) for name in shared})
        command(**{first.name: given}, **arguments)

    # What Typer reads; the annotations that `wraps` has copied are those of `command`.
    taking.__annotations__ = {}
    taking.__signature__ = inspect.Signature([*shared.values(), *own])  # type: ignore[attr-defined]
    return taking
