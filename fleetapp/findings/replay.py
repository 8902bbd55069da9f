"""What the case page draws of a track: fixes for the player, speed and ignition and gaps on the time strip, the planned way."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from fleetapp.duty.queries import OrderOfVehicle
from fleetapp.kit import clock
from fleetapp.places.roads import load_roads
from fleetapp.tracking.bridge import Fix
from fleetapp.trips.picture import LEFT, WIDTH, SpanOf

GAP = timedelta(minutes=10)
SPEED_H = 56.0
"""Height of the speed curve in drawing units."""
MOST_POINTS = 1500


def usable(fixes: Iterable[Fix]) -> list[Fix]:
    """Return the fixes that have a place."""
    return [
        fix
        for fix in fixes
        if fix.fixed and -90 <= fix.lat <= 90 and -180 <= fix.lon <= 180 and (fix.lat, fix.lon) != (0, 0)
    ]


def player(fixes: Sequence[Fix]) -> list[dict[str, Any]]:
    """Return fixes for the map's player, ``at`` in seconds of the epoch; a pause of over ten minutes is a gap, not driven."""
    shown: list[dict[str, Any]] = []
    before: datetime | None = None
    for fix in fixes:
        shown.append({
            "at": round(fix.at.timestamp()), "time": clock.local(fix.at).strftime("%m-%d %H:%M:%S"), "lat": fix.lat, "lon": fix.lon,
            "speed_kmh": None if fix.speed_kmh is None else round(fix.speed_kmh), "direction_deg": fix.direction_deg, "acc": fix.acc,
            "gap": before is not None and fix.at - before > GAP,
        })  # fmt: skip
        before = fix.at
    return shown


def ignition(fixes: Sequence[Fix], word: str) -> list[SpanOf]:
    """Return the spans over which consecutive fixes said that the ignition was on; ``word`` is its name."""
    found: list[SpanOf] = []
    start: datetime | None = None
    last: datetime | None = None
    for fix in fixes:
        broken = last is not None and fix.at - last > GAP
        if start is not None and last is not None and (broken or not fix.acc):
            end = last if broken else fix.at
            found.append(SpanOf(start, end, "acc", f"{word} {_hm(start)}–{_hm(end)}"))
            start = None
        if fix.acc and start is None:
            start = fix.at
        last = fix.at
    if start is not None and last is not None and last > start:
        found.append(SpanOf(start, last, "acc", f"{word} {_hm(start)}–{_hm(last)}"))
    return found


def gaps(fixes: Sequence[Fix], word: str) -> list[SpanOf]:
    """Return the spans of over ten minutes without a fix between two."""
    pairs = itertools.pairwise(fixes)
    return [SpanOf(a.at, b.at, "gap", f"{word} {_hm(a.at)}–{_hm(b.at)}") for a, b in pairs if b.at - a.at > GAP]


def speed_curve(fixes: Sequence[Fix], start: datetime, end: datetime) -> tuple[list[str], float]:
    """Return the speed over ``[start, end)`` as SVG point lists on the strip's axis, one for each piece without a gap, and the top in km/h."""
    known = [fix for fix in fixes if fix.speed_kmh is not None and start <= fix.at < end]
    top = max(60.0, *(fix.speed_kmh or 0.0 for fix in known)) if known else 60.0
    total_s = max(1.0, (end - start).total_seconds())
    step = max(1, len(known) // MOST_POINTS)
    pieces: list[list[str]] = []
    before: datetime | None = None
    for number, fix in enumerate(known):
        fresh = before is None or fix.at - before > GAP
        if fresh:
            pieces.append([])
        if fresh or number % step == 0:
            x = LEFT + (fix.at - start).total_seconds() / total_s * (WIDTH - LEFT)
            pieces[-1].append(f"{x:.1f},{SPEED_H - (fix.speed_kmh or 0.0) / top * (SPEED_H - 6):.1f}")
        before = fix.at
    return [" ".join(piece) for piece in pieces if len(piece) > 1], top


def planned_way(orders: Sequence[OrderOfVehicle], label: str) -> list[dict[str, Any]]:
    """Return the way along the roads over each order's stops and back as GeoJSON: what was planned, not what was driven."""
    roads, found = load_roads(), []
    for order in orders:
        stops = [(stop.lon, stop.lat) for stop in order.stops]
        if len(stops) < 2:
            continue
        line: list[list[float]] = []
        for a, b in zip(stops, [*stops[1:], stops[0]], strict=True):
            line += [[round(lon, 6), round(lat, 6)] for lon, lat in roads.route(a, b).points.tolist()]
        found.append({"type": "Feature", "properties": {"kind": "corridor", "label": label},
                      "geometry": {"type": "LineString", "coordinates": line}})  # fmt: skip
    return found


def _hm(at: datetime) -> str:
    return f"{clock.local(at):%H:%M}"
