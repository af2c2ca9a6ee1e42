"""The model card: read by machines and people, and whole whatever the report lacks."""

import re

import pytest
from huggingface_hub import ModelCard

from autoft.records import TrialConfig
from autoft.report.card import card, write_card

PARAMS = TrialConfig("org/base-model", 3e-4, 16, 3, 2).as_dict()
SECRET = "a sentence of the data"
REPORT = {
    "search": "reviews",
    "task": "text-classification",
    "pipeline": "text-classification",
    "pairs": False,
    "metric": "macro_f1",
    "direction": "maximize",
    "seconds": 600.0,
    "trials": {"total": 1234, "complete": 5},
    "winner": {
        "trial": 7,
        "entrant": "trial-7",
        "params": PARAMS,
        "test": 0.8123,
        "test_interval": [0.8011, 0.8222],
    },
    "test_metrics": {"macro_f1": 0.8123, "accuracy": 0.8345, "mcc": None, "loss": 0.5},
    "entrants": [
        {
            "name": "trial-7",
            "kind": "finalist",
            "seeds": [{"seed": 0}, {"seed": 1}, {"seed": 2}],
            "mean": 0.7912,
            "spread": 0.0037,
            "test": 0.8123,
            "difference": None,
        },
        {
            "name": "plain",
            "kind": "plain",
            "test": 0.7811,
            "test_interval": [0.77, 0.79],
            "difference": 0.0312,
            "difference_interval": [0.0101, 0.0523],
        },
        {"name": "soup", "kind": "soup", "test": 0.8044, "ingredients": ["trial-7/0", "trial-3/0"]},
        {"name": "trial-3", "kind": "finalist", "test": None},
    ],
    "selection": {"sentence": "Validation flatters it by 0.008."},
    "comparisons": {
        "plain": {"sentence": "It is better than the plain recipe by 3.1 points."},
        "runner_up": {"sentence": "No difference to the runner-up is shown."},
        "baseline": None,
    },
    "baselines": {"tfidf": {"test": 0.7001}, "majority": {"test": None}},
    "labels": ["good", "b`a|d"],
    "rows": {"train": 2400, "validation": 500, "test": 515},
    "fingerprint": "0d8e12",
    "examination": {
        "findings": [
            {
                "kind": "small_class",
                "severity": "warning",
                "count": 12,
                "share": 0.0512,
                "sentence": SECRET,
                "examples": [{"text": SECRET}],
            }
        ]
    },
    "label_noise": {"candidates": [{"text": SECRET}], "checked": 2900},
    "calibration": {"temperature": 1.444, "ece_before": 0.0512, "ece_after": 0.0213},
    "classes": [
        {"label": "good", "precision": 0.9001, "recall": 0.8802, "f1": 0.8903, "support": 480},
        {"label": "b`a|d", "precision": None, "recall": 0.7702, "f1": 0.7803, "support": 29},
    ],
    "mistakes": [{"text": SECRET}],
    "cost": {
        "search_seconds": 400.0,
        "parameters": 22713986,
        "latency": {"1": {"median_ms": 7.31, "p95_ms": 9.12}, "32": {"median_ms": 141.0, "p95_ms": 160.5}},
        "device": "cpu, 1 thread",
        "energy_joules": 36000.0,
        "energy_method": "RAPL",
    },
    "notes": [SECRET],
    "model_dir": "/home/somebody/runs/reviews/model",
    "versions": {"python": "3.11.7", "torch": "2.13.0"},
}


