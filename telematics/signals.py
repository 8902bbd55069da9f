"""What one vehicle's fixes say besides its trips: short pauses, alarms, silences, odd odometers, sustained speed.

Pure. WGS-84 degrees, metres, seconds, km/h, aware UTC times; spans half-open. Fixes in time order, as ``segment`` orders them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from telematics.geo import haversine_m
from telematics.model import Fix, Stop

Floats = NDArray[np.float64]
POWER_BITS = 1 << 7 | 1 << 8
"""Main power low or cut, JT/T 808-2019 table 25."""
ANTENNA_BITS = 1 << 4 | 1 << 5 | 1 << 6
"""Receiver at fault, antenna open or shorted, JT/T 808-2019 table 25."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalParams:
    """Figures of reading (rule catalogue, primitives P4 and P6).

    A pause is ``pause_s`` to ``pause_max_s`` within ``pause_m`` below ``slow_kmh``. A silence counts from ``silence_s``.
    A vehicle found within ``same_place_m`` of where it fell silent, its odometer not advanced by ``advanced_m``, stood.
    ``speed_kmh`` is where fast stretches begin, kept for ``speed_s``. ``frozen_m`` bounds a position that does not move.
    """

    pause_s: float = 30.0
    pause_max_s: float = 300.0
    pause_m: float = 60.0
    slow_kmh: float = 5.0
    silence_s: float = 600.0
    same_place_m: float = 300.0
    advanced_m: float = 1_000.0
    speed_kmh: float = 100.0
    speed_s: float = 30.0
    frozen_m: float = 100.0
    frozen_least_m: float = 1_000.0
    jump_m: float = 20_000.0
    step_s: float = 60.0


DEFAULT = SignalParams()


@dataclass(frozen=True, slots=True)
class Signal:
    """A span with its ``kind`` (``power``, ``antenna``, ``frozen``, ``jump``, ``speed``) and value in metres or km/h."""

    kind: str
    start_at: datetime
    end_at: datetime
    value: float


@dataclass(frozen=True, slots=True)
class Silence:
    """No fix over a span: how far apart its ends are, by position and by odometer."""

    start_at: datetime
    end_at: datetime
    chord_m: float
    advanced_m: float | None
    moving_before: bool

    def stood(self, params: SignalParams = DEFAULT) -> bool:
        """Tell whether the vehicle was found where it fell silent."""
        return self.chord_m <= params.same_place_m and (self.advanced_m or 0.0) <= params.advanced_m


def pauses(fixes: Sequence[Fix], params: SignalParams = DEFAULT) -> list[Stop]:
    """Return the short stands between movements: what is too short for a stay, with what was reported standing."""
    found = []
    for first, last in _runs(fixes, lambda fix: fix.fixed and (fix.speed_kmh or 0.0) < params.slow_kmh):
        # It moved before and after: a stand at the end of a drive is parking, whatever its length.
        if first == 0 or last == len(fixes) - 1:
            continue
        own = fixes[first : last + 1]
        length_s = (own[-1].at - own[0].at).total_seconds()
        lat, lon = (float(np.median([getattr(fix, name) for fix in own])) for name in ("lat", "lon"))
        spread = max(float(haversine_m(lat, lon, fix.lat, fix.lon)) for fix in own)
        if params.pause_s <= length_s < params.pause_max_s and spread <= params.pause_m:
            found.append(Stop(own[0].at, own[-1].at, lat, lon, len(own)))
    return found


def silences(fixes: Sequence[Fix], params: SignalParams = DEFAULT) -> list[Silence]:
    """Return the silences of ``silence_s`` and longer."""
    found = []
    for index in range(len(fixes) - 1):
        before, after = fixes[index], fixes[index + 1]
        if (after.at - before.at).total_seconds() < params.silence_s:
            continue
        advanced = None
        if before.odometer_m is not None and after.odometer_m is not None:
            advanced = float(after.odometer_m - before.odometer_m)
        chord = float(haversine_m(before.lat, before.lon, after.lat, after.lon))
        moving = (before.speed_kmh or 0.0) >= params.slow_kmh
        found.append(Silence(before.at, after.at, chord, advanced, moving))
    return found


def signals(fixes: Sequence[Fix], params: SignalParams = DEFAULT) -> list[Signal]:
    """Return alarms, odd odometers and sustained speed, in time order."""
    found = [
        *_flagged(fixes, "power", lambda fix: bool(fix.alarm & POWER_BITS)),
        *_flagged(fixes, "antenna", lambda fix: bool(fix.alarm & ANTENNA_BITS) or not fix.fixed),
        *_frozen(fixes, params),
        *_jumps(fixes, params),
        *_fast(fixes, params),
    ]
    return sorted(found, key=lambda one: (one.start_at, one.kind))


