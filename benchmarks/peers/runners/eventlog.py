"""What a runner says while it runs, a JSON line each; it needs nothing but Python, for each runner has other libraries.

A runner is called with the path of its job, a JSON file, and writes `events.jsonl` into the job's folder:

    {"kind": "evaluation", "time": …, "trial": 3, "value": 0.81}     a trial's accuracy on validation, when known
    {"kind": "winner", "params": {…}, "validation": 0.85}            what was chosen
    {"kind": "ready", "time": …}                                     the winner's model is there
    {"kind": "predictions", "labels": ["negative", …]}               what it says of the test rows
    {"kind": "retrain", "seconds": …}, {"kind": "remark", "text": …}, {"kind": "versions", "of": {…}}
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


class EventLog:
    """Appends events to a file; whole lines, so that several processes may write to it at once."""

    def __init__(self, folder):
        self.path = str(Path(folder) / "events.jsonl")

    def write(self, kind, **what):
        """Adds an event."""
        line = json.dumps({"kind": kind, "time": time.time(), **what}, default=float) + "\n"
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(line)

    def evaluation(self, trial, value, **what):
        """Notes the accuracy of a trial on validation, known just now unless `time` says when."""
        self.write("evaluation", trial=trial, value=float(value), **what)

    def winner(self, params, validation):
        """Notes what was chosen."""
        self.write("winner", params={key: _plain(value) for key, value in params.items()}, validation=float(validation))

    def ready(self):
        """Notes that the winner's model is there: here the clock stops."""
        self.write("ready")

    def predictions(self, labels):
        """Notes the winner's labels for the test rows."""
        self.write("predictions", labels=[str(label) for label in labels])

    def remark(self, text):
        """Notes what a reader has to know."""
        self.write("remark", text=text)

    def versions(self, *libraries):
        """Notes the versions of the libraries that matter."""
        found = {"python": ".".join(map(str, sys.version_info[:3]))}
        for library in libraries:
            try:
                found[library] = version(library)
            except PackageNotFoundError:
                continue
        self.write("versions", of=found)


def read_job():
    """The job that the script was called with, and its log."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    return job, EventLog(job["folder"])


def read_rows(path):
    """The texts and the labels of a file of rows."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def _plain(value):
    return value if isinstance(value, str | int | float | bool | None) else str(value)
