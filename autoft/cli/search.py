"""`autoft search`: the whole way from a table to a winner."""

from __future__ import annotations

from autoft.cli import options


def search(
    spec: options.SpecFile = None,
    *,
    task: options.Task = None,
    data: options.Data = None,
    text: options.Text = None,
    text_pair: options.TextPair = None,
    label: options.Label = None,
    model: options.Models = None,
    metric: options.Metric = None,
    clean: options.Clean = None,
    limit: options.Limit = None,
    set_: options.Settings = None,
    budget: options.Budget = None,
    trials: options.Trials = None,
    workers: options.Workers = None,
    seed: options.Seed = None,
    name: options.Name = None,
    runs: options.Runs = options.RUNS,
    replace: options.Replace = False,
    tracking_uri: options.TrackingUri = None,
    experiment: options.Experiment = None,
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

    given = options.given(
        set_,
        task=task,
        data=data,
        text=text,
        text_pair=text_pair,
        label=label,
        models=model or None,
        metric=metric,
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
    wanted = api.make_spec(spec, **given)
    watched(lambda observer: api.search(wanted, runs=runs, replace=replace, observer=observer), runs, json)
