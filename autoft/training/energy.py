"""Energy that this machine's processors took, where the kernel tells (RAPL, `/sys/class/powercap`)."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
_EVERY = 120.0  # seconds; a counter of 262 kJ goes round in no less than five minutes, at 800 W


class EnergyMeter:
    """Counts from the moment when it is made; `stop` ends it, and the process does not wait for it.

    The counters are those of the whole packages: whatever else runs on the machine is counted as well, and a GPU and
    other machines are not.

    Args:
        powercap: Where the kernel shows the counters.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._zones, self._reason = _zones(powercap)
        self._last = {zone: _read(zone / "energy_uj") for zone in self._zones}
        self._microjoules = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        if self._zones:
            threading.Thread(target=self._sample, name="autoft-energy", daemon=True).start()

    def read(self) -> dict[str, Any]:
        """`energy_joules` so far, None where it can't be measured, and `energy_method`, how or why not."""
        if not self._zones:
            return {"energy_joules": None, "energy_method": self._reason}
        try:
            self._add()
        except (OSError, ValueError) as error:
            return {"energy_joules": None, "energy_method": f"the counters could not be read to the end: {error}"}
        packages = f"{len(self._zones)} processor package{'s' if len(self._zones) > 1 else ''}"
        method = f"RAPL counters of {packages}, with all that ran on this machine; memory and GPUs apart"
        return {"energy_joules": self._microjoules / 1e6, "energy_method": method}

    def stop(self) -> dict[str, Any]:
        """As `read`, for the last time."""
        self._stopped.set()
        return self.read()

    def _sample(self) -> None:
        while not self._stopped.wait(_EVERY):
            try:
                self._add()
            except (OSError, ValueError):
                return  # `read` says so

    def _add(self) -> None:
        with self._lock:
            for zone in self._zones:
                now = _read(zone / "energy_uj")
                gone = now - self._last[zone]
                # A counter that has gone round stands lower than before.
                self._microjoules += gone if gone >= 0 else gone + _read(zone / "max_energy_range_uj")
                self._last[zone] = now


def _zones(powercap: Path) -> tuple[list[Path], str]:
    """The counters of the processor packages, or why there are none."""
    try:
        found = sorted(path for path in powercap.glob("*:*") if path.name.count(":") == 1)
        packages = [path for path in found if (path / "name").read_text(encoding="ascii").startswith("package")]
        for zone in packages:
            _read(zone / "energy_uj")
            _read(zone / "max_energy_range_uj")
    except PermissionError:
        return [], "not measured: only root may read this machine's energy counters"
    except (OSError, ValueError) as error:
        return [], f"not measured: this machine's energy counters can't be read: {error}"
    return packages, "" if packages else "not measured: this machine shows no energy counters (RAPL)"


def _read(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))


def added(one: Mapping[str, Any] | None, other: Mapping[str, Any]) -> dict[str, Any]:
    """The energy of two sessions of a search; unknown where one of them is."""
    if not one or "energy_method" not in one:
        return dict(other)
    joules = (one.get("energy_joules"), other.get("energy_joules"))
    if joules[0] is None or joules[1] is None:
        known = one if joules[0] is None else other
        return {"energy_joules": None, "energy_method": known["energy_method"]}
    return {"energy_joules": joules[0] + joules[1], "energy_method": other["energy_method"]}
