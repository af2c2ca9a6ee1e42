"""Records real learning curves for the simulation: configurations of the benchmarks' space, trained to their end.

    python -m benchmarks.recording --data asset:tweets --tiny 60 --minilm 24

One file per data set in `benchmarks/curves`; a run that was stopped goes on where it was. Time is CPU time of one
thread, so that a busy machine doesn't show in it. Nothing is paused, pruned or stopped early.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import material, results

if TYPE_CHECKING:
    from autoft.records import TrialConfig
    from autoft.training.job import Job

CURVES = Path(__file__).parent / "curves"
# Of an epoch: where the values are taken besides the ends of the epochs.
_EARLY = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 3 / 2, 5 / 2, 7 / 2)
_KNOBS = ("model", "learning_rate", "batch_size", "epochs", "freeze_depth")


def draws(models: Sequence[tuple[str, int, int]], seed: int = 0) -> list[dict[str, Any]]:
    """Configurations that fill the space evenly, in an order of which every beginning does so too.

    Args:
        models: Reference, number of blocks and number of configurations of each.
        seed: Of the draw.
    """
    from scipy.stats import qmc

    rates, sizes = material.SPACE["learning_rate"], material.SPACE["batch_size"]
    epochs = material.SPACE["epochs"]
    found = []
    for model, blocks, count in models:
        points = qmc.Halton(4, seed=np.random.default_rng(seed)).random(count)
        for rate, size, length, depth in points:
            exponent = math.log10(rates["low"]) + rate * math.log10(rates["high"] / rates["low"])
            found.append({
                "model": model,
                "learning_rate": float(f"{10**exponent:.4g}"),
                "batch_size": sizes[int(size * len(sizes))],
                "epochs": epochs["low"] + int(length * (epochs["high"] - epochs["low"] + 1)),
                "freeze_depth": int(depth * (blocks + 1)),
            })  # fmt: skip
    return found


def record(job: Job, config: TrialConfig) -> dict[str, Any]:
    """One curve.

    Returns:
        The knobs; `samples`, `value` and `loss` at each milestone; `train`, seconds for a sample; `evaluate`, seconds
        for the validation rows; `load`, seconds until the model is there; the frozen part, computed once for all,
        counts nowhere.
    """
    from autoft.training.finetune import FineTune

    clock = time.process_time
    start = clock()
    trial = FineTune(job, config)
    load = clock() - start
    trial.advance(0)  # the frozen part is computed here, in as many calls as it takes
    while not trial.samples and not trial.ended:
        trial.advance(0)
    before, begun = trial.samples, clock()
    while not trial.ended:
        trial.advance(math.inf)
    spent, evaluations = clock() - begun, len(trial.reports)
    begun = clock()
    trial.evaluate()
    evaluate = clock() - begun
    train = max(spent - evaluations * evaluate, 0.1 * spent) / max(trial.samples - before, 1)
    knobs = {knob: value for knob, value in asdict(config).items() if knob in _KNOBS}
    return {
        **knobs,
        "samples": [report.samples for report in trial.reports],
        "value": [round(report.value, 5) for report in trial.reports],
        "loss": [round(report.metrics["loss"], 4) for report in trial.reports],
        "train": float(f"{train:.4g}"),
        "evaluate": float(f"{evaluate:.4g}"),
        "load": float(f"{load:.4g}"),
        "ended": trial.ended,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains what isn't recorded yet."""
    from autoft.records import TrialConfig

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=material.TWEETS)
    parser.add_argument("--limit", type=int, help="rows of the data; all by default")
    parser.add_argument("--tiny", type=int, default=60, help="configurations of BERT-tiny")
    parser.add_argument("--minilm", type=int, default=24, help="configurations of MiniLM-L6")
    parser.add_argument("--out", type=Path, default=CURVES)
    parser.add_argument("--scratch", type=Path)
    given = parser.parse_args(arguments)
    material.quiet()
    plan = material.planned(given.data, **({"limit": given.limit} if given.limit else {}))
    path = given.out / f"{given.data.removeprefix('asset:')}.json"
    rows = len(plan.splits.train)
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"curves": []}
    if known.get("fingerprint", plan.splits.fingerprint) != plan.splits.fingerprint:
        raise SystemExit(f"{path}: recorded on other rows; delete it to record anew")
    blocks = {model.ref: model.blocks for model in plan.models}
    wanted = draws(
        [(material.TINY, blocks[material.TINY], given.tiny), (material.MINILM, blocks[material.MINILM], given.minilm)]
    )
    done = {tuple(curve[knob] for knob in _KNOBS) for curve in known["curves"]}
    with material.scratch(given.scratch) as folder:
        job = material.job(plan, folder / "data", rungs=tuple(max(1, round(share * rows)) for share in _EARLY))
        job = replace(job, cache=str(folder / "cache"))
        for knobs in wanted:
            if tuple(knobs[knob] for knob in _KNOBS) in done:
                continue
            curve = record(job, TrialConfig(**knobs))
            known["curves"].append(curve)
            print(json.dumps({**knobs, "best": max(curve["value"], default=None), "train": curve["train"]}), flush=True)
            known |= {"data": given.data, "metric": plan.metric, "rows": rows, "fingerprint": plan.splits.fingerprint}
            known["blocks"], known["machine"] = blocks, results.machine()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(known, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
