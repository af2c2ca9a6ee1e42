"""Spans are counted as seqeval counts them."""

import random
import warnings

import pytest
from seqeval import metrics as reference
from seqeval.metrics.sequence_labeling import get_entities

from autoft.tasks.metrics_spans import prefixed, span_f1, spans


def random_tags(generator, scheme, length):
    return tuple(
        generator.choice(["O", *(f"{p}-{t}" for p in scheme for t in ("PER", "LOC", "X-Y"))]) for _ in range(length)
    )


@pytest.mark.parametrize("scheme", ["BI", "I", "BIES"])
def test_any_row_of_tags_is_read_as_seqeval_reads_it(scheme):
    generator = random.Random(scheme)
    for length in list(range(9)) * 60:
        tags = random_tags(generator, scheme, length)
        theirs = [(label, start, end + 1) for label, start, end in get_entities(list(tags))]
        assert spans(tags, prefixes=True) == theirs, tags


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_seqeval(seed):
    generator = random.Random(seed)
    wanted = [random_tags(generator, "BI", generator.randint(1, 30)) for _ in range(generator.randint(1, 40))]
    given = [tuple(tag if generator.random() < 0.7 else "O" for tag in row) for row in wanted]
    assert_same(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(["O", "O"], ["O", "O"]), (["O", "O"], ["B-A", "O"]), (["B-A", "O"], ["O", "O"]), (["B-A"], ["B-B"])],
    ids=["no spans at all", "none predicted", "none wanted", "another label"],
)
def test_degenerate_rows(given, wanted):
    assert_same([tuple(given)], [tuple(wanted)])


def assert_same(given, wanted):
    ours, theirs = [list(row) for row in given], [list(row) for row in wanted]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "f1": reference.f1_score(theirs, ours, zero_division=0),
            "precision": reference.precision_score(theirs, ours, zero_division=0),
            "recall": reference.recall_score(theirs, ours, zero_division=0),
        }
        if any(tag != "O" for row in (*given, *wanted) for tag in row):  # it takes no mean of nothing
            expected["macro_f1"] = reference.f1_score(theirs, ours, average="macro", zero_division=0)
        else:
            expected["macro_f1"] = 0.0
    assert span_f1(given, wanted, prefixes=True) == pytest.approx(expected)


def test_tags_without_prefixes_are_one_span_while_they_are_the_same():
    assert spans(["A", "A", "O", "B", "A"], prefixes=False) == [("A", 0, 2), ("B", 3, 4), ("A", 4, 5)]
    assert not prefixed(["O", "AddressNumber"])
    assert prefixed(["O", "B-AddressNumber"])
