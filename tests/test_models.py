"""A model is found, or one line says why not."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tiny import configs

from autoft.errors import ModelError
from autoft.training import models


@pytest.mark.parametrize(
    ("ref", "name"),
    [
        ("asset:minilm-l6", "minilm-l6"),
        ("org/name", "name"),
        ("name", "name"),
        ("/a/folder/of-mine", "of-mine"),
        ("./of-mine/", "of-mine"),
    ],
)
def test_short_name(ref, name):
    assert models.short_name(ref) == name


def test_short_name_of_the_folder_one_is_in(tmp_path, monkeypatch):
    folder = tmp_path / "my-bert"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert models.short_name(".") == "my-bert"


@pytest.mark.parametrize("name", list(configs()))
def test_inspect(tiny_models, name):
    info = models.inspect(str(tiny_models[name]))
    assert info == models.ModelInfo(
        ref=str(tiny_models[name]),
        name=name,
        path=str(tiny_models[name].resolve()),
        blocks=1 if name == "albert" else 3,
        size=(tiny_models[name] / "model.safetensors").stat().st_size,
    )


def broken(tiny_bert, tmp_path, *files):
    folder = tmp_path / "broken"
    shutil.copytree(tiny_bert, folder)
    for file in files:
        (folder / file).unlink()
    return folder


@pytest.mark.parametrize(
    ("files", "line"),
    [
        (["config.json"], "has no config.json; give the folder that save_pretrained wrote"),
        (["tokenizer.json", "tokenizer_config.json"], "has no tokenizer; save it there with tokenizer.save_pretrained"),
        (["model.safetensors"], "no safetensors weights; convert it once on a machine where you trust it"),
    ],
)
def test_a_folder_that_lacks_something(tiny_bert, tmp_path, files, line):
    folder = broken(tiny_bert, tmp_path, *files)
    with pytest.raises(ModelError, match=line) as caught:
        models.inspect(str(folder))
    assert len(str(caught.value).splitlines()) == 1


WHOLE = "save or download the model again"


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda raw: raw[:-10], "model.safetensors is damaged or cut off"),
        (lambda raw: raw[:50], "model.safetensors is damaged or cut off"),
        (lambda raw: b"", "model.safetensors is damaged or cut off"),
        (lambda raw: raw + b"more", "model.safetensors is damaged or cut off"),
        (lambda raw: b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "a pointer of git-lfs.*`git lfs pull`"),
        (lambda raw: b"\x02\0\0\0\0\0\0\0{}", "holds no weights"),
    ],
)
def test_weights_that_are_not_whole(tiny_bert, tmp_path, damage, line):
    folder = broken(tiny_bert, tmp_path)
    weights = folder / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(ModelError, match=line) as caught:
        models.inspect(str(folder))
    assert str(caught.value).startswith(f"model {folder}: ") and WHOLE in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_weights_in_several_files_have_to_be_there_all_of_them(tiny_bert, tmp_path):
    from transformers import AutoModel

    folder = broken(tiny_bert, tmp_path, "model.safetensors")
    AutoModel.from_pretrained(tiny_bert).save_pretrained(folder, max_shard_size="40KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert models.inspect(str(folder)).size == sum(shard.stat().st_size for shard in shards)
    shards[-1].unlink()
    with pytest.raises(ModelError, match=rf"{shards[-1].name} is missing, which model.safetensors.index.json names"):
        models.inspect(str(folder))
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(ModelError, match=rf"index.json is damaged; {WHOLE}"):
        models.inspect(str(folder))


def test_pickled_weights_are_refused_and_the_line_says_what_to_do(tiny_bert, tmp_path):
    folder = broken(tiny_bert, tmp_path, "model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x02")
    with pytest.raises(ModelError, match=r"only \.bin files, which can hide code.*save_pretrained\(folder\)"):
        models.inspect(str(folder))


def test_code_that_comes_with_a_model_is_never_run(tiny_bert, tmp_path):
    folder = broken(tiny_bert, tmp_path)
    trace = tmp_path / "was-run"
    (folder / "own.py").write_text(f"open({str(trace)!r}, 'w').write('run')")
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="needs code of its own, which autoft never runs"):
        models.inspect(str(folder))
    assert not trace.exists()


def test_a_damaged_config(tiny_bert, tmp_path):
    folder = broken(tiny_bert, tmp_path)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="can't be opened"):
        models.inspect(str(folder))


def test_an_unknown_asset_names_the_nearest():
    with pytest.raises(ModelError, match="minilm-l6"):
        models.resolve("asset:minilm-l7")


@pytest.mark.parametrize("ref", ["./no/such/folder", "/no/such/folder", "a b", "x/y/z"])
def test_neither_a_folder_nor_an_id(ref):
    with pytest.raises(ModelError, match="neither a folder nor an id on the hub; give a folder, or one of asset:"):
        models.resolve(ref)


def test_a_folder_with_a_slip_in_its_name(tiny_bert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_bert, tmp_path / "models" / "mine")
    (tmp_path / "rows.csv").write_text("text\n")
    for ref, line in (
        ("models/mien", r"model models/mien: there is no such folder, did you mean mine\?"),
        ("models/other", "model models/other: there is no such folder; check the path"),
        ("rows.csv", "model rows.csv: is a file; give the folder that save_pretrained wrote"),
    ):
        with pytest.raises(ModelError, match=f"^{line}$"):
            models.resolve(ref)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A server on this machine that answers as the hub does for a missing and for a gated model."""
    from huggingface_hub import constants

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            gated = "gated" in self.path
            self.send_response(403 if gated else 404)
            self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_HEAD(self):
            self.do_GET()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("ref", "line"),
    [
        ("org/missing", "neither a folder nor a model that the hub shows you; check the name"),
        ("org/gated", "its owner asks for your consent; accept the terms"),
    ],
)
def test_what_the_hub_refuses(hub, ref, line):
    with pytest.raises(ModelError, match=line) as caught:
        models.resolve(ref)
    assert len(str(caught.value).splitlines()) == 1


