"""A winner as a component of a spaCy pipeline; `pip install 'autoft[spacy]'`.

    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("autoft", config={"model": "runs/names/model"})
    for doc in nlp.pipe(texts):
        print(doc.ents)

A winner of token classification sets `doc.ents`. A winner of text classification sets `doc.cats`: the probability of
each label. `model` is a model folder, or the name of a search in `runs/`. spaCy finds the component by its entry point,
so nothing of autoft has to be imported.

A pipeline that is saved keeps the place of its model and not the model: give a whole path where it is to be opened from
another folder than this one. Texts are read as they are, so that it doesn't matter how spaCy divides them; where an
entity ends within one of spaCy's tokens, the token is a part of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy.language import Language
from spacy.util import filter_spans, minibatch

from autoft import api
from autoft.errors import InputError

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from autoft.training.predict import Predictor

_FILE = "autoft.json"


@Language.factory(  # type: ignore[untyped-decorator]
    "autoft", assigns=["doc.ents", "doc.cats"], default_config={"model": "", "batch_size": 64}
)
def make(nlp: Language, name: str, model: str, batch_size: int) -> Component:
    """Makes the component; what spaCy calls for `nlp.add_pipe("autoft", config={"model": …})`.

    Args:
        nlp: The pipeline.
        name: Of the component in it.
        model: A model folder, or the name or folder of a search.
        batch_size: Texts that the model reads at once, unless `nlp.pipe` says otherwise.

    Raises:
        InputError: There is no such model, or it is for a task that sets nothing of a `Doc`.
    """
    return Component(model, batch_size)


class Component:
    """A saved model that labels `Doc`s; see the top of this module."""

    def __init__(self, model: str, batch_size: int = 64) -> None:
        self._batch_size = batch_size
        self._load(model)

    def __call__(self, doc: Doc) -> Doc:
        """Labels one `Doc`."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int | None = None) -> Iterator[Doc]:
        """Labels `Doc`s, many at a time; they come in their order."""
        for batch in minibatch(stream, batch_size or self._batch_size):
            docs = list(batch)
            answered = [doc for doc in docs if doc.text.strip()]
            for doc, answer in zip(answered, self._answers(answered), strict=True):
                self._set(doc, answer)
            yield from docs

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Notes the place of the model in the folder `path`."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _FILE).write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> Component:
        """Opens the model that `to_disk` noted in the folder `path`."""
        return self.from_bytes((Path(path) / _FILE).read_bytes())

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The place of the model, as JSON."""
        return json.dumps({"model": str(self._place)}).encode()

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> Component:
        """Opens the model whose place `to_bytes` gave."""
        place = Path(json.loads(data)["model"])
        if place != self._place:
            self._load(str(place))
        return self

    def _load(self, model: str) -> None:
        if not model:
            raise InputError('autoft: says no model; add it with nlp.add_pipe("autoft", config={"model": FOLDER})')
        predictor = api.model(model)
        task = predictor.task.name
        able = {"token-classification": _entities, "text-classification": _categories}
        if task not in able or len(predictor.inputs) != 1:
            kind = task if task not in able else f"{task} of pairs"
            raise InputError(f"autoft: {model} is a model for {kind}, which sets nothing of a Doc of spaCy's")
        self._predictor: Predictor = predictor
        self._place = api.folder_of(model).resolve()
        self._set: Callable[[Doc, dict[str, Any]], None] = able[task]

    def _answers(self, docs: list[Doc]) -> list[dict[str, Any]]:
        return self._predictor.predict([doc.text for doc in docs], probabilities=self._set is _categories)


def _entities(doc: Doc, answer: dict[str, Any]) -> None:
    spans = [
        doc.char_span(entity["start"], entity["end"], label=entity["label"], alignment_mode="expand")
        for entity in answer["entities"]
    ]
    doc.ents = tuple(filter_spans([span for span in spans if span is not None]))


def _categories(doc: Doc, answer: dict[str, Any]) -> None:
    doc.cats = dict(answer["probabilities"])
