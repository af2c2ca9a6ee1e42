"""Does the probe foresee what fine-tuning gives, and does it ever drop the model that would have won?

    make bench NAME=probe
    python -m benchmarks.probe --seeds 0 1 2

Every model is probed as a search probes it, and fine-tuned: the whole model at two learning rates, the better one
counts. Both scores are those of the validation rows, the fine-tuned one of the test rows as well, which halves its
noise. Few pretrained models can be had without a hub, so some are cut: the first blocks of a real one, which is a model
like any other to a probe.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import material, results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from autoft.planning import Plan

TARGETS = {"rank_correlation": ">= 0.5", "winners_dropped": "<= 0"}
RATES = (1e-4, 4e-4)
EPOCHS = 3
# How many blocks are left of which model; None: all.
MODELS: Mapping[str, tuple[str, int | None]] = {
    "bert-tiny": (material.TINY, None),
    "bert-tiny, 1 block": (material.TINY, 1),
    "minilm-l6": (material.MINILM, None),
    "minilm-l6, 3 blocks": (material.MINILM, 3),
    "minilm-l6, 1 block": (material.MINILM, 1),
}
LISTS: Mapping[str, tuple[str, ...]] = {
    "the real ones": ("bert-tiny", "minilm-l6"),
    "of one family": ("minilm-l6", "minilm-l6, 3 blocks", "minilm-l6, 1 block"),
    "all": tuple(MODELS),
}

Run = dict[str, Any]


def cut(reference: str, blocks: int | None, folder: Path) -> str:
    """A model with its first blocks alone, saved to `folder`; its reference."""
    from transformers import AutoModel

    from autoft.training.models import load_tokenizer, quiet, resolve

    if blocks is None:
        return reference
    quiet()
    model: Any = AutoModel.from_pretrained(resolve(reference), use_safetensors=True)
    model.encoder.layer = model.encoder.layer[:blocks]
    model.config.num_hidden_layers = blocks
    model.save_pretrained(folder)
    load_tokenizer(resolve(reference)).save_pretrained(folder)
    return str(folder)


def probed(plan: Plan, names: Mapping[str, str]) -> dict[str, Run]:
    """Value and verdict of every model's probe, by its reference, on one list of models."""
    from autoft.training.probe import Question, probe_models

    infos = [info for info in plan.models if info.ref in names]
    question = Question(plan.task, plan.meta, plan.metric, 128, plan.spec.search.seed, threads=2)
    found = probe_models(question, infos, plan.splits.train, plan.splits.validation)
    return {
        names[one.probe.model]: {"value": one.probe.value, "dropped": one.probe.dropped, "seconds": one.probe.seconds}
        for one in found
    }


def finetuned(plan: Plan, folder: Path, reference: str) -> float:
    """The better of two whole fine-tunes, as the mean score of validation and test rows."""
    import pandas as pd

    from autoft.records import TrialConfig
    from autoft.training.finetune import FineTune

    job = material.job(plan, folder, threads=2, precision=plan.spec.resources.precision)
    both = pd.concat([plan.splits.validation, plan.splits.test], ignore_index=True)
    both.to_parquet(folder / "validation.parquet")
    scores = []
    for rate in RATES:
        config = TrialConfig(reference, rate, 16, EPOCHS, 0, dropout=0.0, seed=plan.spec.search.seed)
        trial = FineTune(job, config)
        while not trial.ended:
            trial.advance(60.0)
        scores.append(trial.reports[-1].value)
    return max(scores)


def run(data: str, seed: int, folder: Path, rows: int) -> Run:
    """Probes and fine-tunes every model on one data set."""
    names = {cut(*model, folder / name): name for name, model in MODELS.items()}
    plan = material.planned(data, tuple(names), seed=seed, metric="accuracy", limit=rows)
    lists = {}
    for title, members in LISTS.items():
        lists[title] = probed(plan, {ref: name for ref, name in names.items() if name in members})
    tuned = {name: finetuned(plan, folder / "rows", reference) for reference, name in names.items()}
    return {"data": data.removeprefix("asset:"), "seed": seed, "probes": lists, "finetuned": tuned}