def test_a_hub_that_cannot_be_reached(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="not downloaded before, and the hub can't be reached; give a folder, or one"):
        models.resolve("org/name")


def test_a_folder_beside_is_named_where_the_hub_is_silent(hub, tiny_bert, tmp_path, monkeypatch, capfd):
    from huggingface_hub import constants

    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_bert, tmp_path / "my-bert")
    with pytest.raises(ModelError, match=r"the hub shows you, did you mean my-bert\?"):
        models.resolve("my-bertt")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"the hub can't be reached, did you mean my-bert\?"):
        models.resolve("my-bertt")
    assert capfd.readouterr() == ("", "")


def test_offline(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(ModelError, match="not downloaded before, and the hub can't be reached"):
        models.resolve("org/name")


@pytest.mark.parametrize(("name", "limit"), [("bert", 66), ("roberta", 65), ("mpnet", 64), ("deberta-v2", 10**6)])
def test_texts_are_cut_where_the_model_has_no_more_positions(tiny_models, name, limit):
    from transformers import AutoModel

    model = AutoModel.from_pretrained(tiny_models[name])
    tokenizer = models.load_tokenizer(tiny_models[name])
    assert models.usable_length(model, tokenizer, 10**6) == 64  # the tokenizer's own limit
    tokenizer.model_max_length = 10**6
    assert models.usable_length(model, tokenizer, 10**6) == limit
    assert models.usable_length(model, tokenizer, 20) == 20


def test_a_tokenizer_without_padding_pads_with_its_end_of_text(tiny_bert, tmp_path):
    folder = broken(tiny_bert, tmp_path)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["pad_token"]
    path.write_text(json.dumps(config))
    with pytest.raises(ModelError, match="can't be opened: its tokenizer has no padding token"):
        models.inspect(str(folder))
    path.write_text(json.dumps(config | {"eos_token": "[SEP]"}))
    assert models.load_tokenizer(folder).pad_token == "[SEP]"
