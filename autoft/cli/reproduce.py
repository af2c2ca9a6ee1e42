"""`autoft reproduce`: the winner trained once more from its record."""

from __future__ import annotations

import json as json_
from typing import Annotated

import typer

from autoft.cli import options
from autoft.words import RUNS


def reproduce(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the search.")],
    runs: options.Runs = RUNS,
    json: options.Json = False,
) -> None:
    """Train the winner of a search again from its record, and say whether the score is the same.

    The same rows, the same seed, and the validation rows to measure it on: the test rows stay locked.
    The exit code is 1 where the score is another one.

    Examples:
      autoft reproduce quickstart
    """
    from autoft import api

    found = api.reproduce(name, runs=runs, tell=lambda line: typer.echo(line, err=True))
    if json:
        typer.echo(json_.dumps(found.as_dict()))
    else:
        typer.echo(
            f"{'the same' if found.same else 'NOT the same'}: {found.metric} on validation is {found.found:.6f}, "
            f"recorded was {found.recorded:.6f}"
        )
        if found.largest is not None:
            typer.echo(f"largest difference of a score of a row: {found.largest:.2g}")
        if found.versions:
            typer.echo(f"versions that differ from then: {', '.join(found.versions)}")
    if not found.same:
        raise typer.Exit(1)
