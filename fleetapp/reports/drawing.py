"""Maps, time strips and columns as SVG text: pure functions, no style sheets, everything in attributes.

The same text goes into pages, where inline styles are refused, and into PDF.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from typing import Any

from fleetapp.kit import clock

LonLat = tuple[float, float]
METRES_PER_DEGREE = 111_195.0
FONT = "'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', system-ui, sans-serif"
SPEED_STEPS = ((10, "#d63939"), (30, "#f76707"), (60, "#f59f00"), (90, "#2fb344"), (math.inf, "#1098ad"))
"""Below so many km/h, so coloured; the live map's player uses the same."""
ROADS = {"expressway": ("#e6b45c", 3.0), "arterial": ("#cfd6de", 2.0), "street": ("#e1e6eb", 1.2)}
MARGIN = 0.12
LEAST_SPAN_M = 400.0
SCALE_STEPS_M = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
TICK_STEPS = tuple(timedelta(minutes=m) for m in (5, 10, 15, 30, 60, 120, 180, 360, 720, 1440))


@dataclass(frozen=True, slots=True)
class Point:
    """A position WGS-84; ``gap`` marks one that comes after a pause in the data, not joined as driven."""

    lon: float
    lat: float
    speed_kmh: float | None = None
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A named place on the map: ``kind`` is ``stay``, ``stop`` (approved), ``start`` or ``end``; ``text`` is inside it."""

    lon: float
    lat: float
    kind: str
    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of a time strip."""

    start: datetime
    end: datetime
    colour: str
    label: str


@dataclass(frozen=True, slots=True)
class _Plane:
    """A local plane that fits what is shown into a picture: x east, y south, pixels."""

    lon: float
    lat: float
    pixels_per_m: float
    width: float
    height: float

    def at(self, lon: float, lat: float) -> tuple[float, float]:
        metres_x = (lon - self.lon) * math.cos(math.radians(self.lat)) * METRES_PER_DEGREE
        metres_y = (lat - self.lat) * METRES_PER_DEGREE
        return self.width / 2 + metres_x * self.pixels_per_m, self.height / 2 - metres_y * self.pixels_per_m

    def path(self, shape: Iterable[LonLat]) -> str:
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(lon, lat) for lon, lat in shape))


def _fit(points: Sequence[LonLat], width: float, height: float) -> _Plane:
    lons, lats = [lon for lon, _ in points], [lat for _, lat in points]
    lon, lat = (min(lons) + max(lons)) / 2, (min(lats) + max(lats)) / 2
    wide_m = (max(lons) - min(lons)) * math.cos(math.radians(lat)) * METRES_PER_DEGREE
    high_m = (max(lats) - min(lats)) * METRES_PER_DEGREE
    free = 1 - 2 * MARGIN
    scale = min(width * free / max(wide_m, LEAST_SPAN_M), height * free / max(high_m, LEAST_SPAN_M))
    return _Plane(lon, lat, scale, width, height)


def speed_colour(speed_kmh: float | None) -> str:
    """Return the colour of a speed."""
    return next(colour for limit, colour in SPEED_STEPS if (speed_kmh or 0.0) < limit)


def track_svg(
    points: Sequence[Point],
    *,
    marks: Sequence[Mark] = (),
    parking: Sequence[LonLat] = (),
    roads: Mapping[str, Any] | None = None,
    title: str = "",
    width: int = 680,
    height: int = 420,
) -> str:
    """Return a map of a track: roads as ground, line coloured by speed, gaps dashed, marks, scale bar, north arrow.

    ``roads`` is a GeoJSON FeatureCollection of lines with ``class``; ``parking`` the ring of an area. All WGS-84
    degrees. Without any position the map says nothing but its title.
    """
    shown = [(point.lon, point.lat) for point in points] + [(mark.lon, mark.lat) for mark in marks] + list(parking)
    if not shown:
        return _svg(width, height, title, "")
    plane = _fit(shown, width, height)
    pieces = [
        f'<rect width="{width}" height="{height}" fill="#f7f9fb"/>',
        *_ground(plane, roads or {}),
        *_parking(plane, parking),
        *_line(plane, points),
        *(_mark(plane, mark) for mark in marks),
        _scale_bar(plane),
        _north(width),
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" fill="none" stroke="#c8d3e1"/>',
    ]
    return _svg(width, height, title, "".join(pieces))


def _svg(width: float, height: float, title: str, inside: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="100%" role="img" '
        f'aria-label="{escape(title)}" font-family="{FONT}">{inside}</svg>'
    )


