"""Written text is scored as sacreBLEU and rouge-score do it."""

import random

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from autoft.tasks.metrics_text import rouge, signatures, translation

WORDS = ["the", "cats", "cat", "sat", "on", "mats", "ünder", "—", "don't", "3.5", "running", "Ran,"]


def texts(generator, rows, shortest=0):
    return [" ".join(generator.choices(WORDS, k=generator.randint(shortest, 12))) for _ in range(rows)]


CASES = [(texts(random.Random(s), s + 1), texts(random.Random(s + 99), s + 1, 1)) for s in range(12)]
CASES += [([""], ["a cat"]), (["a cat"], ["a cat"]), (["", "x"], ["y", "x"]), (["a"] * 5, ["a"] * 5)]


@pytest.mark.parametrize(("given", "wanted"), CASES)
def test_translations_are_scored_as_sacrebleu_scores_a_corpus(given, wanted):
    assert translation(given, wanted) == pytest.approx(
        {
            "chrf": sacrebleu.corpus_chrf(given, [wanted]).score,
            "bleu": sacrebleu.corpus_bleu(given, [wanted]).score,
        }
    )


@pytest.mark.parametrize(("given", "wanted"), CASES)
def test_summaries_are_scored_as_rouge_score_scores_each(given, wanted):
    scorer = RougeScorer(["rougeL", "rouge1", "rouge2"], use_stemmer=True)
    rows = [scorer.score(theirs, ours) for ours, theirs in zip(given, wanted, strict=True)]
    expected = {
        name: sum(row[kind].fmeasure for row in rows) / len(rows)
        for name, kind in (("rouge_l", "rougeL"), ("rouge_1", "rouge1"), ("rouge_2", "rouge2"))
    }
    assert rouge(given, wanted) == pytest.approx(expected)


def test_the_signature_names_tokenization_and_version():
    chrf, bleu = signatures()
    assert chrf.startswith("chrf: sacreBLEU nrefs:1|")
    assert "tok:13a" in bleu
    assert sacrebleu.__version__ in bleu
