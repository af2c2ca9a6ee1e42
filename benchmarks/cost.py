"""What a search of 32 configurations costs, in units of one full fine-tune by `transformers.Trainer`.

    make bench NAME=cost
    python -m benchmarks.cost --runs 5 --trials 32

Both are processes of their own and are timed from outside, start-up included, on all cores. The search is
`autoft search` over BERT-tiny and MiniLM-L6 on tweets, to the end: the winner scored on the test rows, saved,
registered in MLflow. The fine-tune is MiniLM-L6 over the longest horizon of the space with everything else at the
Trainer's defaults. They take turns, and every run has a seed of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import material, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGETS = {"search32_vs_one_finetune": "<= 1.0"}
ROOT = Path(__file__).parents[1]

Run = dict[str, Any]


def search(folder: Path, *, models: Sequence[str], data: str, seed: int, **options: Any) -> Run:
    """A search in a process of its own; seconds, the winner's test accuracy and the number of trials.

    Args:
        folder: Gets `runs/search-SEED`.
        models: What is searched over.
        data: What is learnt.
        seed: Of the search.
        options: More of the spec: `trials`, `budget`, `workers`, …
    """
    from autoft.spec import write_yaml

    spec = material.spec(data, models, seed, name=f"search-{seed}", metric="accuracy", **options)
    path = folder / f"{spec.name}.yaml"
    write_yaml(spec, path)
    seconds = timed(["-m", "autoft", "search", str(path), "--runs", str(folder / "runs"), "--json"])
    report = json.loads((folder / "runs" / spec.name / "report.json").read_text(encoding="utf-8"))
    return {
        "seconds": seconds,
        "accuracy": report["winner"]["test"],
        "trials": report["trials"]["total"],
        "seconds_inside": report["seconds"],
    }


def finetune(folder: Path, *, model: str, data: str, epochs: int, seed: int) -> Run:
    """A fine-tune by the Trainer in a process of its own; seconds and test accuracy."""
    from autoft.training.models import resolve

    plan = material.planned(data, (model,), seed=seed)
    rows = folder / f"rows-{seed}"
    rows.mkdir()
    for part in ("train", "test"):
        table = getattr(plan.splits, part)
        table = table.rename(columns={plan.meta["text"]: "text", plan.meta["label"]: "label"})
        table.to_parquet(rows / f"{part}.parquet")
    printed: list[str] = []
    output = folder / f"out-{seed}"
    seconds = timed(["-m", "benchmarks.one_finetune", *map(str, (rows, resolve(model), epochs, output))], printed)
    return {"seconds": seconds, "epochs": epochs, **json.loads(printed[-1])}


def timed(arguments: Sequence[str], printed: list[str] | None = None) -> float:
    """Seconds of a Python process from outside; what it printed is added to `printed`.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.pop("OMP_NUM_THREADS", None)  # all cores, whatever the caller was told to use
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(f"{' '.join(arguments[:2])} failed:\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    if printed is not None:
        printed += done.stdout.splitlines()
    return seconds


def figures(runs: Sequence[Run]) -> dict[str, list[float]]:
    """The ratio of every run, with the times it is made of."""
    return {
        "search32_vs_one_finetune": [run["search"]["seconds"] / run["finetune"]["seconds"] for run in runs],
        "search_seconds": [run["search"]["seconds"] for run in runs],
        "finetune_seconds": [run["finetune"]["seconds"] for run in runs],
        "test_accuracy_difference": [run["search"]["accuracy"] - run["finetune"]["accuracy"] for run in runs],
    }


def table(runs: Sequence[Run]) -> results.Table:
    """A row for every run."""
    rows = [
        (run["seed"], one["trials"], one["seconds"], other["seconds"], one["seconds"] / other["seconds"],
         one["accuracy"], other["accuracy"])
        for run in runs
        for one, other in [(run["search"], run["finetune"])]
    ]  # fmt: skip
    head = ("seed", "trials", "search, s", "fine-tune, s", "ratio", "accuracy of the winner", "of the fine-tune")
    return results.Table("Runs", head, rows)


def plot(runs: Sequence[Run]) -> Callable[[Figure], None]:
    """Two bars for every run."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for shift, kind, label in ((-0.2, "search", "search"), (0.2, "finetune", "one fine-tune by the Trainer")):
            axes.bar([i + shift for i in range(len(runs))], [run[kind]["seconds"] for run in runs], 0.4, label=label)
        axes.set_xticks(range(len(runs)), [f"seed {run['seed']}" for run in runs])
        axes.set(ylabel="seconds")
        axes.legend()

    return draw


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and writes its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=int(material.SPACE["epochs"]["high"]), help="of the fine-tune")
    parser.add_argument("--models", nargs="+", default=[material.TINY, material.MINILM], help="the largest one last")
    parser.add_argument("--data", default=material.TWEETS)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--out", type=Path, default=results.RESULTS)
    given = parser.parse_args(arguments)
    material.quiet()
    runs: list[Run] = []
    with material.scratch(given.scratch) as folder:
        for seed in range(given.runs):
            steps: dict[str, Callable[[], Run]] = {
                "search": lambda seed=seed: search(  # type: ignore[misc]
                    folder, models=given.models, data=given.data, trials=given.trials, seed=seed
                ),
                "finetune": lambda seed=seed: finetune(  # type: ignore[misc]
                    folder, model=given.models[-1], data=given.data, epochs=given.epochs, seed=seed
                ),
            }
            run: Run = {"seed": seed}
            for kind in sorted(steps, reverse=bool(seed % 2)):  # in turns, each first as often as the other
                run[kind] = steps[kind]()
                print(f"seed {seed}, {kind}: {run[kind]}", flush=True)
            runs.append(run)
    settings = {"models": given.models, "data": given.data, "trials": given.trials, "epochs": given.epochs}
    results.write(
        "cost", figures(runs), runs=runs, targets=TARGETS, settings=settings, tables=[table(runs)], plot=plot(runs),
        folder=given.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