def combinations(runs: Sequence[Run]) -> list[Run]:
    """For each data set, seed and list of models: rank correlation, and whether the eventual winner was dropped."""
    from scipy.stats import spearmanr

    found = []
    for one, title in [(one, title) for one in runs for title in LISTS]:
        probes = one["probes"][title]
        names = sorted(probes)
        tuned = [one["finetuned"][name] for name in names]
        correlation = float(spearmanr([probes[name]["value"] for name in names], tuned).statistic)
        dropped = [name for name in names if probes[name]["dropped"]]
        # The best of equals is whichever was kept.
        lost = bool(dropped) and max(tuned) > max(one["finetuned"][name] for name in names if name not in dropped)
        found.append(
            {"data": one["data"], "seed": one["seed"], "models": title, "correlation": correlation,
             "dropped": dropped, "winner_dropped": lost}
        )  # fmt: skip
    return found


def figures(runs: Sequence[Run]) -> dict[str, list[float]]:
    """One rank correlation for every combination that has one (its models' scores differ), and the models dropped."""
    known = combinations(runs)
    return {
        "rank_correlation": [one["correlation"] for one in known if np.isfinite(one["correlation"])],
        "models_dropped": [float(len(one["dropped"])) for one in known],
    }


def tables(runs: Sequence[Run]) -> list[results.Table]:
    """The combinations, and the scores that they rest on."""
    known = [
        (one["data"], one["seed"], one["models"], one["correlation"], ", ".join(one["dropped"]) or "none",
         "yes" if one["winner_dropped"] else "no")
        for one in combinations(runs)
    ]  # fmt: skip
    scores = [
        (
            one["data"],
            one["seed"],
            name,
            one["probes"]["all"][name]["value"],
            one["probes"]["all"][name]["seconds"],
            tuned,
        )
        for one in runs
        for name, tuned in one["finetuned"].items()
    ]
    return [
        results.Table(
            "Combinations", ("data", "seed", "models", "rank correlation", "dropped", "the winner among them"), known
        ),
        results.Table("Scores", ("data", "seed", "model", "probe", "its seconds", "fine-tuned"), scores),
    ]


def plot(runs: Sequence[Run]) -> Callable[[Figure], None]:
    """Probe against fine-tuned score, a mark for every data set."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for mark, data in zip("osd^v", sorted({one["data"] for one in runs}), strict=False):
            points = [
                (one["probes"]["all"][name]["value"], tuned)
                for one in runs
                if one["data"] == data
                for name, tuned in one["finetuned"].items()
            ]
            axes.scatter(*zip(*points, strict=True), marker=mark, label=data)
        axes.set(xlabel="accuracy of the probe", ylabel="accuracy when fine-tuned")
        axes.legend()

    return draw


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark and writes its results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=[material.TWEETS, material.TOMATOES])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--rows", type=int, default=2_000, help="of a data set, validation and test among them")
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--out", type=Path, default=results.RESULTS)
    given = parser.parse_args(arguments)
    material.quiet()
    runs: list[Run] = []
    for data, seed in product(given.data, given.seeds):
        with material.scratch(given.scratch) as folder:
            runs.append(run(data, seed, folder, given.rows))
        print(f"{data}, seed {seed}: {runs[-1]['finetuned']}", flush=True)
    lost = sum(one["winner_dropped"] for one in combinations(runs))
    settings = {"data": given.data, "seeds": given.seeds, "rows": given.rows, "rates": RATES, "epochs": EPOCHS}
    results.write(
        "probe", figures(runs), runs=runs, constants={"winners_dropped": lost}, targets=TARGETS, settings=settings,
        tables=tables(runs), plot=plot(runs), folder=given.out,
    )  # fmt: skip


if __name__ == "__main__":
    main()
