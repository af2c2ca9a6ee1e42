"""A winner as ONNX: the same answers as PyTorch's, or no file at all."""

import builtins
import json

import numpy as np
import pytest
import torch
from saved import saved
from tiny import configs, more_configs, save_model

from autoft.errors import InputError
from autoft.training import onnx_export
from autoft.training.onnx_export import INT8, PLAIN, REPORT, export_onnx
from autoft.training.onnx_graph import OnnxModel
from autoft.training.predict import Predictor

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'autoft[onnx]'")
pytest.importorskip("onnxscript", reason="pip install 'autoft[onnx]'")

ARCHITECTURES = configs(0.0) | more_configs(0.0)


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def run(path, batch):
    opened = session(path)
    names = {entry.name for entry in opened.get_inputs()}
    assert names <= set(batch)
    return opened.run(None, {key: value.numpy() for key, value in batch.items() if key in names})


@pytest.mark.parametrize(
    "kind",
    ["text-classification", "multi-label", "pairs", "text-regression", "token-classification", "question-answering"],
)
def test_any_number_of_rows_gives_what_pytorch_gives(kind, tmp_path):
    model, rows = saved(kind, tmp_path)
    report = export_onnx(model, rows, tmp_path / "out", seconds=0.0)
    predictor = Predictor.load(model)
    for some in (rows[:1], rows[1:4], rows):
        batch = predictor.batch(some)
        found = run(tmp_path / "out" / PLAIN, batch)
        with torch.inference_mode():
            output = predictor.model(**batch)
        names = ("start_logits", "end_logits") if kind == "question-answering" else ("logits",)
        for name, array in zip(names, found, strict=True):
            assert np.abs(getattr(output, name).numpy() - array).max() < 1e-4
    assert report == json.loads((tmp_path / "out" / REPORT).read_text(encoding="utf-8"))
    plain, other = report["variants"]
    assert (plain["name"], other["name"], other["file"]) == ("PyTorch", "ONNX", PLAIN)
    metric = report["metric"]
    assert plain["score"] == pytest.approx(predictor.task.measure(*predictor.evaluated(rows), predictor.meta)[metric])
    assert other["score"] == pytest.approx(plain["score"], abs=1e-3)
    assert other["difference"] < report["tolerance"]
    for size in ("1", "32"):
        ratio = plain["latency"][size]["median_ms"] / other["latency"][size]["median_ms"]
        assert other["speedup"][size] == pytest.approx(ratio)


def test_the_answers_are_those_of_predict_with_nothing_but_the_folder(tmp_path):
    from transformers import AutoConfig, AutoTokenizer

    model, rows = saved("text-classification", tmp_path)
    export_onnx(model, rows, tmp_path / "out", seconds=0.0)
    tokenizer, config = (kind.from_pretrained(tmp_path / "out") for kind in (AutoTokenizer, AutoConfig))
    texts = list(rows["text"])
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="np")
    (logits,) = session(tmp_path / "out" / PLAIN).run(None, dict(tokens))
    labels = [config.id2label[i] for i in logits.argmax(axis=1)]
    assert labels == [answer["label"] for answer in Predictor.load(model).predict(texts)]
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_int8_is_smaller_and_what_it_loses_is_measured(tmp_path):
    import onnx

    # Wide enough for its weights to be most of the file.
    from transformers import BertConfig

    size = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512}
    base = save_model(tmp_path / "base", BertConfig(vocab_size=200, max_position_embeddings=64, **size))
    model, rows = saved("text-classification", tmp_path, base)
    report = export_onnx(model, rows, tmp_path / "out", int8=True, seconds=0.0)
    plain, full, small = report["variants"]
    assert (small["name"], small["file"]) == ("ONNX int8", INT8)
    assert small["megabytes"] < 0.5 * full["megabytes"]
    operators = {node.op_type for node in onnx.load(tmp_path / "out" / INT8).graph.node}
    assert "MatMulInteger" in operators
    predictor = Predictor.load(model)
    exact = predictor.scores(rows)
    rounded = predictor.running(OnnxModel(tmp_path / "out" / INT8, 1)).scores(rows)
    assert small["difference"] == pytest.approx(np.abs(exact - rounded).max(), rel=0.5)
    assert 1e-6 < small["difference"] < 1.0
    measured = predictor.task.measure(rounded, predictor.examples(rows), predictor.meta)[report["metric"]]
    assert small["score"] == pytest.approx(measured, abs=0.1)
    assert small["loss"] == pytest.approx(plain["score"] - small["score"])


