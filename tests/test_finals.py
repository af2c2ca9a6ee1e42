"""The finals: what is trained once more, who may win, what is kept of it, and a real search that ends in them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import autoft
from autoft.finals import FOLDER, Repeats, needed, open_ledger, plain_recipe
from autoft.finals.entrants import Attempt, Entrant, Kind, entrants
from autoft.finals.predictions import keep, plain, read_before
from autoft.records import Direction, Report, SearchRecord, TrialConfig, TrialRecord, TrialState
from autoft.spec import Finals
from autoft.training.soup import greedy, mean

PLAIN = plain_recipe("tiny", 64, 0)


def trial(number, value, *, config=None, state=TrialState.COMPLETE, samples=100, seconds=10.0):
    own = config or TrialConfig("tiny", 1e-4 * (number + 1), 16, 2, 0, max_length=64)
    reports = (Report(samples, value, {"loss": 0.5}, 0.5, seconds, 1.0),) if value is not None else ()
    return TrialRecord(number, own, state, reports)


def repeats(trials, **wanted):
    return Repeats.of(trials, Finals(**wanted), plain=PLAIN)


def test_the_plain_recipe_comes_first_then_one_repeat_of_each():
    found = repeats([trial(3, 0.9), trial(1, 0.8), trial(0, 0.7)])
    assert [t.number for t in found.finalists] == [3, 1]
    seeds = [(config.learning_rate, config.seed) for config in found.configs]
    assert seeds == [(2e-5, 0), (4e-4, 1), (2e-4, 1), (4e-4, 2), (2e-4, 2)]


def test_a_plain_recipe_that_is_a_finalist_and_was_trained_to_its_end_is_not_trained_twice():
    done = trial(0, 0.9, config=PLAIN)
    assert PLAIN not in repeats([done, trial(1, 0.8)]).configs
    paused = trial(0, 0.9, config=PLAIN, state=TrialState.PRUNED)
    assert PLAIN in repeats([paused, trial(1, 0.8)]).configs


def test_without_finals_nothing_is_trained_and_one_trial_wins():
    found = Repeats.of(
        [trial(3, 0.9), trial(1, 0.8)], Finals(finalists=1, repeats=0, plain=False, soup=False), plain=PLAIN
    )
    assert (found.configs, [t.number for t in found.finalists], found.soup) == ((), [3], False)


def test_who_asked_for_a_cheap_model_gets_the_first_whatever_else_is_trained():
    trials = [trial(3, 0.7), trial(0, 0.9, config=PLAIN)]
    found = Repeats.of(trials, Finals().where(0.01), plain=PLAIN, plain_may_win=False)
    assert ([t.number for t in found.finalists], found.plain_trial, found.soup) == ([3], None, False)
    assert found.plain == PLAIN, "it is compared with all the same"


def test_a_soup_may_hold_the_trials_that_come_after_the_finalists():
    trials = [trial(i, 0.9 - i / 100) for i in range(7)]
    assert [t.number for t in repeats(trials).others] == [2, 3, 4]
    assert [t.number for t in repeats(trials, finalists=1).others] == [1, 2, 3]
    assert repeats(trials, soup=False).others == ()


def test_a_finalist_without_weights_gives_way():
    found = Repeats.of([trial(3, 0.9), trial(1, 0.8)], Finals(finalists=1), plain=PLAIN, able=lambda t: t.number != 3)
    assert [t.number for t in found.finalists] == [1]


def test_the_time_of_the_finals_is_that_of_the_nearest_trainings():
    fast, slow = trial(0, 0.9, samples=100, seconds=1.0), trial(1, 0.8, samples=300, seconds=19.0)
    found = Repeats.of([fast], Finals(finalists=1, repeats=1, plain=False), plain=PLAIN)  # 2 epochs
    assert needed(found.configs, [fast], rows=100, workers=1) == pytest.approx(1.1 * 2.0)
    both = needed(found.configs, [fast, slow], rows=100, workers=1)
    assert both == pytest.approx(1.1 * 10.0), "two that are alike: by their samples"
    assert needed(found.configs, [], rows=100, workers=2) == 0.0


@pytest.mark.parametrize("knobs", [{"freeze_depth": 6}, {"model": "another"}, {"adapter": "lora", "lora_rank": 4}])
def test_a_training_of_another_kind_says_nothing_where_there_is_a_nearer_one(knobs):
    near = trial(0, 0.9, samples=100, seconds=1.0, config=replace(PLAIN, freeze_depth=2))
    far = trial(1, 0.8, samples=100, seconds=50.0, config=replace(PLAIN, **knobs))
    assert needed([PLAIN], [near, far], rows=100, workers=1) == pytest.approx(1.1 * 3.0)


def test_a_plain_recipe_for_which_there_is_no_time_is_not_begun():
    best = trial(3, 0.9, samples=100, seconds=10.0)
    found = repeats([best], finalists=1)
    for workers in (1, 2):
        cost = needed(found.configs[:2], [best], rows=100, workers=workers)
        assert cost > needed([PLAIN], [best], rows=100, workers=workers) or workers == 2
        assert found.within(cost, [best], rows=100, workers=workers) == found.configs
        assert found.within(0.9 * cost, [best], rows=100, workers=workers) == found.configs[1:]
    assert PLAIN not in found.configs[1:]


def test_entrants_hold_the_search_and_the_repeats(tmp_path):
    best = trial(3, 0.9)
    found = repeats([best], finalists=1)
    trained = [trial(i, 0.8 + i / 100, config=config) for i, config in enumerate(found.configs)]
    first, last = entrants(tmp_path, found, trained, Direction.MAXIMIZE)
    assert (first.name, first.kind, [a.name for a in first.attempts]) == (
        "trial-3",
        Kind.FINALIST,
        ["trial-3/0", "trial-3/1", "trial-3/2"],
    )
    assert first.values == pytest.approx((0.9, 0.81, 0.82))
    assert first.chosen(Direction.MAXIMIZE).name == "trial-3/0"
    assert first.chosen(Direction.MINIMIZE).name == "trial-3/1"
    assert (last.name, last.trial, last.values) == ("plain", None, (0.8,))
    assert first.attempts[1].checkpoints.is_relative_to(tmp_path / FOLDER)


def test_a_training_that_was_cut_short_does_not_count_against_its_recipe():
    def attempt(value, *, whole, fresh):
        best = Report(1, value, {}, 0.1, 1.0, 1.0)
        return Attempt("x/0", PLAIN, best, 1.0, whole=whole, fresh=fresh, checkpoints=None)

    own, cut = attempt(0.9, whole=False, fresh=False), attempt(0.2, whole=False, fresh=True)
    assert Entrant("x", Kind.FINALIST, 1, (own, cut)).values == (0.9,)
    assert Entrant("x", Kind.PLAIN, None, (cut,)).values == (0.2,)


def test_a_plain_recipe_that_was_cut_short_is_no_rival(tmp_path):
    found = repeats([trial(3, 0.9)], finalists=1)
    state = {config: TrialState.PRUNED if config == PLAIN else TrialState.COMPLETE for config in found.configs}
    trained = [trial(i, 0.5, config=config, state=state[config]) for i, config in enumerate(found.configs)]
    assert [one.kind for one in entrants(tmp_path, found, trained, Direction.MAXIMIZE)] == [Kind.FINALIST]


def test_what_was_cut_short_is_trained_anew_and_what_nobody_wants_any_more_is_not(tmp_path):
    search = SearchRecord("id", "n", "text-classification", "accuracy", Direction.MAXIMIZE, 0.0)
    one, two, three = (replace(PLAIN, seed=seed) for seed in (1, 2, 3))
    (tmp_path / FOLDER).mkdir()
    ledger = open_ledger(tmp_path, search, (one, two, three))
    ledger.report(0, Report(100, 0.5, {"loss": 0.5}, 0.5, 1.0, 1.0))
    ledger.prune(0, "out of time at 100 samples")
    ledger.close()
    ledger = open_ledger(tmp_path, search, (one, two))
    known = [(record.config, record.state) for record in ledger.records()]
    ledger.close()
    assert known == [
        (one, TrialState.PRUNED),
        (two, TrialState.OPEN),
        (three, TrialState.PRUNED),
        (one, TrialState.OPEN),
    ]
    found = Repeats.of([trial(0, 0.9, config=PLAIN)], Finals(finalists=1, repeats=1, plain=False), plain=PLAIN)
    cut, begun = trial(0, 0.5, config=one, state=TrialState.PRUNED), trial(3, None, config=one, state=TrialState.OPEN)
    (entrant,) = entrants(tmp_path, found, [cut, begun], Direction.MAXIMIZE)
    assert [attempt.best.value for attempt in entrant.attempts] == [0.9, 0.5]


def test_the_plain_recipe_is_known_wherever_it_competes(tmp_path):
    done = trial(0, 0.9, config=PLAIN)
    (entrant,) = entrants(tmp_path, repeats([done], finalists=1, repeats=0), [], Direction.MAXIMIZE)
    assert entrant.trains(PLAIN)
    assert not entrant.trains(replace(PLAIN, seed=1))
    assert not entrant.trains(None)
    assert not replace(entrant, kind=Kind.SOUP).trains(PLAIN), "it only holds it"


def test_predictions_are_kept_row_by_row(tmp_path):
    keep(tmp_path, "test", "plain", np.array([[0.5, -1.0], [2.0, 1.0]]), [{"labels": 1}, {"labels": np.int64(0)}])
    lines = [json.loads(line) for line in (tmp_path / "predictions" / "test-plain.jsonl").read_text().splitlines()]
    assert lines == [
        {"row": 0, "scores": [0.5, -1.0], "target": 1},
        {"row": 1, "scores": [2.0, 1.0], "target": 0},
    ]


def test_scores_of_any_task_can_be_kept():
    assert plain([np.float32(0.5), {"text": "a", "loss": (1.0, None)}]) == [0.5, {"text": "a", "loss": [1.0, None]}]


def test_a_second_reading_of_the_test_rows_is_told(tmp_path):
    assert read_before(tmp_path, {"plain": "a", "trial-1": "b"}) == 0
    assert read_before(tmp_path, {"plain": "a", "trial-1": "b"}) == 0, "the same models again, after a crash"
    assert read_before(tmp_path, {"plain": "a", "trial-2": "c"}) == 1


def weights(*values):
    return {"w": torch.tensor(values)}


def test_a_soup_takes_what_makes_it_better_and_nothing_else():
    made = [weights(1.0, 0.0), weights(9.0, 9.0), weights(0.0, 1.0)]
    target = torch.tensor([0.5, 0.5])

    def judge(some):
        return (-float((some["w"] - target).abs().sum()),)

    soup = greedy({}, [lambda: made[0]], judge(made[0]), judge)
    assert soup is None, "nothing to mix"
    base = {"w": torch.zeros(2), "frozen": torch.ones(1)}
    soup = greedy(base, [lambda i=i: made[i] for i in range(3)], judge(made[0]), judge)
    assert soup.ingredients == (0, 2)
    assert soup.gain == (0.0,)
    assert torch.equal(soup.weights["w"], target)
    assert torch.equal(soup.weights["frozen"], torch.ones(1)), "what nobody trained stays"
    assert torch.equal(mean(base, [made[0], made[2]])["w"], target)


def test_a_soup_that_helps_nobody_is_the_best_pair():
    made = [weights(1.0), weights(5.0), weights(3.0)]
    soup = greedy({"w": torch.zeros(1)}, [lambda i=i: made[i] for i in range(3)], (0.0,), lambda w: (-float(w["w"]),))
    assert (soup.ingredients, soup.gain) == ((0, 2), (-2.0,))
    assert greedy(made[0], [lambda: made[0]] * 2, (0.0,), lambda w: (1.0,), go_on=lambda: False) is None


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_bert, tiny_data):
    folder = tmp_path_factory.mktemp("finished")
    table = folder / "rows.csv"
    tiny_data.to_csv(table, index=False)
    return autoft.search(
        task="text-classification",
        data=str(table),
        models=[str(tiny_bert)],
        metric="accuracy",
        clean=True,
        trials=4,
        workers=1,
        space={"learning_rate": [2e-5, 1e-3, 3e-3], "batch_size": [16], "epochs": [3], "freeze_depth": [0, 2]},
        runs=folder / "runs",
    )


@pytest.mark.slow
def test_a_search_ends_in_finals(finished):
    report = finished.report
    rows = {row["name"]: row for row in report["entrants"]}
    assert {row["kind"] for row in rows.values()} == {"finalist", "plain", "soup"}
    winner = report["winner"]
    assert winner["entrant"] == report["entrants"][0]["name"]
    for row in rows.values():
        assert row["test_interval"][0] <= row["test"] <= row["test_interval"][1]
        if row["kind"] == "finalist":
            assert [seed["seed"] for seed in row["seeds"]] == [0, 1, 2]
            assert [seed["fresh"] for seed in row["seeds"]] == [False, True, True]
            assert row["mean"] == pytest.approx(np.mean([seed["validation"] for seed in row["seeds"]]))
    assert len(rows["soup"]["ingredients"]) >= 2
    assert report["test_read"]["earlier"] == 0
    assert report["comparisons"]["plain"]["verdict"] in ("better", "worse", "no difference shown")
    assert (report["selection"]["optimism"] is None) == (winner["entrant"] in ("soup", "plain"))
    assert ("went into the soup" in report["selection"]["sentence"]) == (winner["entrant"] == "soup")
    assert {"examination", "calibration", "classes", "confusion", "mistakes", "cost"} <= set(report)
    for page in ("report.html", "report.md", "pictures", "model/README.md"):
        assert (finished.folder / page).exists()


@pytest.mark.slow
def test_every_number_can_be_made_again_from_the_predictions(finished):
    from recompute import check

    assert check(finished.folder) > 50


@pytest.mark.slow
def test_the_winner_can_be_trained_again(finished):
    found = autoft.reproduce(finished.folder)
    assert found.same, found
    assert found.largest == pytest.approx(0.0, abs=1e-5)


@pytest.mark.slow
def test_going_on_reads_the_test_rows_again_and_says_so(finished, tmp_path):
    import shutil

    folder = shutil.copytree(finished.folder, tmp_path / "search")
    more = autoft.resume(folder, trials=5)
    read = more.report["test_read"]
    before, after = (
        {(row["name"], *row["ingredients"]) for row in report["entrants"]} for report in (finished.report, more.report)
    )
    changed = more.report["winner"]["entrant"] != finished.report["winner"]["entrant"]
    assert (read["earlier"] > 0) == bool(after - before or changed)
    if read["earlier"]:
        assert any("read before" in note for note in more.report["notes"])
