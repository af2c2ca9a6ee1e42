"""Tokens per second of a fine-tune: ours against `transformers.Trainer`, and what freezing and its cache save.

    make bench NAME=engine
    python -m benchmarks.engine --rounds 5 --rows 768

MiniLM-L6 on tweets, batch 16, the model's own dropout, AdamW, clipping. In every round all contestants run, one after
another, in another order than the round before; the figures are ratios within a round. A step lasts from the moment
its loss is asked for to the same moment of the next one, whoever trains; what happens between epochs isn't counted.

Ours computes in fp32 as the Trainer does; "as searched" is with the precision that a search takes here by itself.

The peak is the best rate of large fp32 matrix products (2048 x 2048) that either of PyTorch's two libraries reaches
here, MKL (behind `torch.mm`) or oneDNN; padding doesn't count as work.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import material, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from autoft.training.job import Job

TARGETS = {
    "full_vs_default": ">= 2.0",
    "full_vs_grouped": ">= 1.2",
    "peak_share": ">= 0.80",
    "freeze4_cached_vs_uncached": ">= 1.6",
    "all_frozen_cached_vs_uncached": ">= 30",
    "cached_vs_suffix": "<= 1.15",
}
BATCH = 16
DENSE = ((2048, 2048, 2048),)
_SEARCHED = "as searched"
_DEPTH = 4  # the freeze depth that a target speaks of
_QUICK = 20  # epochs where a step takes about a millisecond

Run = dict[str, Any]


def measure(
    job: Job, model: str, *, folder: Path, rounds: int, threads: Sequence[int], seconds: float, seed: int = 0
) -> list[Run]:
    """All rounds.

    Args:
        job: Data whose number of training rows is a multiple of the batch size.
        model: Reference of a BERT.
        folder: For caches and the Trainer's files.
        rounds: How often every contestant runs.
        threads: The first count gets all contestants, the others those without frozen blocks.
        seconds: For each measurement of the peak.
        seed: Of the contestants' order.

    Returns:
        One entry per round and number of threads.
    """
    from autoft.records import TrialConfig
    from autoft.training.devices import precision
    from autoft.training.models import inspect
    from benchmarks import steps

    info = inspect(model)

    def config(depth: int = 0, epochs: int = 1) -> TrialConfig:
        return TrialConfig(model, 2e-5, BATCH, epochs, depth)

    whole = job.task.build(info.path, job.meta, config())
    order = random.Random(seed)
    runs = []
    for i in range(rounds):
        for count in threads:
            plain = replace(job, threads=count)
            cached = replace(plain, cache=str(folder / "cache"))
            trainer = partial(steps.trainers, plain, config(), folder / "trainer")
            contestants: dict[str, Callable[[], dict[str, float]]] = {
                "ours": partial(steps.ours, plain, config()),
                "default": trainer,
                "grouped": partial(trainer, train_sampling_strategy="group_by_length"),
            }
            for depth in range(1, info.blocks + 1) if count == threads[0] else ():
                few = config(depth, _QUICK if depth == info.blocks else 1)
                contestants[f"uncached {depth}"] = partial(steps.ours, plain, config(depth))
                contestants[f"cached {depth}"] = partial(steps.ours, cached, few)
                contestants[f"suffix {depth}"] = partial(steps.bare_suffix, plain, few)
            if count == threads[0]:
                searched = {kind: replace(one, precision=precision()) for kind, one in (("un", plain), ("", cached))}
                contestants[_SEARCHED] = partial(steps.ours, searched["un"], config())
                for kind, one in searched.items() if info.blocks > _DEPTH else ():
                    contestants[f"{kind}cached {_DEPTH}, {_SEARCHED}"] = partial(steps.ours, one, config(_DEPTH))
            names = list(contestants)
            order.shuffle(names)
            found = {}
            for name in names:
                found[name] = contestants[name]()
                print(f"round {i + 1}, {count} thread(s), {name}: {_pace(found[name]):.1f} ms a step", flush=True)
            full = found["ours"]
            tokens = full["tokens"] / full["steps"]
            runs.append(
                {
                    "round": i,
                    "threads": count,
                    "blocks": info.blocks,
                    "contestants": found,
                    "step_flop": steps.step_work(whole, BATCH, tokens, tokens / BATCH),
                    "peak_flops": steps.matrix_products(DENSE, count, seconds),
                    "shapes_flops": steps.matrix_products(steps.block_products(whole, round(tokens)), count, seconds),
                }
            )
    return runs


def figures(runs: Sequence[Run]) -> dict[str, list[float]]:
    """The figures of all rounds; those of more than one thread have its number in their key."""
    found: dict[str, list[float]] = {}
    for run in runs:
        suffix = "" if run["threads"] == 1 else f"_{run['threads']}_threads"
        for key, value in _ratios(run).items():
            found.setdefault(f"{key}{suffix}", []).append(value)
    return found


def _ratios(run: Run) -> dict[str, float]:
    by, full = run["contestants"], run["contestants"]["ours"]
    rate = {name: one["tokens"] / one["seconds"] for name, one in by.items()}
    flops = run["step_flop"] * full["steps"] / full["seconds"]
    found = {
        "tokens_per_second": rate["ours"],
        "full_vs_default": rate["ours"] / rate["default"],
        "full_vs_grouped": rate["ours"] / rate["grouped"],
        "peak_share": flops / max(run["peak_flops"].values()),
        "torch_mm_share": flops / run["peak_flops"]["torch.mm"],
        "shapes_share": flops / max(run["shapes_flops"].values()),
    }
    if _SEARCHED in by:
        found["full_vs_default_as_searched"] = rate[_SEARCHED] / rate["default"]
    if (name := f"cached {_DEPTH}, {_SEARCHED}") in by:
        found[f"freeze{_DEPTH}_cached_vs_uncached_as_searched"] = _pace(by[f"un{name}"]) / _pace(by[name])
    deepest = run["blocks"]
    for depth in range(1, deepest + 1):
        if f"cached {depth}" not in by:
            continue
        uncached, cached, suffix = (_pace(by[f"{kind} {depth}"]) for kind in ("uncached", "cached", "suffix"))
        name = "all_frozen" if depth == deepest else f"freeze{depth}"
        found[f"{name}_cached_vs_uncached"] = uncached / cached
        found["cached_vs_suffix" if depth == _DEPTH else f"{name}_cached_vs_suffix"] = cached / suffix
    return found


def tables(runs: Sequence[Run]) -> list[results.Table]:
    """Milliseconds of a step for every contestant, and the rates that the peak is made of."""
    counts = sorted({run["threads"] for run in runs})
    head = ("", *(f"{count} thread{'s' if count > 1 else ''}" for count in counts))
    names = list(dict.fromkeys(name for run in runs for name in sorted(run["contestants"], key=_place)))
    paces = results.Table(
        "Milliseconds a step, median", head, [(n, *(_typical(runs, n, c) for c in counts)) for n in names]
    )
    first = [run for run in runs if run["threads"] == counts[0]]
    rows = [
        (what, library, max(run[key][library] for run in first) / 1e9)
        for what, key in (("2048 x 2048", "peak_flops"), ("the model's shapes", "shapes_flops"))
        for library in first[0][key]
    ]
    rate = results.Table("fp32 matrix products, GFLOP/s, best", ("products", "library", head[1]), rows)
    return [paces, rate]


def plot(runs: Sequence[Run]) -> Callable[[Figure], None]:
    """Milliseconds of a step by freeze depth, on the first number of threads."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        count, blocks = runs[0]["threads"], runs[0]["blocks"]
        depths = range(1, blocks + 1)
        for kind, label in (("uncached", "computed at every step"), ("cached", "cached"), ("suffix", "suffix alone")):
            line = [_typical(runs, f"{kind} {depth}", count) for depth in depths]
            first = [] if kind == "suffix" else [_typical(runs, "ours", count)]
            axes.plot([*range(1 - len(first), blocks + 1)], first + line, marker="o", label=label)
        for name, label in (("default", "Trainer, default"), ("grouped", "Trainer, group_by_length")):
            axes.plot([0], [_typical(runs, name, count)], marker="s", linestyle="", label=label)
        axes.set(xlabel="frozen blocks", ylabel="milliseconds a step", yscale="log")
        axes.legend()

    return draw