def test_a_loss_has_its_own_direction(tmp_path):
    model, rows = saved("text-regression", tmp_path)
    card = json.loads((model / "autoft.json").read_text(encoding="utf-8"))
    (model / "autoft.json").write_text(json.dumps(card | {"extra": {"metric": "rmse"}}), encoding="utf-8")
    report = export_onnx(model, rows, tmp_path / "out", int8=True, seconds=0.0)
    plain, _, small = report["variants"]
    assert (report["metric"], report["direction"]) == ("rmse", "minimize")
    assert small["loss"] == pytest.approx(small["score"] - plain["score"])


def test_a_graph_that_says_something_else_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    model, rows = saved("text-classification", tmp_path)
    write = onnx_export.write_graph

    def wrong(network, *rest):
        with torch.no_grad():
            network.classifier.bias += 0.01
        write(network, *rest)
        with torch.no_grad():
            network.classifier.bias -= 0.01

    monkeypatch.setattr(onnx_export, "write_graph", wrong)
    with pytest.raises(InputError, match=r"differ from PyTorch's by up to 0\.01"):
        export_onnx(model, rows, tmp_path / "out", seconds=0.0)
    assert {path.name for path in tmp_path.iterdir()} == {"model", "tiny"}


@pytest.mark.parametrize("kind", ["translation", "language-modelling", "dialogue", "masked-language-modelling"])
def test_a_model_that_writes_is_refused_in_a_line(kind, tmp_path):
    model, rows = saved(kind, tmp_path)
    with pytest.raises(InputError, match=r"^onnx: a \w+ writes texts or words; what can be exported are") as caught:
        export_onnx(model, rows, tmp_path / "out", seconds=0.0)
    assert len(caught.value.problems) == 1
    assert not (tmp_path / "out").exists()


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    model, rows = saved("text-classification", tmp_path)
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] in ("onnxscript", "onnxruntime"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install 'autoft\[onnx\]'"):
        export_onnx(model, rows, tmp_path / "out", seconds=0.0)


def test_a_folder_with_something_else_is_left_alone_and_an_older_export_replaced(tmp_path):
    model, rows = saved("text-classification", tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("words", encoding="utf-8")
    with pytest.raises(InputError, match="is there already and no export"):
        export_onnx(model, rows, tmp_path / "mine", seconds=0.0)
    with pytest.raises(InputError, match="make it first"):
        export_onnx(model, rows, tmp_path / "a/b", seconds=0.0)
    export_onnx(model, rows, tmp_path / "out", int8=True, seconds=0.0)
    export_onnx(model, rows, tmp_path / "out", seconds=0.0)
    assert not (tmp_path / "out" / INT8).exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_other_architectures(name, tmp_path):
    model, rows = saved("text-classification", tmp_path, save_model(tmp_path / "base", ARCHITECTURES[name]))
    report = export_onnx(model, rows, tmp_path / "out", seconds=0.0)
    assert report["variants"][1]["difference"] < report["tolerance"]


@pytest.mark.slow
def test_from_the_command_line_without_the_test_rows(tiny_bert, tiny_data, tmp_path, capsys):
    import autoft
    from autoft.cli import main

    tiny_data.to_csv(tmp_path / "rows.csv", index=False)
    result = autoft.search(
        task="text-classification", data=str(tmp_path / "rows.csv"), models=[str(tiny_bert)], trials=1, workers=1,
        name="reviews", runs=tmp_path / "runs", space={"epochs": 1, "learning_rate": 1e-2},
    )  # fmt: skip
    (result.folder / "data/test.parquet").unlink()
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(["export", "reviews", "--onnx", "--int8", "--runs", str(tmp_path / "runs")])
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    for word in ("PyTorch", "ONNX int8", "worse by", "model-onnx"):
        assert word in said.out
    assert {PLAIN, INT8, REPORT} <= {path.name for path in (result.folder / "model-onnx").iterdir()}


def test_the_command_wants_a_format(capsys):
    from autoft.cli import main

    with pytest.raises(SystemExit) as ended:
        main(["export", "anything"])
    assert ended.value.code == 2
    assert "--onnx" in capsys.readouterr().err