def _ground(plane: _Plane, roads: Mapping[str, Any]) -> Iterable[str]:
    for feature in roads.get("features", ()):
        shape = feature["geometry"]["coordinates"]
        places = [plane.at(lon, lat) for lon, lat in shape]
        inside = any(
            min(ax, bx) <= plane.width and max(ax, bx) >= 0 and min(ay, by) <= plane.height and max(ay, by) >= 0
            for (ax, ay), (bx, by) in pairwise(places)
        )
        if inside:
            colour, weight = ROADS.get(feature["properties"]["class"], ("#e8ecf0", 1.0))
            yield (
                f'<polyline points="{plane.path(shape)}" fill="none" stroke="{colour}" stroke-width="{weight}" '
                'stroke-linecap="round"/>'
            )


def _parking(plane: _Plane, ring: Sequence[LonLat]) -> Iterable[str]:
    if ring:
        yield (
            f'<polygon points="{plane.path(ring)}" fill="#0ca678" fill-opacity="0.15" stroke="#0ca678" '
            'stroke-width="1.5" stroke-dasharray="5 3"/>'
        )


def _line(plane: _Plane, points: Sequence[Point]) -> Iterable[str]:
    """Draw runs of one colour; a white line under them parts the track from the roads."""
    if len(points) > 1:
        runs = _runs(points)
        for run, colour in runs:
            if colour is not None:
                shape = plane.path((point.lon, point.lat) for point in run)
                yield f'<polyline points="{shape}" fill="none" stroke="#fff" stroke-width="6" stroke-linejoin="round"/>'
        for run, colour in runs:
            shape = plane.path((point.lon, point.lat) for point in run)
            look = 'stroke="#667382" stroke-width="2" stroke-dasharray="3 5"' if colour is None else (
                f'stroke="{colour}" stroke-width="3.2" stroke-linejoin="round" stroke-linecap="round"'
            )  # fmt: skip
            yield f'<polyline points="{shape}" fill="none" {look}/>'


def _runs(points: Sequence[Point]) -> list[tuple[list[Point], str | None]]:
    runs: list[tuple[list[Point], str | None]] = []
    for before, after in pairwise(points):
        colour = None if after.gap else speed_colour(after.speed_kmh)
        if runs and runs[-1][1] == colour and colour is not None:
            runs[-1][0].append(after)
        else:
            runs.append(([before, after], colour))
    return runs


MARKS = {"stay": "#f59f00", "stop": "#4263eb", "start": "#2fb344", "end": "#d63939"}


def _mark(plane: _Plane, mark: Mark) -> str:
    """Draw a mark; an approved stop stands on a stalk above its point, so that it never hides where the car was."""
    x, y = plane.at(mark.lon, mark.lat)
    colour, edge = MARKS[mark.kind], 'stroke="#fff" stroke-width="1.5"'
    if mark.kind == "stop":
        shape = (
            f'<path d="M{x:.1f} {y:.1f}v-18" stroke="{colour}" stroke-width="2"/>'
            f'<rect x="{x - 9:.1f}" y="{y - 34:.1f}" width="18" height="18" rx="3" fill="{colour}" {edge}/>'
        )
        y -= 25
    else:
        shape = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="9" fill="{colour}" {edge}/>'
    inside = f'<text x="{x:.1f}" y="{y + 3.8:.1f}" font-size="10.5" font-weight="700" fill="#fff" text-anchor="middle">'
    shape += f"{inside}{escape(mark.text)}</text>"
    if not mark.label:
        return shape
    at = f'x="{x - 13:.1f}" text-anchor="end"' if x > plane.width * 0.75 else f'x="{x + 13:.1f}"'
    label = f'<text {at} y="{y + 4:.1f}" font-size="11" %s>{escape(mark.label)}</text>'
    halo = 'stroke="#fff" stroke-width="3" stroke-linejoin="round"'
    return shape + label.replace("%s", halo) + label.replace("%s", 'fill="#1d273b"')


