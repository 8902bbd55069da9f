"""Fixes become what rules look at besides trips: the only door to the GPS library here."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from fleetapp.findings.known import Blank, Position, Signal, Stay
from fleetapp.kit import clock
from fleetapp.places.roads import load_roads
from telematics import signals
from telematics.clean import clean_track
from telematics.gcj02 import gcj02_to_wgs84
from telematics.geo import haversine_m
from telematics.ingest import order_and_dedupe
from telematics.model import Fix, Stop
from telematics.track import columns

__all__ = ["Fix", "Observed", "gcj02_to_wgs84", "observe"]

CRAWL = timedelta(minutes=6)
"""Pauses this near each other are a jam, not errands."""
NEAR_MOMENT, AROUND_MOMENT = timedelta(minutes=40), timedelta(minutes=120)
"""Positions kept around a moment somebody else recorded: one a minute within the first, the nearest within the second."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What the fixes of a span say besides its trips."""

    pauses: tuple[Stay, ...]
    signals: tuple[Signal, ...]
    blanks: tuple[Blank, ...]
    positions: tuple[Position, ...]
    covered: dict[date, float]


def observe(fixes: Sequence[Fix], *, start: datetime, end: datetime, moments: Sequence[datetime] = ()) -> Observed:
    """Read the fixes of ``[start, end)``; ``moments`` are those around which positions are kept."""
    ordered = [fix for fix in order_and_dedupe(fixes) if start <= fix.at < end]
    track, _ = clean_track(columns(ordered))
    clean = list(track.fixes)
    found = signals.pauses(clean)
    days: dict[date, float] = {}
    on = clock.local_date(start)
    while on <= clock.local_date(end - timedelta(microseconds=1)):
        first, last = clock.day_span(on)
        seconds = (min(last, end) - max(first, start)).total_seconds()
        days[on] = min(1.0, signals.known_s(clean, max(first, start), min(last, end)) / seconds)
        on += timedelta(days=1)
    return Observed(
        pauses=tuple(
            Stay(start_at=stop.start_at, end_at=stop.end_at, lat=round(stop.lat, 6), lon=round(stop.lon, 6),
                 junction_m=junction_m(stop.lat, stop.lon), crawling=_crawls(found, index))
            for index, stop in enumerate(found)
        ),
        signals=tuple(Signal(kind=one.kind, start_at=one.start_at, end_at=one.end_at, value=one.value) for one in signals.signals(ordered)),
        blanks=tuple(
            Blank(start_at=one.start_at, end_at=one.end_at, chord_m=round(one.chord_m, 1), moving_before=one.moving_before,
                  advanced_m=one.advanced_m)
            for one in signals.silences(clean)
        ),
        positions=tuple(_around(clean, moments)),
        covered=days,
    )  # fmt: skip


def _crawls(found: Sequence[Stop], index: int) -> bool:
    """Tell whether another pause lies right before or after, elsewhere."""
    own = found[index]
    for other in (*found[max(0, index - 1) : index], *found[index + 1 : index + 2]):
        apart = max(other.start_at - own.end_at, own.start_at - other.end_at)
        if apart < CRAWL and haversine_m(own.lat, own.lon, other.lat, other.lon) < 1_000:
            return True
    return False


def _around(fixes: Sequence[Fix], moments: Sequence[datetime]) -> list[Position]:
    kept: dict[datetime, Fix] = {}
    times = np.array([fix.at.timestamp() for fix in fixes])
    for moment in moments:
        near = np.flatnonzero(np.abs(times - moment.timestamp()) <= AROUND_MOMENT.total_seconds())
        if not len(near):
            continue
        best = int(near[np.abs(times[near] - moment.timestamp()).argmin()])
        kept[fixes[best].at] = fixes[best]
        minute = None
        for index in near:
            fix = fixes[int(index)]
            if abs(fix.at - moment) <= NEAR_MOMENT and fix.at.replace(second=0, microsecond=0) != minute:
                minute = fix.at.replace(second=0, microsecond=0)
                kept[fix.at] = fix
    return [Position(at, round(fix.lat, 6), round(fix.lon, 6)) for at, fix in sorted(kept.items())]


@functools.cache
def _junctions() -> tuple[np.ndarray, np.ndarray]:
    graph = load_roads()
    nodes = [graph.nodes[name] for name, ends in graph.neighbours.items() if len(ends) >= 3]
    return np.array([lat for _, lat in nodes]), np.array([lon for lon, _ in nodes])


def junction_m(lat: float, lon: float) -> float:
    """Return how far the nearest junction of main roads is."""
    lats, lons = _junctions()
    return round(float(np.min(haversine_m(lats, lons, lat, lon))), 1)
