"""The thread that keeps MLflow up to date with the ledger, and the two calls that end its work.

Nothing that the search does waits for MLflow: `start` returns at once, and an MLflow that is down, slow or
full shows up in `problem` and nowhere else. Each pass compares all records with what MLflow has, so one
good pass makes up for every one that failed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoft.errors import Interrupted, TrackingError
from autoft.records import SearchRecord, TrialRecord
from autoft.tracking import description, projection, replaced
from autoft.tracking.target import Target, connect, explain

if TYPE_CHECKING:
    from autoft.tracking.publish import Published
    from autoft.tracking.runs import Runs

_HEARTBEAT = 0.25  # seconds between two looks at whether the caller still wants to wait
_LONGEST_WAIT = 60.0  # seconds between two tries while MLflow is away


class Mirror:
    """Shows a search in MLflow.

    Args:
        search: The search.
        target: Where to show it.
        records: Gives the ledger's trials at any time, from any thread.
        blocks: Number of blocks of each model by its reference, where known; a depth of all of them is
            shown as `all`.
        interval: Seconds between two passes.
        describe_every: Seconds between two updates of the search's description.
    """

    def __init__(
        self,
        search: SearchRecord,
        target: Target,
        records: Callable[[], tuple[TrialRecord, ...]],
        *,
        blocks: Mapping[str, int] | None = None,
        interval: float = 3.0,
        describe_every: float = 15.0,
    ) -> None:
        self.problem: str | None = None
        """Why MLflow is behind, in one line; None while it is up to date."""
        self._search = search
        self._target = target
        self._records = records
        self._blocks = dict(blocks or {})
        self._interval = interval
        self._describe_every = describe_every
        self._described = float("-inf")
        self._client: Any = None
        self._runs: Runs | None = None
        self._live = False
        self._finished = False
        self._cleared = False  # of the runs of the searches that this one has replaced
        self._last_status: str | None = None
        self._refused: Exception | None = None  # the first trial that MLflow refused in the last pass
        self._thread: threading.Thread | None = None
        self._pass_lock = threading.Lock()  # held while talking to MLflow
        self._state = threading.Condition()  # guards what follows
        self._asked = 0  # flushes asked for
        self._tried = 0  # … seen by a pass that has ended
        self._reached = 0  # … seen by a pass that MLflow answered to its end
        self._done = 0  # … seen by a pass that went well
        self._stopping = False

    def start(self) -> None:
        """Begin, and return at once; MLflow is not even imported on the caller's thread."""
        self._live, self._finished, self._last_status = True, False, None
        self._ensure_thread()

    def flush(self, timeout: float) -> bool:
        """Bring MLflow up to date with the ledger as it is now, trying again until `timeout` seconds have passed.

        Works without `start`, too.

        Returns:
            Whether MLflow is up to date; `problem` says why not.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            ticket = self._look(left)
            with self._state:
                if self._done >= ticket:
                    return True
                self._state.wait(min(1.0, max(0.0, deadline - time.monotonic())))
        self.problem = self.problem or self._silence
        return False

    def stop(self, status: str | None = None, timeout: float = 10.0) -> bool:
        """End the thread after a last pass, which may take `timeout` seconds.

        Args:
            status: The parent run's last status, such as `KILLED` for a search that was interrupted; None
                leaves it as it is.
            timeout: Seconds to wait at most; 0 doesn't wait.

        Returns:
            Whether MLflow is up to date.
        """
        self._live, self._last_status = False, status
        thread = self._thread
        done = self.flush(timeout) if thread and timeout > 0 else False
        with self._state:
            self._stopping = True
            self._state.notify_all()
        if thread and done:
            thread.join(timeout)
        return done

    def finish(  # noqa: PLR0917 - in the order in which one says it
        self,
        report: Mapping[str, Any],
        model_dir: Path | None,
        model_name: str | None,
        pipeline: str,
        artifacts: Callable[[Published], Iterable[Path]] = lambda _: (),
        status: str = "FINISHED",
        timeout: float = 60.0,
        check: Callable[[], None] = lambda: None,
        finals: Sequence[TrialRecord] = (),
    ) -> Published:
        """Bring MLflow up to date, publish the result on the parent run, and end the thread.

        May be called again after it failed, also from another process: nothing is logged twice.

        Args:
            report: The final report, as in report.json.
            model_dir: Folder with the winner's weights and tokenizer; None where there is no winner.
            model_name: Name in the model registry; None registers nothing.
            pipeline: Name of the `transformers` pipeline that the model is for.
            artifacts: Gives the files and folders to keep with the parent run, once it is known where everything
                is: they may say so.
            status: Last status of the parent run: `FINISHED`, `FAILED` or `KILLED`.
            timeout: Seconds that MLflow may take to answer and to be brought up to date. What follows once it
                has answered, the model above all, may take as long as it needs.
            check: Called between two steps, and while MLflow is waited for; what it raises ends the publishing, and
                leaves the thread for `stop`.
            finals: What was trained for the final round, from its own ledger: shown as children of the parent, too.

        Returns:
            Where everything is.

        Raises:
            TrackingError: MLflow could not be reached or refused; `finish` can be called again later.
        """
        from autoft.tracking.finals import entrants_of
        from autoft.tracking.publish import publish

        self._live = False
        deadline = time.monotonic() + timeout
        # A call to an MLflow that is down can take minutes, whatever it is told, so the thread makes the first one.
        ticket = self._look(timeout, check)
        if self._reached < ticket or not self._pass_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            self.problem = self.problem or self._silence
            self.stop(timeout=0)
            raise TrackingError(self.problem)
        try:
            records = self._records()
            entrants = entrants_of(finals, records, report)
            runs = self._bring_up(records, ending=True, finals=list(zip(finals, entrants, strict=True)))
            published = publish(
                runs,
                self._search,
                self._target,
                records,
                report,
                model_dir=model_dir,
                model_name=model_name,
                pipeline=pipeline,
                artifacts=artifacts,
                check=check,
                finals=finals,
                entrants=entrants,
            )
            usage = ""
            if report.get("winner"):
                usage = description.usage(self._search.name, pipeline, published.model_uri, published.tracking_uri)
            text = description.describe(
                self._search,
                records,
                self._blocks,
                runs.links,
                report=report,
                pages=_pages(runs, published),
                usage=usage,
            )
            runs.set_parent({projection.NOTE: text})
            scored = self._search.started + (report.get("cost") or {}).get("search_seconds", 0.0)
            runs.set_status(runs.parent, status, max(scored, _end([*records, *finals], self._search)))
            self._finished = True
            self.problem = explain(self._refused, self._target) if self._refused else None
        except Interrupted:
            raise
        except Exception as error:
            self._runs = None
            self.problem = explain(error, self._target)
            self.stop(timeout=0)
            raise TrackingError(self.problem) from error
        finally:
            self._pass_lock.release()
        self.stop(timeout=0)
        return published

    @property
    def _silence(self) -> str:
        return f"MLflow at {self._target.public_uri} has not answered yet"

    def _look(self, timeout: float, check: Callable[[], None] = lambda: None) -> int:
        """Have the thread make a pass over what the ledger holds now; the pass's ticket, after `timeout` at most."""
        self._ensure_thread()
        with self._state:
            self._asked += 1
            ticket = self._asked
            self._state.notify_all()
            deadline = time.monotonic() + timeout
            while self._tried < ticket and (left := deadline - time.monotonic()) > 0:
                self._state.wait(min(_HEARTBEAT, left))
                check()
        return ticket

    def _ensure_thread(self) -> None:
        with self._state:
            self._stopping = False  # one that was told to end and has not noticed yet goes on instead
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, name="autoft-mlflow", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        failures = 0
        while True:
            with self._state:
                if self._stopping:
                    self._thread = None  # under the lock, so that nobody counts on a thread that is about to end
                    return
                ticket = self._asked
            good = self._pass(full=ticket > self._done)
            failures = 0 if good else failures + 1
            with self._state:
                self._tried = ticket
                if good or self._refused:
                    self._reached = ticket
                if good:
                    self._done = ticket
                self._state.notify_all()
                wait = self._interval if good else min(_LONGEST_WAIT, self._interval * 2 ** min(failures, 10))
                self._state.wait_for(lambda: self._stopping or self._asked > self._tried, wait)

    def _pass(self, full: bool) -> bool:
        with self._pass_lock:
            try:
                if full:
                    self._runs = None  # look again: a create call thought lost may have arrived since
                records = self._records()
                runs = self._bring_up(records, ending=self._last_status is not None)
                if not self._finished:
                    self._tell(runs, records, full)
                if self._refused:
                    raise self._refused
            except Exception as error:  # MLflow is a window: whatever is wrong with it must not stop the search
                self._runs = None
                self.problem = explain(error, self._target)
                return False
            self.problem = None
            return True

    def _bring_up(
        self, records: Sequence[TrialRecord], *, ending: bool, finals: Sequence[tuple[TrialRecord, str]] = ()
    ) -> Runs:
        from autoft.tracking.runs import Runs

        if self._client is None:
            self._client = connect(self._target)
        from mlflow.exceptions import MlflowException

        runs = self._runs
        if runs is None:
            runs = Runs(self._client, self._target, self._search, self._blocks)
            runs.find()
            if not self._cleared:
                replaced.delete_runs(self._client, self._search)
                self._cleared = True
        if self._live:
            runs.set_status(runs.parent, "RUNNING", None)
        self._refused = None
        everything: list[tuple[TrialRecord, str | None]] = [*((record, None) for record in records), *finals]
        for record, entrant in everything:
            try:
                runs.bring_up(record, ending=ending, entrant=entrant)
            except MlflowException as error:
                if error.get_http_status_code() >= 500:  # MLflow is not there; the next trial would fare no better
                    raise
                self._refused = self._refused or error  # this trial only; it must not hold up the others
        self._runs = runs
        return runs

    def _tell(self, runs: Runs, records: Sequence[TrialRecord], full: bool) -> None:
        now = time.monotonic()
        # Finished earlier, by this process or another: the final words stand.
        told = not self._live and runs.parent.status != "RUNNING"
        if not told and (full or now - self._described >= self._describe_every):
            text = description.describe(self._search, records, self._blocks, runs.links)
            runs.set_parent({projection.NOTE: text})
            self._described = now
        if self._last_status is not None:
            runs.set_status(runs.parent, self._last_status, _end(records, self._search))


def _pages(runs: Runs, published: Published) -> str:
    """Links from the page of a search to its winner, its model and its files."""
    winner = runs.parent.tags.get("autoft.winner_run")
    name, version = published.model_name, published.model_version
    # Without artifacts a link would lead to an empty page.
    top = runs.client.list_artifacts(runs.parent.run_id)
    files = {entry.path: runs.link(runs.parent.run_id, entry.path) for entry in top}
    return description.pages(
        runs.link(winner) if winner else None,
        (name, version) if name and version else None,
        {name: files[name] for name in ("report.html", "report.md", "pictures") if name in files},
    )


def _end(records: Sequence[TrialRecord], search: SearchRecord) -> float:
    # From the records, not from the clock: a search that is shown later ended when it ended.
    times = [record.finished for record in records if record.finished is not None]
    times += [report.time for record in records for report in record.reports[-1:]]
    with suppress(ValueError):
        return max(times)
    return search.started