def _scale_bar(plane: _Plane) -> str:
    longest = plane.width / 4 / plane.pixels_per_m
    metres = max((step for step in SCALE_STEPS_M if step <= longest), default=SCALE_STEPS_M[0])
    length = metres * plane.pixels_per_m
    words = f"{metres // 1000} km" if metres >= 1000 else f"{metres} m"
    y = plane.height - 14
    return (
        f'<g><rect x="8" y="{y - 18:g}" width="{length + 12:.1f}" height="26" fill="#fff" fill-opacity="0.85"/>'
        f'<path d="M14 {y - 5:g}v5h{length:.1f}v-5" fill="none" stroke="#1d273b" stroke-width="1.5"/>'
        f'<text x="{14 + length / 2:.1f}" y="{y - 6:g}" font-size="10" text-anchor="middle" fill="#1d273b">{words}</text></g>'
    )


def _north(width: float) -> str:
    x = width - 22
    return (
        f'<g><path d="M{x} 12l7 20l-7 -5l-7 5z" fill="#1d273b"/>'
        f'<text x="{x}" y="44" font-size="11" text-anchor="middle" fill="#1d273b">N</text></g>'
    )


def strip_svg(
    rows: Sequence[tuple[str, Sequence[Bar]]], *, start: datetime, end: datetime, title: str = "", width: int = 680
) -> str:
    """Return rows of bars over ``[start, end)`` with office times below; what lies outside is cut off."""
    left, row_height = 92.0, 24.0
    height = len(rows) * row_height + 26
    seconds = (end - start).total_seconds()

    def x(at: datetime) -> float:
        return left + (width - left - 8) * max(0.0, min(1.0, (at - start).total_seconds() / seconds))

    pieces = []
    for at in _ticks(start, end):
        pieces.append(f'<path d="M{x(at):.1f} 0V{height - 20:g}" stroke="#dce1e7"/>')
        label = clock.local(at).strftime("%H:%M" if at != _midnight(at) else "%m-%d")
        pieces.append(
            f'<text x="{x(at):.1f}" y="{height - 7:g}" font-size="10" text-anchor="middle" fill="#667382">{label}</text>'
        )
    for number, (name, bars) in enumerate(rows):
        top = number * row_height
        pieces.append(f'<text x="4" y="{top + 16:g}" font-size="11" fill="#1d273b">{escape(name)}</text>')
        for bar in bars:
            if bar.end <= start or bar.start >= end:
                continue
            wide = max(2.0, x(bar.end) - x(bar.start))
            pieces.append(
                f'<rect x="{x(bar.start):.1f}" y="{top + 4:g}" width="{wide:.1f}" height="16" rx="2" fill="{bar.colour}">'
                f"<title>{escape(bar.label)}</title></rect>"
            )
        pieces.append(f'<path d="M0 {top + row_height:g}H{width}" stroke="#e6e8ec"/>')
    return _svg(width, height, title, "".join(pieces))


def _midnight(at: datetime) -> datetime:
    return clock.start_of(clock.local_date(at))


def _ticks(start: datetime, end: datetime) -> list[datetime]:
    step = next((step for step in TICK_STEPS if (end - start) / step <= 12), TICK_STEPS[-1])
    first = _midnight(start)
    first += math.ceil((start - first) / step) * step
    return [first + step * number for number in range(int((end - first) / step) + 1)] if first <= end else []


def columns_svg(
    values: Sequence[float], *, labels: Sequence[str], titles: Sequence[str], colour: str, title: str, digits: int = 0,
    width: int = 560, height: int = 150,
) -> str:  # fmt: skip
    """Return a column a value with its figure above and label below; the last one, today, is marked by full colour."""
    top, bottom = 18.0, 20.0
    most = max([*values, 1.0])
    slot = width / max(1, len(values))
    pieces = [f'<path d="M0 {height - bottom:g}H{width}" stroke="#c8d3e1"/>']
    for number, (value, label, words) in enumerate(zip(values, labels, titles, strict=True)):
        high = (height - top - bottom) * value / most
        x, y = number * slot + slot * 0.18, height - bottom - high
        opacity = 1 if number == len(values) - 1 else 0.55
        middle = number * slot + slot / 2
        pieces.append(
            f'<g><title>{escape(words)}</title><rect x="{x:.1f}" y="{y:.1f}" width="{slot * 0.64:.1f}" height="{high:.1f}" rx="2" '
            f'fill="{colour}" fill-opacity="{opacity}"/>'
            f'<text x="{middle:.1f}" y="{y - 4:.1f}" font-size="10" text-anchor="middle" fill="#49566c">{value:,.{digits}f}</text>'
            f'<text x="{middle:.1f}" y="{height - 6:g}" font-size="10" text-anchor="middle" fill="#667382">{escape(label)}</text></g>'
        )
    return _svg(width, height, title, "".join(pieces))
