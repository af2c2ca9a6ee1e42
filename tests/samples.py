"""Rows for each task: enough to try it with, and nothing that takes a large model to learn."""

import random

import pandas as pd

NAMES, PLACES = ("anna", "bert", "carla", "dora"), ("paris", "rome", "oslo", "bern")
FILL = ("and", "then", "went", "to", "see", "the", "old", "film", "with", "great", "joy", "or", "none")


def words(generator, least=3, most=9):
    return " ".join(generator.choices(FILL, k=generator.randint(least, most)))


def sample(task, rows=40, seed=0):
    """A table, and the entries of `data` that name its columns."""
    generator = random.Random(seed)
    return ROWS[task]([(i, generator) for i in range(rows)])


def classification(rows):
    table = [{"text": f"{words(g)} {('good', 'bad')[i % 2]} {i}", "label": ("yes", "no")[i % 2]} for i, g in rows]
    return pd.DataFrame(table), {}


def multi_label(rows):
    table = [{"text": f"{words(g)} {i}", "label": [["a"], ["a", "b"], [], ["b"]][i % 4]} for i, g in rows]
    return pd.DataFrame(table), {}


def pairs(rows):
    table = [{"one": f"{words(g)} {i}", "two": words(g), "label": i % 3} for i, g in rows]
    return pd.DataFrame(table), {"text": "one", "text_pair": "two"}


def regression(rows):
    table = [{"text": f"{words(g)} {i}", "stars": 100 + 10 * (i % 5)} for i, g in rows]
    return pd.DataFrame(table), {"label": "stars"}


def tokens(rows):
    table = []
    for i, g in rows:
        told = [*words(g, 2, 30).split(), g.choice(NAMES), "of", "new", g.choice(PLACES), str(i)]
        tags = ["B-PER" if w in NAMES else "B-LOC" if w == "new" else "I-LOC" if w in PLACES else "O" for w in told]
        table.append({"text": told, "label": tags})
    return pd.DataFrame(table), {}


def spans(rows):
    table = []
    for i, g in rows:
        before, name = words(g), g.choice(NAMES)
        text = f"{before}: {name}, number {i}."
        span = {"start": len(before) + 2, "end": len(before) + 2 + len(name), "label": "PER"}
        table.append({"text": text, "label": [span] if i % 4 else []})
    return pd.DataFrame(table), {}


def answers(rows):
    table = []
    for i, g in rows:
        name = g.choice(NAMES)
        text = f"{words(g, 3, 40)} her name is {name} {words(g)} {i}"
        start = text.index(name)
        label = [] if i % 5 == 0 else [{"text": name, "start": start}]
        table.append({"context": text, "question": "who is it?", "answers": label})
    return pd.DataFrame(table), {"text": "context", "label": "answers"}


def plain(rows):
    return pd.DataFrame([{"text": f"{words(g, 4, 60)} {i}"} for i, g in rows]), {}


def talk(rows):
    table = [{"text": [words(g), f"{words(g)} {i}"], "label": words(g)} for i, g in rows]
    return pd.DataFrame(table), {}


def written(rows):
    table = []
    for i, g in rows:
        text = f"{words(g)} {i}"
        table.append({"text": text, "label": " ".join(reversed(text.split()))})
    return pd.DataFrame(table), {}


ROWS = {
    "text-classification": classification,
    "multi-label": multi_label,
    "pairs": pairs,
    "text-regression": regression,
    "token-classification": tokens,
    "spans": spans,
    "question-answering": answers,
    "language-modelling": plain,
    "masked-language-modelling": plain,
    "dialogue": talk,
    "summarization": written,
    "translation": written,
}
KINDS = {"multi-label": "text-classification", "pairs": "text-classification", "spans": "token-classification"}
