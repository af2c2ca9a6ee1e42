"""`autoft tasks`: what autoft can fine-tune for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from autoft.cli import options

if TYPE_CHECKING:
    from autoft.tasks import Task


def tasks(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One task, in more detail.")] = None,
    json: options.Json = False,
) -> None:
    """List the tasks, with a command to try for each.

    Examples:
      autoft tasks
      autoft tasks text-classification
    """
    from autoft import tasks as registry

    found = [registry.get(task) for task in ([name] if name else registry.names())]
    if json:
        import json as jsonlib

        said = [
            {
                "name": task.name,
                "summary": task.summary,
                "example": task.example,
                "metrics": {metric: str(direction) for metric, direction in task.metrics.items()},
                "models": list(task.models),
                "space": dict(task.space()),
                "losses": list(task.losses),
                "knobs": {knob: _knob(knob, task) for knob in _obeyed(task)},
            }
            for task in found
        ]
        typer.echo(jsonlib.dumps(said, indent=2, ensure_ascii=False))
        return
    for task in found:
        typer.secho(task.name, bold=True)
        typer.echo(f"  {task.summary}")
        default, *others = task.metrics
        typer.echo(f"  metrics: {default} (default), {', '.join(others)}")
        typer.echo(f"  models:  {', '.join(task.models)}")
        if name:
            for knob, dimension in task.space().items():
                typer.echo(f"  space.{knob}: {_searched(knob, dimension)}")
            typer.echo("  knobs that can be searched, with their defaults:")
            for knob in _obeyed(task):
                typer.echo(f"    {knob}: {_knob(knob, task)}")
        typer.echo(f"  try:     {task.example}")


def _obeyed(task: Task) -> list[str]:
    from autoft.knobs import KNOBS, TASK_KNOBS

    return [knob for knob in KNOBS if knob not in TASK_KNOBS or knob in task.knobs]


def _knob(knob: str, task: Task) -> str:
    """A knob in one line: what it is, when it counts, what is allowed, and its default."""
    from autoft.knobs import KNOBS
    from autoft.records import CONDITIONS
    from autoft.words import compact

    known = KNOBS[knob]
    parent, values = CONDITIONS.get(knob, ("", ()))
    when = f", with {parent} {' or '.join(str(value) for value in values if value is not None)}" if parent else ""
    allowed = ", ".join(task.losses) if knob == "loss" else known.bounds
    default = known.default if isinstance(known.default, str) else compact(known.default)
    default = "null" if known.default is None else default
    return f"{known.about}{when} ({allowed}; default {task.losses[0] if knob == 'loss' else default})"


def _searched(knob: str, raw: object) -> str:
    from autoft.space import describe
    from autoft.spec.dimensions import parse_dimensions

    if isinstance(raw, dict) and raw.get("high") == "all":
        return f"{raw['low']} … all"
    return describe(parse_dimensions("space", {knob: raw}, [])[knob])
