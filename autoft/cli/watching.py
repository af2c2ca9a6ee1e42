"""Runs a search under the eyes of the user: what stands on the screen meanwhile, and at the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoft.cli.final import final
from autoft.cli.lines import Lines
from autoft.cli.screen import Screen

if TYPE_CHECKING:
    from autoft.api import Result
    from autoft.records import Snapshot

Observer = Callable[["Snapshot"], None]


def watched(run: Callable[[Observer], Result], runs: Path, as_json: bool) -> None:
    """Runs a search, shows how it goes, and prints its outcome.

    Args:
        run: Runs the search with the observer that it is given.
        runs: Folder that holds the searches.
        as_json: Print the report as JSON on standard output; everything else goes to standard error.
    """
    console = Console(stderr=as_json, highlight=False)
    watch: AbstractContextManager[Observer] = Screen(console) if console.is_terminal else Lines(console)
    with watch as observer:
        result = run(observer)
    if as_json:
        typer.echo(json.dumps(result.report, indent=2, ensure_ascii=False))
    else:
        console.print(final(result.report, runs, console.width))
