"""A search, trials and a tiny real model, for tests of what MLflow shows."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoft.records import Direction, Report, SearchRecord, TrialConfig, TrialRecord, TrialState

START = 1_790_000_000.0
BLOCKS = {"asset:minilm-l6": 6, "asset:bert-tiny": 2}


def a_search(identity: str = "5f0c", name: str = "reviews", metric: str = "macro_f1", **tags: str) -> SearchRecord:
    direction = Direction.MINIMIZE if metric == "loss" else Direction.MAXIMIZE
    return SearchRecord(
        identity,
        name,
        "text-classification",
        metric,
        direction,
        START,
        {
            "fingerprint": "0d8e12",
            "test_fingerprint": "7e57",
            "data": "data/reviews.csv",
            "rows": '{"train": 1800, "validation": 300, "test": 300}',
            **tags,
        },
    )


def a_trial(
    number: int,
    state: TrialState = TrialState.COMPLETE,
    reports: int = 3,
    best: float = 0.6,
    model: str = "asset:minilm-l6",
    reason: str = "",
    freeze: int = 4,
    lr: float = 3.2e-4,
    batch: int = 16,
) -> TrialRecord:
    """A trial with a curve that rises to `best`."""
    started = START + 100 * number
    curve = tuple(
        Report(
            samples=160 * step,
            value=best * (1 - 0.5**step),
            metrics={"macro_f1": best * (1 - 0.5**step), "loss": math.exp(-step / 3)},
            train_loss=math.exp(-step / 2),
            seconds=9.5 * step,
            time=started + 10 * step,
        )
        for step in range(1, reports + 1)
    )
    finished = None if state is TrialState.OPEN else started + 10 * reports + 1
    return TrialRecord(number, TrialConfig(model, lr, batch, 3, freeze), state, curve, reason, started, finished)


def some_trials() -> tuple[TrialRecord, ...]:
    """One of each state."""
    return (
        a_trial(0, best=0.71),
        a_trial(1, TrialState.PRUNED, 1, reason="rung 160: 5 of 6"),
        a_trial(2, TrialState.FAILED, 0, reason="out of memory"),
        a_trial(3, TrialState.OPEN, 2, model="asset:bert-tiny", freeze=2, lr=2e-5),
    )


def a_report(
    search: SearchRecord, winner: int = 0, model_dir: Path | None = None, test: float = 0.7312
) -> dict[str, Any]:
    return {
        "search": search.name,
        "task": search.task,
        "metric": search.metric,
        "direction": str(search.direction),
        "seconds": 412.0,
        "trials": {"total": 4, "complete": 1, "pruned": 1, "failed": 1},
        "winner": {
            "trial": winner,
            "params": {"model": "asset:minilm-l6"},
            "validation": 0.62,
            "test": test,
            "test_interval": [round(test - 0.03, 4), round(test + 0.0289, 4)],
            "seconds": 28.5,
        },
        "test_metrics": {"accuracy": 0.75, "loss": 0.51, "mcc": math.nan},
        "baselines": {"majority": {"test": 0.361}, "tfidf": {"test": 0.695}},
        "model_dir": str(model_dir) if model_dir else None,
    }


def with_finals(report: dict[str, Any]) -> dict[str, Any]:
    """`report` after a final round: trial 0 won with another seed, against trial 3, the plain recipe and a soup."""
    winner = report["winner"]

    def entrant(name: str, kind: str, **more: Any) -> dict[str, Any]:
        trial = int(name.removeprefix("trial-")) if kind == "finalist" else None
        params = {**winner["params"], "model": "asset:bert-tiny" if trial == 3 else "asset:minilm-l6"}
        seeds = [{"seed": seed, "validation": 0.61, "samples": 480, "seconds": 28.5} for seed in range(3)]
        shown = {"name": name, "kind": kind, "trial": trial, "params": params, "seeds": seeds, "searched": 0.62}
        return {**shown, "mean": 0.612, "spread": 0.0041, "score": 0.6079, **more}

    def compared(by: float, low: float, high: float, what: str) -> dict[str, Any]:
        better = "better" if low > 0 else "no difference shown"
        said = f"The winner is ahead of {what} by {by:.4f} (95 % interval of the difference {low:.4f} to {high:.4f})"
        sentence = f"{said}." if low > 0 else f"{said}: no difference is shown, for the interval holds zero."
        return {"difference": by, "interval": [low, high], "verdict": better, "sentence": sentence}

    test, interval = winner["test"], winner["test_interval"]
    return {
        **report,
        "winner": {**winner, "entrant": "trial-0", "seed": 1},
        "entrants": [
            entrant("trial-0", "finalist", test=test, test_interval=interval, difference=None),
            entrant(
                "trial-3",
                "finalist",
                test=0.7288,
                test_interval=[0.698, 0.758],
                difference=test - 0.7288,
                difference_interval=[-0.0061, 0.0112],
            ),
            entrant(
                "plain",
                "plain",
                test=0.7041,
                test_interval=[0.672, 0.735],
                difference=test - 0.7041,
                difference_interval=[0.0098, 0.0442],
                searched=None,
            ),
            entrant(
                "soup",
                "soup",
                test=0.7299,
                test_interval=[0.7, 0.7588],
                difference=test - 0.7299,
                seeds=[],
                difference_interval=[-0.004, 0.0071],
                spread=None,
                ingredients=["trial-0/0", "trial-3/1"],
            ),
        ],
        "selection": {
            "rule": "mean minus one standard deviation over the seeds",
            "optimism": 0.008,
            "sentence": "The search's own score of the winner, 0.6200, was 0.0080 too high: it had been chosen.",
        },
        "comparisons": {
            "plain": compared(test - 0.7041, 0.0098, 0.0442, "the plain recipe"),
            "runner_up": compared(test - 0.7288, -0.0061, 0.0112, "the runner-up, #3,"),
            "baseline": compared(test - 0.695, 0.011, 0.0612, "the best baseline, tfidf,"),
        },
        "test_read": {"time": START, "entrants": 4, "earlier": 0},
        "examination": {
            "findings": [
                {"kind": "leak", "severity": "warning", "sentence": "12 test texts (4.0 %) stand in train, too."},
                {"kind": "duplicate", "severity": "note", "sentence": "31 texts stand twice in train."},
            ]
        },
        "cost": {
            "search_seconds": 412.0,
            "finals_seconds": 171.0,
            "parameters": 22_713_986,
            "latency": {"1": {"median_ms": 8.21, "p95_ms": 9.9}},
            "device": "cpu, 1 thread",
        },
    }


def some_finals() -> tuple[TrialRecord, ...]:
    """Two more seeds of trial 0, one of trial 3, and the plain recipe."""
    repeats = [(0, 0, 1), (1, 0, 2), (2, 3, 1)]
    found = [
        replace(a_trial(number), config=replace(some_trials()[trial].config, seed=seed))
        for number, trial, seed in repeats
    ]
    return (*found, a_trial(3, freeze=0, lr=2e-5))


def tiny_classifier(folder: Path, seed: int = 0) -> Path:
    """A BERT of one block with two labels and a WordPiece tokenizer of a few words, saved in `folder`."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = [*special, "a", "good", "bad", "film", "##s", "the", "was"]
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)
    return folder