def known_s(fixes: Sequence[Fix], start: datetime, end: datetime, params: SignalParams = DEFAULT) -> float:
    """Return the seconds of ``[start, end)`` in which it is known where the vehicle was.

    A step counts for at most ``step_s``; one between two fixes of one place with an unmoved odometer counts whole.
    """
    total = 0.0
    for index in range(len(fixes) - 1):
        before, after = fixes[index], fixes[index + 1]
        first, last = max(before.at, start), min(after.at, end)
        if first >= last:
            continue
        length_s = (last - first).total_seconds()
        if length_s > params.step_s:
            gained = (after.odometer_m or 0) - (before.odometer_m or 0)
            stood = float(haversine_m(before.lat, before.lon, after.lat, after.lon)) <= params.same_place_m
            if not (stood and gained <= params.advanced_m):
                length_s = params.step_s
        total += length_s
    return total


def _runs(fixes: Sequence[Fix], holds: Callable[[Fix], bool]) -> Iterator[tuple[int, int]]:
    """Return the first and last index of each stretch of fixes that a test holds for."""
    first = None
    for index, fix in enumerate(fixes):
        if holds(fix):
            first = index if first is None else first
        elif first is not None:
            yield first, index - 1
            first = None
    if first is not None:
        yield first, len(fixes) - 1


def _flagged(fixes: Sequence[Fix], kind: str, holds: Callable[[Fix], bool]) -> list[Signal]:
    return [
        Signal(kind, fixes[first].at, fixes[min(last + 1, len(fixes) - 1)].at, 0.0)
        for first, last in _runs(fixes, holds)
        if last > first
    ]


def _frozen(fixes: Sequence[Fix], params: SignalParams) -> list[Signal]:
    """Return stretches in which the odometer advances while the position stays within ``frozen_m``."""
    found: list[Signal] = []
    first = 0
    for index in range(1, len(fixes) + 1):
        here = fixes[index] if index < len(fixes) else None
        anchor = fixes[first]
        if here is not None and float(haversine_m(anchor.lat, anchor.lon, here.lat, here.lon)) <= params.frozen_m:
            continue
        last = fixes[index - 1]
        gained = (last.odometer_m or 0) - (anchor.odometer_m or 0)
        # A jump is no drive: the odometer must have come up step by step.
        steps = [b.odometer_m - a.odometer_m for a, b in zip(fixes[first:index], fixes[first + 1 : index], strict=False)
                 if a.odometer_m is not None and b.odometer_m is not None]  # fmt: skip
        if gained >= params.frozen_least_m and sum(step > 0 for step in steps) >= 3 and max(steps) < params.jump_m:
            found.append(Signal("frozen", anchor.at, last.at, float(gained)))
        first = index
    return found


def _jumps(fixes: Sequence[Fix], params: SignalParams) -> list[Signal]:
    """Return steps at one place over which the odometer jumped, either way."""
    found = []
    for index in range(len(fixes) - 1):
        before, after = fixes[index], fixes[index + 1]
        if before.odometer_m is None or after.odometer_m is None:
            continue
        gained = after.odometer_m - before.odometer_m
        near = float(haversine_m(before.lat, before.lon, after.lat, after.lon)) <= params.same_place_m
        if near and abs(gained) >= params.jump_m:
            found.append(Signal("jump", before.at, after.at, float(gained)))
    return found


def _fast(fixes: Sequence[Fix], params: SignalParams) -> list[Signal]:
    """Return for each stretch above ``speed_kmh`` its best ``speed_s``: the highest speed that was kept so long."""
    found = []
    least = timedelta(seconds=params.speed_s)
    for first, last in _runs(fixes, lambda fix: (fix.speed_kmh or 0.0) > params.speed_kmh):
        best: Signal | None = None
        for begin in range(first, last + 1):
            lowest = float("inf")
            for end in range(begin, last + 1):
                lowest = min(lowest, fixes[end].speed_kmh or 0.0)
                if best is not None and lowest <= best.value:
                    break
                if fixes[end].at - fixes[begin].at >= least:
                    best = Signal("speed", fixes[begin].at, fixes[end].at, lowest)
                    break
        if best is not None:
            found.append(best)
    return found
