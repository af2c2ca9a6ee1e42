"""Models and data of a hub, through the untouched clients, and the lines where it gives none.

The clients read HF_ENDPOINT and HF_HOME when they are imported, so each look is a process: the command line.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hub_server import NOISE, Hub, save_glue, serving
from tiny import configs, save_model, sentences

SST2 = Path(__file__).parent.parent / "search_spaces" / "sst2.yaml"
# What the hub calls the models of SST2 today; the short names are sent on.
NAMES = {
    "bert": "google-bert/bert-base-uncased",
    "roberta": "FacebookAI/roberta-base",
    "distilbert": "distilbert/distilbert-base-uncased",
}
HIDDEN = (
    "nyu-mll/glue sst2 (test) has no labels; the rows of validation are the test instead, and validation is taken "
    "from the training rows"
)
NO_HUB = "not a folder, not downloaded before, and the hub can't be reached; give a folder, or one of asset:"


def rows(count: int, seed: int, *, hidden: bool = False) -> pd.DataFrame:
    table = sentences(count, seed).rename(columns={"text": "sentence"})
    return table.assign(label=-1 if hidden else (table["label"] == "positive").astype(int)).drop_duplicates("sentence")


def splits(hidden: bool = True) -> dict[str, pd.DataFrame]:
    found = {"train": rows(300, 1), "validation": rows(60, 2), "test": rows(60, 3, hidden=hidden)}
    for other in ("validation", "test"):  # a short sentence comes up twice now and then
        found["train"] = found["train"][~found["train"]["sentence"].isin(found[other]["sentence"])]
    found["test"] = found["test"][~found["test"]["sentence"].isin(found["validation"]["sentence"])]
    return found


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the hub serves: three tiny models, and data in the form of GLUE's."""
    root = tmp_path_factory.mktemp("hub")
    for kind in NAMES:
        save_model(root / kind, configs()[kind])
    save_glue(
        root / "glue",
        sst2=(["negative", "positive"], splits()),
        cola=(["unacceptable", "acceptable"], splits()),
    )
    save_glue(root / "reviews", default=(["bad", "good"], splits(hidden=False)))
    return root


@pytest.fixture
def hub(content: Path) -> Iterator[Hub]:
    served = Hub()
    for kind, name in NAMES.items():
        served.add("models", name, content / kind, before=name.partition("/")[2])
    served.add("models", "org/gated", content / "bert", gated=True)
    served.add("datasets", "nyu-mll/glue", content / "glue", before="glue")
    served.add("datasets", "stanfordnlp/sst2", content / "reviews")
    served.add("datasets", "org/gated", content / "reviews", gated=True)
    with serving(served):
        yield served


class Person:
    """Somebody with a cache of their own, who runs autoft against a hub."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "HF_HOME": str(home / "hf"),
            "OMP_NUM_THREADS": "1",
            "NO_PROXY": "*",
            "PYTHONPATH": str(Path(__file__).parent.parent),
        }

    def python(self, endpoint: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.environment, "HF_ENDPOINT": endpoint, **more}
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, cwd=self.home, env=environment, check=False
        )

    def autoft(self, endpoint: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.python(endpoint, "-m", "autoft", *arguments, **more)

    def check(self, endpoint: str, *arguments: str, **more: str) -> dict[str, Any]:
        """What a check finds; nothing but that may be said."""
        done = self.autoft(endpoint, "check", *arguments, "--json", **more)
        assert (done.returncode, done.stderr) == (0, "")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def refused(self, endpoint: str, *arguments: str, **more: str) -> list[str]:
        """The lines of a check that ends with 2; nothing else may be said."""
        done = self.autoft(endpoint, "check", *arguments, **more)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        lines = done.stderr.splitlines()
        assert all(line.startswith("error: ") for line in lines), done.stderr
        return [line.removeprefix("error: ") for line in lines]


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


@pytest.fixture(scope="module")
def gone() -> Iterator[str]:
    """Where nobody listens: the port is taken, so that nobody else can come to it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


