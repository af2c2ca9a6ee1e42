"""A model hub on this machine: answers as the real one does, for repositories that are folders here.

It speaks what `snapshot_download`, `from_pretrained` and `load_dataset` ask of the endpoint that HF_ENDPOINT names:
what a repository is, its tree, and its files; large ones lie elsewhere, so the client is sent there; so it is where
a repository has moved.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

NOISE = "You are sending unauthenticated requests. Please set a HF_TOKEN to enable higher rate limits."
"""What every answer asks the client to tell its user."""

_LARGE = (".safetensors", ".parquet")  # the hub keeps these in its store of large files
_API = re.compile(r"/api/(models|datasets)/(.+?)(?:/(revision|tree|paths-info)/([^/]+)(?:/(.*))?)?")
_RESOLVE = re.compile(r"/(datasets/)?(.+?)/resolve/([^/]+)/(.+)")
_STORE = re.compile(r"/store/([0-9a-f]{64})")


@dataclass(frozen=True)
class Repo:
    """A folder that is served; a gated one can be seen by everybody, and its files by nobody."""

    name: str
    folder: Path
    gated: bool = False

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Contents by path."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}

    @cached_property
    def commit(self) -> str:
        """Its only commit; a change of the folder is not seen."""
        return hashlib.sha1(b"".join(name.encode() + raw for name, raw in self.files.items())).hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        """A file as the tree lists it."""
        raw = self.files[path]
        found = {"type": "file", "path": path, "size": len(raw), "oid": git_id(raw)}
        if path.endswith(_LARGE):
            found["lfs"] = {"oid": hashlib.sha256(raw).hexdigest(), "size": len(raw), "pointerSize": 130}
        return found

    def folders(self) -> set[str]:
        """Every folder that holds a file."""
        return {parent.as_posix() for path in self.files for parent in Path(path).parents} - {"."}


def git_id(raw: bytes) -> str:
    """What git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest()


