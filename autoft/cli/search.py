"""`autoft search`: the whole way from a table to a winner."""

from __future__ import annotations

from typing import Any

from autoft.cli import options
from autoft.cli.given import takes_a_search
from autoft.words import RUNS


@takes_a_search
def search(
    given: dict[str, Any],
    *,
    runs: options.Runs = RUNS,
    replace: options.Replace = False,
    json: options.Json = False,
) -> None:
    """Search for the best fine-tuned model.

    A spec file, options, or both; an option takes precedence over the file.
    Ctrl-C keeps everything, and `autoft resume` goes on.

    Examples:
      autoft search search_spaces/quickstart.yaml
      autoft search search_spaces/quickstart.yaml --budget 5m --name quick
      autoft search --task text-classification --data reviews.csv --text review --label sentiment --budget 10m
      autoft search --task text-classification --data asset:tweets --model asset:bert-tiny --trials 12
      autoft search my.yaml --set space.freeze_depth=all --set 'space.learning_rate={low: 1e-5, high: 1e-3, log: true}'
    """
    from autoft import api
    from autoft.cli.watching import watched

    wanted = api.sound_spec(runs=runs, **given)
    watched(lambda observer: api.search(wanted, runs=runs, replace=replace, observer=observer), runs, json)
