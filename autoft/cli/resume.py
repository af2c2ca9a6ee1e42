"""`autoft resume`: a stopped search goes on, a finished one gets more trials."""

from __future__ import annotations

from typing import Annotated

import typer

from autoft.cli import options
from autoft.words import RUNS


def resume(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the search.")],
    budget: options.Budget = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Configurations to try in all, those tried before included.",
            rich_help_panel="How it is searched",
        ),
    ] = None,
    runs: options.Runs = RUNS,
    json: options.Json = False,
) -> None:
    """Go on with a search that was stopped, killed, or should try more.

    Trials go on from their last checkpoint; after a kill at most a minute is trained again.

    Examples:
      autoft resume quickstart
      autoft resume quickstart --trials 40
      autoft resume quickstart --budget 30m
    """
    from autoft import api
    from autoft.cli.watching import watched

    watched(lambda observer: api.resume(name, runs=runs, budget=budget, trials=trials, observer=observer), runs, json)