SOURCE = ("--task", "text-classification", "--text", "sentence", "--model", "FacebookAI/roberta-base")


def test_sst2_is_ready_with_a_hub_and_offline_afterwards(hub: Hub, gone: str, person: Person) -> None:
    found = person.check(hub.url, str(SST2))
    assert [Path(model["path"]).is_relative_to(person.home / "hf") for model in found["models"]] == [True] * 3
    assert [model["blocks"] for model in found["models"]] == [3, 3, 3]
    assert found["labels"] == ["negative", "positive"]
    assert found["rows"]["test"] == len(splits()["validation"])
    assert HIDDEN in found["notes"]
    assert "GET /api/models/google-bert/bert-base-uncased" in hub.asked  # the short name was sent on
    assert [asked for asked in hub.asked if "telemetry" in asked] == []

    again = len(hub.asked)
    assert person.check(hub.url, str(SST2)) == found
    assert not [asked for asked in hub.asked[again:] if asked.startswith("GET /store")]  # it is all here by now

    for way in ({"HF_HUB_OFFLINE": "1"}, {}):
        assert person.check(gone, str(SST2), **way) == found
    (line,) = person.refused(gone, str(SST2), "--set", "data.config=cola")
    assert line == (
        "data.source: the configuration 'cola' of nyu-mll/glue was not downloaded before, "
        "and the hub can't be reached; check the network"
    )


def test_the_recipe_of_the_article_is_tried_first_with_each_model() -> None:
    from autoft.space import PLAIN_RECIPE
    from autoft.spec import load

    spec = load(SST2)
    recipe = {knob: PLAIN_RECIPE[knob] for knob in ("learning_rate", "batch_size", "epochs")}
    assert recipe == {"learning_rate": 2e-5, "batch_size": 16, "epochs": 3}
    assert [dict(point) for point in spec.search.start or ()] == [{"model": model, **recipe} for model in spec.models]


def test_without_a_hub_sst2_is_a_line_for_each_thing_that_is_missing(gone: str, person: Person) -> None:
    *models, data = person.refused(gone, str(SST2))
    for name, line in zip(("bert-base-uncased", "roberta-base", "distilbert-base-uncased"), models, strict=True):
        assert line.startswith(f"model {name}: {NO_HUB}")
    assert data == (
        "data.source: nyu-mll/glue is no file here, and the hub can't be reached; "
        "give a file or asset:NAME, or check the network"
    )


def test_the_splits_of_a_data_set_keep_their_rows_and_the_names_of_its_classes(hub: Hub, person: Person) -> None:
    found = person.check(hub.url, *SOURCE, "--data", "stanfordnlp/sst2")
    assert found["labels"] == ["bad", "good"]
    assert found["rows"] == {part: len(table) for part, table in splits(hidden=False).items()}
    assert found["notes"] == []


def test_what_a_hub_does_not_give_is_a_line_each(hub: Hub, person: Person) -> None:
    for name, of_model, of_data in (
        ("org/none", "neither a folder nor a model that the hub shows you; check the name", "can be read; check its"),
        ("org/gated", "its owner asks for your consent; accept the terms", "whose owner asks for your consent; accept"),
    ):
        model, data = person.refused(hub.url, *SOURCE[:-1], name, "--data", name)
        assert model.startswith(f"model {name}: {of_model}")
        assert data.startswith(f"data.source: {name} is ") and of_data in data


