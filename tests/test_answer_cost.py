"""What an answer costs: parameters, the time that one waits, and energy where the kernel counts it."""

import statistics
import time
from itertools import count

import pytest
import torch
from samples import sample
from saved import saved

from autoft.training import answer_cost
from autoft.training.energy import EnergyMeter, added
from autoft.training.predict import Predictor


def test_a_real_model_is_measured(tmp_path):
    folder, rows = saved("text-classification", tmp_path)
    threads = torch.get_num_threads()
    found = answer_cost.cost(folder, rows, seconds=0.2)
    assert torch.get_num_threads() == threads
    assert found["parameters"] == Predictor.load(folder).model.num_parameters()
    assert set(found["latency"]) == {"1", "32"}  # of 24 rows only: 32 are drawn with repeats
    for measured in found["latency"].values():
        assert answer_cost.LEAST <= measured["runs"] <= answer_cost.MOST
        assert 0 < measured["median_ms"] <= measured["p95_ms"]
    assert found["device"].startswith("cuda" if torch.cuda.is_available() else "cpu, 1 thread")


@pytest.mark.parametrize("kind", ["pairs", "token-classification", "question-answering", "translation"])
def test_any_task_is_measured(kind, tmp_path):
    folder, rows = saved(kind, tmp_path)
    found = answer_cost.cost(folder, rows, seconds=0.0)
    assert [measured["runs"] for measured in found["latency"].values()] == [answer_cost.LEAST] * 2


def test_median_and_p95_are_those_of_the_runs_after_the_warm_up(monkeypatch):
    rows, _ = sample("text-classification")
    clock, sizes, calls = [0.0], [], count()

    class Slow:
        """Takes 1 s at first and then 1, 2, 3, … ms, by a clock of its own."""

        def predict(self, batch):
            number = next(calls)
            clock[0] += 1.0 if number < answer_cost.WARM_UP else (number - answer_cost.WARM_UP + 1) / 1000
            sizes.append(len(batch))

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    found = answer_cost._latency(Slow(), rows, 3, 1e9, 0)
    assert set(sizes) == {3}
    runs = range(1, answer_cost.MOST + 1)
    assert found["runs"] == answer_cost.MOST
    assert found["median_ms"] == pytest.approx(statistics.median(runs))
    assert found["p95_ms"] == pytest.approx(statistics.quantiles(runs, n=20, method="inclusive")[-1])


def test_no_rows_are_refused(tmp_path):
    rows, _ = sample("text-classification")
    with pytest.raises(ValueError, match="no"):
        answer_cost.cost(tmp_path, rows[:0])


def powercap(folder, *energies, limit=1000):
    """The kernel's files: packages with their cores below them, and the memory's counter of the first."""
    for i, energy in enumerate(energies):
        for name, label in ((f"intel-rapl:{i}", f"package-{i}"), (f"intel-rapl:{i}:0", "core")):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for file, value in (("name", label), ("energy_uj", energy), ("max_energy_range_uj", limit)):
                (folder / name / file).write_text(f"{value}\n", encoding="ascii")
    (folder / "intel-rapl").mkdir(exist_ok=True)
    return folder


def test_energy_is_that_of_all_packages_and_survives_a_counter_that_goes_round(tmp_path):
    meter = EnergyMeter(powercap(tmp_path, 100, 900))
    powercap(tmp_path, 350, 100)
    assert meter.read()["energy_joules"] == pytest.approx((250 + 200) / 1e6)
    powercap(tmp_path, 351, 100)
    last = meter.stop()
    assert last["energy_joules"] == pytest.approx((251 + 200) / 1e6)
    assert "2 processor packages" in last["energy_method"]


def test_where_energy_is_not_counted_the_reason_is_said(tmp_path):
    assert EnergyMeter(tmp_path / "none").read() == {
        "energy_joules": None,
        "energy_method": "not measured: this machine shows no energy counters (RAPL)",
    }
    (powercap(tmp_path / "damaged", 5) / "intel-rapl:0/energy_uj").write_text("?", encoding="ascii")
    found = EnergyMeter(tmp_path / "damaged").read()
    assert found["energy_joules"] is None
    assert "can't be read" in found["energy_method"]


def test_counters_for_root_only(tmp_path, monkeypatch):
    from pathlib import Path

    powercap(tmp_path, 5)
    read = Path.read_text

    def guarded(path, *args, **kwargs):  # these tests may run as root, who may read anything
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", guarded)
    assert "only root" in EnergyMeter(tmp_path).read()["energy_method"]


def test_energy_of_a_search_that_went_on():
    one, other = {"energy_joules": 2.0, "energy_method": "a"}, {"energy_joules": 3.0, "energy_method": "b"}
    unknown = {"energy_joules": None, "energy_method": "not measured"}
    assert added(None, one) == one
    assert added(one, other) == {"energy_joules": 5.0, "energy_method": "b"}
    assert added(unknown, other) == added(other, unknown) == unknown
