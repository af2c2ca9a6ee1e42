"""Answers are scored as SQuAD's own script scores them."""

import random

import pytest
from torchmetrics.functional.text import squad

from autoft.tasks.metrics_answers import answers, normalized

WORDS = ["the", "a", "An", "cat", "Cat.", "sat", "on", "mat!", "U.S.", "it's", "—", "42", "dog", "thesis"]


def expected(given, wanted):
    predictions = [{"prediction_text": text, "id": str(i)} for i, text in enumerate(given)]
    targets = [
        {"answers": {"text": list(texts), "answer_start": [0] * len(texts)}, "id": str(i)}
        for i, texts in enumerate(wanted)
    ]
    found = squad(predictions, targets)
    return {"f1": found["f1"].item() / 100, "exact_match": found["exact_match"].item() / 100}


@pytest.mark.parametrize("seed", range(30))
def test_random_answers(seed):
    generator = random.Random(seed)

    def text(shortest):
        return "  ".join(generator.choices(WORDS, k=generator.randint(shortest, 5)))

    rows = generator.randint(1, 20)
    wanted = [[f"cat {text(1)}" for _ in range(generator.randint(1, 3))] for _ in range(rows)]
    given = [generator.choice([f"dog {text(1)}", generator.choice(texts)]) for texts in wanted]
    assert answers(given, wanted) == pytest.approx(expected(given, wanted), abs=1e-6)


@pytest.mark.parametrize(
    ("given", "wanted", "f1"),
    [("", [], 1.0), ("cat", [], 0.0), ("", ["cat"], 0.0), ("the", [], 1.0), ("the", ["a"], 1.0)],
    ids=["rightly none", "one too many", "missing", "an article alone", "articles are nothing"],
)
def test_questions_without_an_answer(given, wanted, f1):
    assert answers([given], [wanted]) == {"f1": f1, "exact_match": f1}


def test_what_does_not_count():
    assert normalized(" The  U.S., an ally!") == "us ally"


@pytest.mark.parametrize(("given", "wanted"), [([], []), (["a"], [])])
def test_numbers_that_do_not_fit_are_refused(given, wanted):
    with pytest.raises(ValueError, match="don't fit"):
        answers(given, wanted)