def test_the_configuration_that_is_wanted_has_to_be_named(hub: Hub, person: Person) -> None:
    def line(*arguments: str) -> str:
        (found,) = person.refused(hub.url, *SOURCE, *arguments)
        return found

    glue = ("--data", "nyu-mll/glue")
    assert line(*glue) == (
        "data.config: nyu-mll/glue has the configurations sst2, cola; name one, such as data.config: sst2"
    )
    assert line(*glue, "--set", "data.config=sst3") == (
        "data.config: nyu-mll/glue has no configuration 'sst3', did you mean sst2?"
    )
    assert line("--data", "glue", "--set", "data.config=sst2") == (
        "data.source: glue is called nyu-mll/glue on the hub; write that"
    )
    rows(40, 0).to_csv(person.home / "mine.csv", index=False)
    assert line("--data", "mine.csv", "--set", "data.config=sst2") == (
        "data.config: has no effect on mine.csv, which is no data set of the hub; leave it out"
    )


def test_a_hub_that_never_answers_is_waited_for_once(person: Person) -> None:
    come: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def listen() -> None:
            while True:
                try:
                    come.append(silent.accept()[0])
                except OSError:  # closed
                    return

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            lines = person.refused(f"http://127.0.0.1:{silent.getsockname()[1]}", str(SST2))
        finally:
            silent.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in come:
                connection.close()
    assert len(lines) == 4
    assert len(come) == 1


def test_a_disk_without_symbolic_links_and_a_hub_that_advises_are_not_seen(hub: Hub, person: Person) -> None:
    # A file system that refuses links can't be mounted here; so the call refuses.
    program = (
        "import os, sys\n"
        "def refuse(*_, **__): raise OSError('no links here')\n"
        "os.symlink = refuse\n"
        "from autoft.cli import main\n"
        f"main(['check', *{SOURCE!r}, '--data', 'stanfordnlp/sst2', '--json'])"
    )
    done = person.python(hub.url, "-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["models"][0]["name"] == "roberta-base"

    # Without autoft, both are seen: else this test would say nothing.
    loud = program.partition("from autoft")[0] + (
        "from huggingface_hub import snapshot_download\nsnapshot_download('google-bert/bert-base-uncased')"
    )
    said = person.python(hub.url, "-c", loud).stderr
    assert NOISE in said
    assert "symlink" in said


def test_the_clients_own_calls_are_answered_as_by_the_hub(hub: Hub, content: Path, person: Person) -> None:
    program = (
        "import json, datasets, transformers\n"
        "rows = datasets.load_dataset('nyu-mll/glue', 'sst2')['train']\n"
        "model = transformers.AutoModel.from_pretrained('bert-base-uncased')\n"
        "words = transformers.AutoTokenizer.from_pretrained('bert-base-uncased')('a great film')\n"
        "print(json.dumps([rows[0], rows.features['label'].names, type(model).__name__, words['input_ids']]))"
    )
    done = person.python(hub.url, "-c", program)
    assert done.returncode == 0, done.stderr
    row, names, model, ids = json.loads(done.stdout)
    first = splits()["train"].iloc[0]
    assert row == {"sentence": first["sentence"], "label": first["label"], "idx": 0}
    assert (names, model) == (["negative", "positive"], "BertModel")
    from transformers import AutoTokenizer

    assert ids == AutoTokenizer.from_pretrained(content / "bert")("a great film")["input_ids"]


@pytest.mark.slow
def test_a_search_of_sst2_runs_to_its_end_and_another_one_offline(hub: Hub, gone: str, person: Person) -> None:
    shutil.copy(SST2, person.home)
    first = ("search", "sst2.yaml", "--trials", "4", "--workers", "1")
    for endpoint, name in ((hub.url, "online"), (gone, "offline")):
        done = person.autoft(endpoint, *first, "--name", name)
        assert done.returncode == 0, done.stderr
        assert NOISE not in done.stdout + done.stderr
    shown = person.autoft(gone, "show", "offline", "--json")
    assert shown.returncode == 0, shown.stderr
    report = json.loads((person.home / "runs" / "offline" / "report.json").read_text())
    assert report["rows"]["test"] == len(splits()["validation"])
    said = person.autoft(gone, "predict", "offline", "a great and lovely film")
    assert said.returncode == 0 and "tive" in said.stdout, said.stderr
