"""The champions of the model registry, beside the searches that found them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autoft.records import SearchRecord, TrialRecord
    from autoft.tracking import Champion


def crowned(
    found: list[tuple[SearchRecord, tuple[TrialRecord, ...], dict[str, Any] | None]], runs: Path
) -> tuple[list[Champion], list[str]]:
    """The champions in the MLflow stores of these searches.

    MLflow takes seconds to load, so it is asked only where a search has registered a model.

    Returns:
        The champions, and what was wrong with the stores that could not be asked, a line each.
    """
    from autoft import tracking
    from autoft.cli.ui import store_uri, told
    from autoft.errors import AutoftError

    champions: list[Champion] = []
    problems: list[str] = []
    stores: set[str] = set()
    for search, _, report in found:
        if ((report or {}).get("mlflow") or {}).get("model_version") is None:
            continue
        try:
            uri = store_uri(runs, told(runs, search.name))
            if uri not in stores:
                stores.add(uri)
                champions += tracking.champions(uri)
        except AutoftError as error:
            problems.append(str(error))
    return champions, problems


def champions_table(champions: list[Champion]) -> RenderableType:
    """Each champion with its version, where it comes from, its test score, and since when it is the champion."""
    from rich.table import Table
    from rich.text import Text

    from autoft.report.labels import between, score

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("champion", overflow="fold")
    table.add_column("version", justify="right", no_wrap=True)
    table.add_column("search", overflow="fold")
    table.add_column("since", no_wrap=True)
    table.add_column("test score")
    for one in champions:
        span = between(one.interval)
        said = f"{one.metric} {score(one.score)}" + (f" ({span})" if span else "")
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.since))
        table.add_row(Text(one.model, "bold green"), one.version, one.search, since, Text(said))
    return table