def test_machines_read_it_as_the_hub_does(tmp_path):
    write_card(REPORT, tmp_path)
    found = ModelCard.load(tmp_path / "README.md").data
    assert (found.library_name, found.pipeline_tag, found.base_model) == (
        "transformers",
        "text-classification",
        "org/base-model",
    )
    assert found.metrics == ["f1", "accuracy"]
    values = {result.metric_name: (result.metric_type, result.metric_value) for result in found.eval_results}
    assert values == {"macro_f1": ("f1", 0.8123), "accuracy": ("accuracy", 0.8345), "loss": ("loss", 0.5)}
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_it_says_all_that_the_report_has():
    text = card(REPORT)
    for said in (
        "On 515 test rows that were locked away until the end it reaches macro_f1 0.8123 "
        "(95 % interval 0.8011 to 0.8222). It is better than the plain recipe by 3.1 points. "
        "No difference to the runner-up is shown. Validation flatters it by 0.008.",
        "| the plain recipe | 0.7811 | 0.7700 to 0.7900 | +0.0312 (0.0101 to 0.0523) |",
        "| a soup of several trials | 0.8044 | - |  |",
        "| logistic regression on TF-IDF words | 0.7001 | - |  |",
        "2 labels: `good`, `b'a|d`",
        "- rows: 2,400 train, 500 validation, 515 test",
        "`0d8e12`",
        "- warning: small class, 12 found, 5.1 % of the rows",
        "1 of 2,900 rows looked at",
        "The best of 1,234 trials in 10 min 00 s, chosen on validation rows.",
        "Trained with 3 seeds it had 0.7912 on validation on average, with a standard deviation of 0.0037.",
        "python 3.11.7, torch 2.13.0",
        "| learning rate | 3e-4 |",
        "| dropout | the model's own |",
        "A temperature of 1.444, fitted on validation rows, is a part of the last layer. The expected calibration "
        "error on the test rows is 0.0213; without it, it is 0.0512.",
        "| good | 0.9001 | 0.8802 | 0.8903 | 480 |",
        "| b`a\\|d | - | 0.7702 | 0.7803 | 29 |",
        "- 1 of the classes have fewer than 30 test rows",
        "- What comes after 128 tokens",
        "- parameters: 22,713,986",
        "- 1 text at once: 7.3 ms in the median, 9.1 ms at the 95th percentile, on cpu, 1 thread",
        "- 32 texts at once: 141.0 ms",
        "- energy: 10.00 Wh (RAPL)",
        'pipeline("text-classification", model="FOLDER")',
    ):
        assert said in text
    assert "trial-3" not in text  # it has no test score
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == [
        "Verdict", "Intended use", "How to use it", "Training data", "Training", "Calibration", "By class", "Limits",
        "Cost",
    ]  # fmt: skip


def test_neither_the_data_nor_the_machine_is_given_away():
    text = card(REPORT)
    assert SECRET not in text
    assert "somebody" not in text
    assert "somebody" not in card(REPORT | {"winner": {"params": PARAMS | {"model": "/home/somebody/models/base"}}})


@pytest.mark.parametrize("key", REPORT)
@pytest.mark.parametrize("how", ["missing", "none"])
def test_a_part_that_the_report_lacks_is_left_out(key, how):
    lacking = {name: value for name, value in REPORT.items() if name != key}
    text = card(lacking if how == "missing" else lacking | {key: None})
    assert "None" not in text
    ModelCard(text)


def test_an_empty_report_still_makes_a_card():
    assert ModelCard(card({})).data.library_name == "transformers"


@pytest.mark.parametrize("ref", ["asset:bert-tiny", "./local/model", "/abs/model", "a/b/c", ""])
def test_a_model_that_is_not_on_the_hub_is_no_base_model(ref):
    assert "base_model" not in ModelCard(card({"winner": {"params": {"model": ref}}})).data.to_dict()


def test_a_folder_that_looks_like_a_hub_id_is_no_base_model(tmp_path, monkeypatch):
    (tmp_path / "org/base-model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert "base_model" not in ModelCard(card(REPORT)).data.to_dict()


@pytest.mark.parametrize(
    ("task", "pipeline", "tag"),
    [
        ("token-classification", "token-classification", "token-classification"),
        ("question-answering", "", "question-answering"),
        ("my_task:Toxicity", "", None),
        ("text-regression", "", None),
    ],
)
def test_the_tag_is_one_that_the_hub_knows(task, pipeline, tag):
    assert ModelCard(card({"task": task, "pipeline": pipeline})).data.pipeline_tag == tag


def test_where_smaller_is_better_it_is_said():
    assert "rmse (lower is better)" in card(REPORT | {"metric": "rmse", "direction": "minimize"})
