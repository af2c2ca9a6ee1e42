"""The end of a search: the winner is chosen, handed over, and read on the test rows; what comes out is the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoft.finals import predictions
from autoft.finals.answers import answers
from autoft.finals.entrants import entrants, others
from autoft.finals.judging import Judge, Judged
from autoft.finals.outcome import Objective, chosen_first, outcome, winner_entry
from autoft.finals.repeats import Repeats
from autoft.planning import Plan
from autoft.records import TrialRecord
from autoft.report import build, compare, selection
from autoft.report.front import pareto
from autoft.study.ledger import Ledger
from autoft.training.answer_cost import cost
from autoft.training.calibrating import calibrate
from autoft.training.devices import cores
from autoft.training.devices import threads as with_threads
from autoft.training.job import Job
from autoft.training.noise import suspects
from autoft.training.predict import Predictor
from autoft.training.probe import Probed, Question

_CHECKED = 8  # rows on which a calibrated model is compared with the one before
_AGAIN = (
    "the test rows were read before, for {} other models of this search: the score has had more than one chance, and "
    "flatters a little; new test rows would not"
)
_NO_PLAIN = (
    "the plain recipe was not trained to its end, so the winner is not compared with it; a larger budget leaves time "
    "for that"
)
_IS_PLAIN = "the winner is the plain recipe itself: nothing else that was tried did better on validation"
_MEASURED_FOR = 0.75  # seconds for the latency of each size of a batch


def judging_threads(plan: Plan) -> int:
    """CPU threads of the end of a search: what the workers had, who are gone by then."""
    return min(cores(), plan.workers * plan.spec.resources.cpus_per_trial)


@dataclass(frozen=True, slots=True)
class Closing:
    """What the end of a search needs to know.

    Attributes:
        folder: Of the search.
        model_dir: Where the winner goes.
        plan: What the search was to do.
        ledger: What it did.
        job: What all trials shared.
        question: What the probes ask.
        repeats: What the finals were to train.
        trained: What they have trained.
        probed: The pretrained models as they were probed, the best first; empty where they weren't.
        notes: What a reader has to know, a sentence each.
    """

    folder: Path
    model_dir: Path
    plan: Plan
    ledger: Ledger
    job: Job
    question: Question
    repeats: Repeats
    trained: tuple[TrialRecord, ...]
    probed: Sequence[Probed]
    notes: tuple[str, ...]

    def judge(
        self, *, go_on: Callable[[float], bool], stopped: Callable[[], bool], elapsed: Callable[[], float]
    ) -> dict[str, Any]:
        """Chooses the winner on validation, saves it, and only then reads the test rows, once for each entrant.

        Args:
            go_on: Whether there is time for more than what has to be done, if that takes so many seconds.
            stopped: Whether the user wants it to end.
            elapsed: Seconds that the search has taken.

        Returns:
            The report.
        """
        with with_threads(judging_threads(self.plan)):
            return self._judge(go_on, stopped, elapsed)

    def _judge(
        self, go_on: Callable[[float], bool], stopped: Callable[[], bool], elapsed: Callable[[], float]
    ) -> dict[str, Any]:
        plan, search = self.plan, self.ledger.search
        judge = Judge(self.folder, self.job, plan.splits)
        folder, repeats = self.folder, self.repeats
        judged = judge.validate(entrants(folder, repeats, self.trained, search.direction))
        if repeats.soup and (soup := judge.soup(judged, others(folder, repeats, search.direction), go_on)):
            judged.append(soup)
        ordered, choice = chosen_first(judged, search.direction)
        winner = ordered[0]
        judge.hand_over(
            winner,
            self.model_dir,
            {
                "search": search.name,
                "search_id": search.id,
                "trial": winner.entrant.trial,
                "entrant": winner.name,
                "metric": plan.metric,
            },
        )
        ordered, earlier = judge.test(ordered, self.model_dir)
        report = self._report(ordered, judge.examples, choice, earlier=earlier, seconds=elapsed())
        more = self._examined(ordered[0], go_on, stopped)
        more["notes"] = [*self._warnings(ordered, earlier), *report["notes"], *more["notes"]]
        report |= more
        report["cost"] |= {"search_seconds": elapsed()}
        return report

    def _report(
        self,
        judged: Sequence[Judged],
        examples: Sequence[Any],
        choice: selection.Choice,
        *,
        earlier: int,
        seconds: float,
    ) -> dict[str, Any]:
        plan, ledger, winner = self.plan, self.ledger, judged[0]
        search, metric = ledger.search, plan.metric

        def measure(scores: Any, rows: Any) -> Mapping[str, float]:
            return plan.task.measure(scores, rows, plan.meta)

        objective = Objective(measure, metric, search.direction, examples)
        metrics = measure(winner.test, examples)
        others = self._baselines(examples)
        for name, said in others.items():
            predictions.keep(self.folder, "test", f"baseline-{name}", said, examples)
        baselines = compare(measure, metric, search.direction, scores=winner.test, others=others, examples=examples)
        report = build(
            search,
            ledger.records(),
            winner.entrant.trial or 0,
            test=metrics[metric],
            interval=objective.interval(winner.test),
            test_metrics=metrics,
            baselines=baselines,
            probes=ledger.probes,
            seconds=seconds,
            model_dir=self.model_dir,
            rows=plan.rows,
            labels=plan.labels,
            fingerprint=plan.splits.fingerprint,
            models={model.ref: {"name": model.name, "blocks": model.blocks} for model in plan.models},
            pipeline=plan.task.pipeline,
            pairs=bool(plan.meta.get("text_pair")),
            # What was found in the data has an entry of its own.
            notes=[
                note
                for note in (*plan.notes, *plan.splits.notes, *plan.meta.get("notes", ()), *self.notes)
                if note not in plan.examination.warnings
            ],
        )
        report["winner"] |= winner_entry(winner)
        wanted = plan.spec.search
        report |= pareto(search, wanted.against, ledger.records(), ledger.costs, wanted.within)
        return report | outcome(
            judged,
            objective,
            choice,
            plain=self.repeats.plain,
            baselines=others,
            earlier=earlier,
            trained=len(self.trained),
        )

    def _examined(self, winner: Judged, go_on: Callable[[float], bool], stopped: Callable[[], bool]) -> dict[str, Any]:
        """What else there is to know of the winner and of the data; what there is no time for is left out."""
        plan = self.plan
        found: dict[str, Any] = {"examination": plan.examination.as_dict(), "notes": []}
        found |= answers(plan, winner.validation, winner.test)
        if calibration := found.get("calibration"):
            left = calibrate(self.model_dir, calibration["temperature"], plan.splits.validation[:_CHECKED])
            if left:
                calibration["left_out"] = left
                found["notes"].append(f"the model's probabilities are not calibrated: {left}")
        finals = sum(trial.seconds for trial in self.trained)
        found["cost"] = {
            "trained_samples": sum(trial.samples for trial in (*self.ledger.records(), *self.trained)),
            "finals_seconds": finals,
        }
        if go_on(0.0):
            found["cost"] |= cost(
                self.model_dir, plan.splits.validation, threads=self.job.threads, seconds=_MEASURED_FOR
            )
        if go_on(0.0):
            info = next(model for model in plan.models if model.ref == winner.attempt.config.model)
            found["label_noise"] = suspects(self.question, info, plan.splits.train, plan.splits.validation, stopped)
        return found

    def _warnings(self, judged: Sequence[Judged], earlier: int) -> list[str]:
        """What keeps the result from meaning what it seems to mean."""
        found = [_AGAIN.format(earlier)] if earlier else []
        if (plain := self.repeats.plain) is not None:
            if judged[0].entrant.trains(plain):
                found.append(_IS_PLAIN)
            elif not any(one.entrant.trains(plain) for one in judged):
                found.append(_NO_PLAIN)
        return found

    def _baselines(self, examples: Sequence[Any]) -> dict[str, Any]:
        """What trivial models say of the test rows, by their name."""
        plan = self.plan
        train, test = plan.splits.train, plan.splits.test
        known = Predictor.load(self.model_dir).examples(train)
        found = dict(plan.task.baselines(train, test, known, examples, plan.meta))
        if self.probed and (said := self.probed[0].scores(test)) is not None:
            found["probe"] = said
        return found
