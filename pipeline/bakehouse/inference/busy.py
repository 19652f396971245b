"""Who else uses the processors of this machine while something is measured."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import psutil

_SHOWN = 3
_NAMED_CORES = 0.05  # a process that used less is not worth a name


@dataclass(frozen=True)
class Others:
    """How many cores others used, on average, of how many; the busiest programs with their cores."""

    cores: float
    of: int
    programs: tuple[tuple[str, float], ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether that is too little to disturb a measurement: less than a tenth of the cores."""
        return self.cores < 0.1 * self.of

    def __str__(self) -> str:
        named = ", ".join(f"{name} ({cores:.1f})" for name, cores in self.programs[:_SHOWN])
        return f"others use {self.cores:.1f} of {self.of} cores{': ' * bool(named)}{named}"


class Watch:
    """Watches from its making on; processes of this command, its children included, are not others."""

    def __init__(self) -> None:
        self._start, self._processes = psutil.cpu_times(), _processes()

    def others(self) -> Others:
        """What others have used since."""
        now, mine = psutil.cpu_times(), _mine()
        total = _busy(now) + now.idle - _busy(self._start) - self._start.idle
        count = os.cpu_count() or 1
        if total <= 0:
            return Others(0.0, count)
        spent = {
            key: (name, used - self._processes.get(key, ("", 0.0))[1]) for key, (name, used) in _processes().items() if key[0] not in mine
        }
        ours = sum(used - self._processes.get(key, ("", 0.0))[1] for key, (_, used) in _processes().items() if key[0] in mine)
        seconds = total / count
        cores = max(0.0, (_busy(now) - _busy(self._start) - ours) / seconds)
        return Others(cores, count, _busiest(spent.values(), seconds))


def _busiest(spent: Iterable[tuple[str, float]], seconds: float) -> tuple[tuple[str, float], ...]:
    by_name: dict[str, float] = {}
    for name, used in spent:
        by_name[name] = by_name.get(name, 0.0) + used / seconds
    return tuple(sorted(((name, cores) for name, cores in by_name.items() if cores >= _NAMED_CORES), key=lambda one: -one[1]))


def _busy(times: object) -> float:
    """Seconds of all cores that were not idle, on one count of guests."""
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))


def _processes() -> dict[tuple[int, float], tuple[str, float]]:
    """(id, start) -> name and seconds of processor time, of every process that may be looked at."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError), process.oneshot():  # Wine answers with an OSError about its own services
            times = process.cpu_times()
            found[process.pid, process.create_time()] = (process.name(), times.user + times.system)
    return found


def _mine() -> set[int]:
    me = psutil.Process()
    return {me.pid, *(child.pid for child in me.children(recursive=True))}