@dataclass
class Hub:
    """What is served, under which names, and what was asked for.

    Attributes:
        url: Where it listens; for HF_ENDPOINT.
        repos: By kind (`models`, `datasets`) and name.
        moved: Old names of repositories, with the new ones.
        asked: Every request so far, such as `GET /api/models/bert-base-uncased`.
    """

    url: str = ""
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    moved: dict[tuple[str, str], str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def store(self) -> str:
        """Where large files lie: on another host, as far as a client can tell."""
        return self.url.replace("127.0.0.1", "localhost")

    def add(self, kind: str, name: str, folder: Path, *, gated: bool = False, before: str = "") -> None:
        """Serves `folder` as the repository `name`, which was called `before` once."""
        self.repos[kind, name] = Repo(name, folder, gated)
        if before:
            self.moved[kind, before] = name


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, listening on a free port of the loopback interface."""
    handler = type("Bound", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.hub.asked.append(f"{self.command} {self.path}")
        if match := _STORE.fullmatch(path):
            self._stored(match[1])
        elif match := _RESOLVE.fullmatch(path):
            self._resolve("datasets" if match[1] else "models", *match.group(2, 3, 4))
        elif match := _API.fullmatch(path):
            self._api(*match.groups(), query=url.query, body=body)
        else:
            self._say(404, {"error": "Not found"})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass

    def _repo(self, kind: str, name: str, revision: str | None) -> Repo | None:
        """The repository, or an answer that it is not (there any longer)."""
        if new := self.hub.moved.get((kind, name)):
            self._say(307, {}, Location=self.path.replace(name, new, 1))
            return None
        repo = self.hub.repos.get((kind, name))
        if repo is None:  # to a stranger the hub does not say whether there is a private one
            self._say(401, {"error": "Invalid username or password."}, **{"X-Error-Code": "RepoNotFound"})
        elif revision not in (None, "main", repo.commit):
            self._say(404, {"error": "Invalid rev id"}, **{"X-Error-Code": "RevisionNotFound"})
        else:
            return repo
        return None

    def _api(
        self, kind: str, name: str, what: str | None, revision: str | None, path: str | None, query: str, body: bytes
    ) -> None:
        repo = self._repo(kind, name, revision)
        if repo is None:
            return
        if what in (None, "revision"):
            siblings = [{"rfilename": file} for file in repo.files]
            gated = "manual" if repo.gated else False
            told = {"id": repo.name, "sha": repo.commit, "siblings": siblings, "gated": gated, "private": False}
            self._say(200, told | {"tags": [], "downloads": 0, "likes": 0})
        elif what == "tree":
            deep = parse_qs(query).get("recursive", [""])[0].lower() in ("true", "1")
            self._tree(repo, path or "", deep)
        else:
            given = body.decode()
            form = json.loads(given) if given.startswith("{") else parse_qs(given)
            paths = form["paths"] if isinstance(form["paths"], list) else [form["paths"]]
            folders = repo.folders()
            self._say(
                200,
                [
                    repo.entry(path) if path in repo.files else _directory(path)
                    for path in paths
                    if path in repo.files or path in folders
                ],
            )

    def _tree(self, repo: Repo, below: str, deep: bool) -> None:
        start = f"{below}/" if below else ""
        folders = [_directory(path) for path in sorted(repo.folders())]
        entries = folders + [repo.entry(path) for path in repo.files]
        found = [entry for entry in entries if entry["path"].startswith(start)]
        if below and not found:
            self._say(404, {"error": f"{below} does not exist"}, **{"X-Error-Code": "EntryNotFound"})
            return
        self._say(200, [entry for entry in found if deep or "/" not in entry["path"].removeprefix(start)])

    def _resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        repo = self._repo(kind, name, revision)
        if repo is None:
            return
        commit = {"X-Repo-Commit": repo.commit}
        if repo.gated:
            message = f"Access to {kind[:-1]} {repo.name} is restricted and you are not in the authorized list."
            self._say(403, {"error": message}, **{"X-Error-Code": "GatedRepo", "X-Error-Message": message})
        elif path not in repo.files:
            self._say(404, {"error": "Entry not found"}, **{"X-Error-Code": "EntryNotFound"}, **commit)
        elif path.endswith(_LARGE):
            raw = repo.files[path]
            oid = hashlib.sha256(raw).hexdigest()
            linked = {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(raw))}
            self._say(302, {}, Location=f"{self.hub.store}/store/{oid}", **linked, **commit)
        else:
            self._send(repo.files[path], ETag=f'"{git_id(repo.files[path])}"', **commit)

    def _stored(self, oid: str) -> None:
        for repo in self.hub.repos.values():
            for raw in repo.files.values():
                if hashlib.sha256(raw).hexdigest() == oid:
                    self._send(raw, ETag=f'"{oid}"')
                    return
        self._say(404, {"error": "Not found"})

    def _send(self, raw: bytes, **headers: str) -> None:
        """A file, or the part of it that the client asks for."""
        status = 200
        if part := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(part[1]), min(int(part[2] or len(raw) - 1), len(raw) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(raw)}"
            status, raw = 206, raw[first : last + 1]
        self._answer(status, raw, "application/octet-stream", headers)

    def _say(self, status: int, told: Any, **headers: str) -> None:
        self._answer(status, json.dumps(told).encode(), "application/json", headers)

    def _answer(self, status: int, raw: bytes, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("X-HF-Warning", f"unauthenticated; {NOISE}")
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)


def _directory(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": git_id(path.encode())}


def glue_card(**configs: list[str]) -> str:
    """The README.md of a data set of several configurations; the classes of each, and three splits of parquet files."""
    data = {"configs": [], "dataset_info": []}
    for name, classes in configs.items():
        files = [{"split": part, "path": f"{name}/{part}-*"} for part in ("train", "validation", "test")]
        data["configs"].append({"config_name": name, "data_files": files})
        names = {str(i): label for i, label in enumerate(classes)}
        features = [
            {"name": "sentence", "dtype": "string"},
            {"name": "label", "dtype": {"class_label": {"names": names}}},
            {"name": "idx", "dtype": "int32"},
        ]
        data["dataset_info"].append({"config_name": name, "features": features})
    return f"---\n{json.dumps(data, indent=2)}\n---\n# GLUE\n"  # JSON is YAML too


def save_glue(folder: Path, **configs: tuple[list[str], dict[str, Any]]) -> Path:
    """A data set in GLUE's form.

    Args:
        folder: Where to write it.
        configs: The classes of each configuration, and its data frames by split, with the columns `sentence` and
            `label`, a class's index, -1 where nobody is told.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for name, (_, splits) in configs.items():
        (folder / name).mkdir(parents=True)
        for part, rows in splits.items():
            columns = {
                "sentence": pa.array(rows["sentence"], pa.string()),
                "label": pa.array(rows["label"], pa.int64()),
                "idx": pa.array(range(len(rows)), pa.int32()),
            }
            pq.write_table(pa.table(columns), folder / name / f"{part}-00000-of-00001.parquet")
    (folder / "README.md").write_text(glue_card(**{name: classes for name, (classes, _) in configs.items()}))
    return folder
