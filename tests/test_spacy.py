"""A winner as a component of a spaCy pipeline."""

import json

import pytest
from saved import saved

from autoft.errors import InputError
from autoft.training.predict import Predictor

spacy = pytest.importorskip("spacy", reason="pip install 'autoft[spacy]'")


def pipeline(model, **config):
    nlp = spacy.blank("en")
    nlp.add_pipe("autoft", config={"model": str(model), **config})
    return nlp


def found(doc):
    return [(span.start_char, span.end_char, span.label_) for span in doc.ents]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    model, rows = saved("token-classification", tmp_path_factory.mktemp("tagger"))
    texts = [" ".join(words) + "." for words in rows["text"]]
    answers = Predictor.load(model).predict(texts)
    wanted = [[(e["start"], e["end"], e["label"]) for e in answer["entities"]] for answer in answers]
    assert sum(map(bool, wanted)) > len(texts) / 2  # untrained, it finds entities anywhere
    return model, texts, wanted


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    model, rows = saved("text-classification", tmp_path_factory.mktemp("classifier"))
    return model, list(rows["text"])


@pytest.mark.parametrize("batch_size", [1, 5, 1000])
def test_entities_are_those_that_predict_finds(tagger, batch_size):
    model, texts, wanted = tagger
    nlp = pipeline(model)
    assert [found(doc) for doc in nlp.pipe(texts, batch_size=batch_size)] == wanted
    assert found(nlp(texts[0])) == wanted[0]
    assert nlp.analyze_pipes()["summary"]["autoft"]["assigns"] == ["doc.ents", "doc.cats"]


def test_the_model_reads_batches(tagger, monkeypatch):
    model, texts, _ = tagger
    sizes = []
    predict = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", lambda self, t, **k: sizes.append(len(t)) or predict(self, t, **k))
    list(pipeline(model).pipe(texts[:20], batch_size=8))
    assert sizes == [8, 8, 4]


def test_categories_are_the_probabilities_of_all_labels(classifier):
    model, texts = classifier
    docs = list(pipeline(model).pipe(texts))
    for doc, answer in zip(docs, Predictor.load(model).predict(texts), strict=True):
        assert set(doc.cats) == {"yes", "no"}
        assert sum(doc.cats.values()) == pytest.approx(1.0)
        assert max(doc.cats, key=doc.cats.get) == answer["label"]
        assert doc.cats[answer["label"]] == pytest.approx(answer["score"], abs=1e-6)


def test_several_labels_each_have_their_own_probability(tmp_path):
    model, rows = saved("multi-label", tmp_path)
    doc = pipeline(model)(rows["text"][0])
    assert doc.cats == pytest.approx(Predictor.load(model).predict([rows["text"][0]])[0]["scores"], abs=1e-6)


def test_docs_without_a_text_go_through(tagger, classifier):
    for model in (tagger[0], classifier[0]):
        docs = list(pipeline(model).pipe(["", "  \n", tagger[1][[bool(spans) for spans in tagger[2]].index(True)]]))
        assert [found(doc) for doc in docs[:2]] == [[], []]
        assert docs[2].ents or docs[2].cats


def test_where_spacy_divides_otherwise_the_whole_token_is_the_entity(tagger):
    model, texts, wanted = tagger
    nlp = pipeline(model)
    nlp.tokenizer = spacy.tokenizer.Tokenizer(nlp.vocab)  # at spaces only, so that signs stay with their words
    for doc, spans in zip(nlp.pipe(texts), wanted, strict=True):
        assert all(any(start < e and s < end for s, e, _ in spans) for start, end, _ in found(doc))
        assert bool(doc.ents) == bool(spans)


def test_a_pipeline_is_saved_and_opened_again(tagger, tmp_path):
    model, texts, wanted = tagger
    nlp = pipeline(model)
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert [found(doc) for doc in again.pipe(texts[:5])] == wanted[:5]
    (place,) = json.loads((tmp_path / "pipeline/autoft/autoft.json").read_text()).values()
    assert place == str(model.resolve())
    copied = pipeline(model).from_bytes(nlp.to_bytes())
    assert found(copied(texts[0])) == wanted[0]


def test_the_model_that_was_noted_takes_the_place_of_another(tagger, classifier, tmp_path):
    model, texts, wanted = tagger
    component = pipeline(model).get_pipe("autoft")
    component.to_disk(tmp_path / "noted")
    other = pipeline(classifier[0]).get_pipe("autoft")
    other.from_disk(tmp_path / "noted")
    assert found(other(spacy.blank("en")(texts[0]))) == wanted[0]


@pytest.mark.parametrize("kind", ["text-regression", "pairs", "question-answering"])
def test_a_model_that_sets_nothing_of_a_doc_is_refused(kind, tmp_path):
    model, _ = saved(kind, tmp_path)
    with pytest.raises(InputError, match="sets nothing of a Doc"):
        pipeline(model)


def test_no_model_is_told_in_a_line(tmp_path):
    with pytest.raises(InputError, match="says no model"):
        spacy.blank("en").add_pipe("autoft")
    with pytest.raises(InputError, match="there is no search"):
        pipeline(tmp_path / "nothing")
