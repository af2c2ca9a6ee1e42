"""`autoft tasks`: what autoft can fine-tune for."""

from __future__ import annotations

from typing import Annotated

import typer

from autoft.cli import options


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
        typer.echo(f"  try:     {task.example}")


def _searched(knob: str, raw: object) -> str:
    from autoft.space import describe
    from autoft.spec.dimensions import parse_dimensions

    if isinstance(raw, dict) and raw.get("high") == "all":
        return f"{raw['low']} … all"
    return describe(parse_dimensions("space", {knob: raw}, [])[knob])