def _pace(one: Mapping[str, float]) -> float:
    return 1000 * one["seconds"] / one["steps"]


def _typical(runs: Sequence[Run], name: str, threads: int) -> float | str:
    from statistics import median

    paces = [
        _pace(run["contestants"][name]) for run in runs if run["threads"] == threads and name in run["contestants"]
    ]
    return median(paces) if paces else ""


def _place(name: str) -> tuple[int, str]:
    depths = [word for word in name.replace(",", "").split() if word.isdigit()]
    return (int(depths[0]) if depths else 0, name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and writes its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=24 * BATCH, help="training rows, a multiple of 16")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--model", default=material.MINILM)
    parser.add_argument("--peak-seconds", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=results.RESULTS)
    given = parser.parse_args(arguments)
    material.quiet()
    with material.scratch() as folder:
        job = material.job(material.planned(models=(given.model,)), folder / "data", train=given.rows, validation=BATCH)
        runs = measure(
            job, given.model, folder=folder, rounds=given.rounds, threads=given.threads, seconds=given.peak_seconds
        )
    found = figures(runs)
    settings = {"model": given.model, "rows": given.rows, "batch_size": BATCH, "rounds": given.rounds}
    targets = {key: target for key, target in TARGETS.items() if key in found}
    results.write(
        "engine", found, runs=runs, targets=targets, settings=settings, tables=tables(runs), plot=plot(runs),
        notes=["Figures without a number of threads in their name are those of one thread."], folder=given.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
