"""Trips, stops and gaps of one terminal's fixes."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from math import isnan

import numpy as np

from telematics.clean import clean_track
from telematics.geo import distance_m, haversine_m
from telematics.ingest import order_and_dedupe
from telematics.kernels.moves import centre
from telematics.mileage import gps_distance_m, measure_track
from telematics.model import Fix, Gap, Segmentation, Stop, Trip
from telematics.motion import (
    Motion,
    PlaceTest,
    SegmentParams,
    Span,
    joined,
    motion,
    pace_kmh,
    place_stays,
    stays,
)
from telematics.track import Floats, Track, columns

DEFAULT = SegmentParams()


def segment(
    fixes: Iterable[Fix],
    *,
    params: SegmentParams = DEFAULT,
    boundaries: Sequence[datetime] = (),
    places: PlaceTest | None = None,
    now: datetime | None = None,
) -> Segmentation:
    """Everything derived from one terminal's window of fixes, whatever their order and however often each is given.

    Parameters
    ----------
    fixes
        Raw fixes of one terminal; they are ordered, freed of repetitions and cleaned here.
    params
        All figures, with their sources.
    boundaries
        Edges of the vehicle's order windows: a movement is cut there, if both sides are trips by themselves.
    places
        Test for the designated places; a return to one ends the trip (``motion.outside_places`` for round ones).
    now
        If given, fixes from the future are rejected.

    A compliance trip is cut only by standing for 15 minutes, a GAP, an order boundary or a return to a designated
    place. The ignition does not cut: it is switched off at barriers and flickers for a second while starting; it only
    decides how much displacement a standing vehicle needs to count as moved. A silence of more than 10 minutes is a
    GAP, never a trip and never kilometres, unless the vehicle is found again where it fell silent: then it was parked.

    Raises
    ------
    ValueError
        If a time carries no zone.
    """
    return segment_track(columns(order_and_dedupe(fixes)), params=params, boundaries=boundaries, places=places, now=now)


def segment_track(
    given: Track,
    *,
    params: SegmentParams = DEFAULT,
    boundaries: Sequence[datetime] = (),
    places: PlaceTest | None = None,
    now: datetime | None = None,
) -> Segmentation:
    """Like ``segment``, on columns that are in canonical order (``order_and_dedupe``, as the store reads them).

    Raises
    ------
    ValueError
        If a boundary carries no zone or a fix is earlier than the one before it.
    """
    if any(boundary.tzinfo is None for boundary in boundaries):
        raise ValueError("Order boundary without a time zone: give aware UTC times.")
    if bool((np.diff(given.at_s) < 0).any()):
        raise ValueError("The fixes are not in order of time.")
    track, rejected = clean_track(given, params=params.clean, now=now)
    if not len(track):
        return Segmentation((), (), (), tuple(rejected))
    moved = motion(track, params)
    standing = stays(track, moved, params)
    cutting = [span for span in standing if _duration_s(track, span) >= params.cut_s]
    if places is not None:
        cutting = joined([*cutting, *place_stays(track, moved, places, params)])
    gaps = _gaps(track, moved, params)
    cutter = _Cutter(track, moved, standing, gaps, params)
    cuts_at_s = sorted({boundary.timestamp() for boundary in boundaries})
    pieces = [piece for span in _between(track, moved, cutting) for piece in cutter.pieces(span, cuts_at_s)]
    trips = map(cutter.trip, pieces)
    stops = _stops(
        track, standing, [*((piece.first, piece.last) for piece in pieces), *((k, k + 1) for k in gaps)], params
    )
    return Segmentation(tuple(trips), tuple(stops), tuple(gaps.values()), tuple(rejected))


def _between(track: Track, moved: Motion, cutting: Sequence[Span]) -> Iterator[Span]:
    """Spans between the cutting stays and GAPs; a stay's first and last fix belong to its neighbours too."""
    block_ends = [int(k) for k in np.flatnonzero(moved.gap)]
    edges: list[Span] = [(-1, 0), *cutting, *((k, k + 1) for k in block_ends), (len(track) - 1, len(track))]
    for (_, first), (last, _) in pairwise(sorted(edges)):
        if last > first:
            yield first, last


@dataclass(frozen=True, slots=True)
class _Piece:
    """A trip to be: its fixes, and the order boundaries where they end it instead of a standstill."""

    first: int
    last: int
    cut_before_s: float | None = None
    cut_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Cutter:
    track: Track
    moved: Motion
    standing: Sequence[Span]
    gaps: dict[int, Gap]
    params: SegmentParams

    def pieces(self, span: Span, cuts_at_s: Sequence[float]) -> Iterator[_Piece]:
        """Trips within a span that has no cutting stay, cut at the order boundaries."""
        whole = self._trimmed(span)
        if whole is None:
            return
        at_s = self.track.at_s
        rest, cut_before_s = whole, None
        for cut_s in cuts_at_s:
            if not at_s[rest[0]] < cut_s < at_s[rest[1]]:
                continue
            nearest = rest[0] + int(np.abs(at_s[rest[0] : rest[1] + 1] - cut_s).argmin())
            left, right = self._trimmed((rest[0], nearest)), self._trimmed((nearest, rest[1]))
            # A sliver is not worth a trip and must not be lost: it stays with its neighbour.
            if left is None or right is None:
                continue
            yield _Piece(*left, cut_before_s, cut_s if left[1] == nearest else None)
            rest, cut_before_s = right, cut_s if right[0] == nearest else None
        yield _Piece(*rest, cut_before_s)

    def _trimmed(self, span: Span) -> Span | None:
        """The span from its first to its last moving step, ``None`` if that is no trip."""
        first, last = span
        moving = self.moved.step[first:last].copy()
        for i, j in self.standing:
            if i < last and j > first:
                moving[max(i - first, 0) : j - first] = False
        steps = np.flatnonzero(moving)
        if not len(steps):
            return None
        trimmed = first + int(steps[0]), first + int(steps[-1]) + 1
        return trimmed if self._is_trip(trimmed, float(self.moved.step_s[first:last][moving].sum())) else None

    def _is_trip(self, span: Span, moving_s: float) -> bool:
        """Far or long enough (P3), and in either case out of the radius within which a parked vehicle jitters."""
        track, params = self.track.part(*span), self.params
        if float(haversine_m(track.lat[0], track.lon[0], track.lat, track.lon).max()) <= params.stay_radius_m:
            return False
        return moving_s >= params.min_trip_s or gps_distance_m(track, params=params.mileage) > params.min_trip_m

    def trip(self, piece: _Piece) -> Trip:
        """The trip with everything measured."""
        first, last = piece.first, piece.last
        track, params = self.track.part(first, last), self.params
        step_s = self.moved.step_s[first:last]
        reported = track.speed_kmh[np.isfinite(track.speed_kmh)]
        return Trip(
            start_at=_at(track, 0, piece.cut_before_s),
            end_at=_at(track, -1, piece.cut_after_s),
            fixes=track.fixes,
            distance=measure_track(track, params=params.mileage),
            coverage=float(np.minimum(step_s, params.coverage_step_s).sum() / step_s.sum()),
            max_speed_kmh=float((reported if len(reported) else self._pace_kmh(first, last)).max()),
            stops=tuple(_stop(self.track, span) for span in self.standing if first <= span[0] and span[1] <= last),
            gaps=tuple(self.gaps[step] for step in (first - 1, last) if step in self.gaps),
        )

    def _pace_kmh(self, first: int, last: int) -> Floats:
        return pace_kmh(self.track, self.moved, self.params)[first:last]


def _at(track: Track, i: int, cut_s: float | None) -> datetime:
    return track.at(i) if cut_s is None else datetime.fromtimestamp(cut_s, UTC)


def _duration_s(track: Track, span: Span) -> float:
    return float(track.at_s[span[1]] - track.at_s[span[0]])


def _stops(track: Track, standing: Sequence[Span], away: Sequence[Span], params: SegmentParams) -> Iterator[Stop]:
    """Stops of the stays; neighbours at one place with no trip and no GAP between them are one stop."""
    separators = sorted(away)
    merged: list[Span] = []
    for span in standing:
        if merged:
            before = merged[-1]
            i = bisect_left(separators, (span[0], 0))
            # They are disjoint, so the nearest one before this stay ends last.
            apart = i > 0 and separators[i - 1][1] > before[1]
            one, other = _stop(track, before), _stop(track, span)
            if not apart and distance_m(one.lat, one.lon, other.lat, other.lon) <= params.stay_radius_m:
                merged[-1] = before[0], span[1]
                continue
        merged.append(span)
    for span in merged:
        yield _stop(track, span)


def _stop(track: Track, span: Span) -> Stop:
    stay = track.part(*span)
    return Stop(stay.at(0), stay.at(-1), *centre(stay.lat, stay.lon), len(stay))


def _gaps(track: Track, moved: Motion, params: SegmentParams) -> dict[int, Gap]:
    """GAPs by the step they take the place of."""
    gaps: dict[int, Gap] = {}
    for step in map(int, np.flatnonzero(moved.gap)):
        # The terminal's own speed decides; without it, the way the last fix was reached.
        speed_kmh = float(track.speed_kmh[step])
        moving_before = step > 0 and bool(moved.step[step - 1]) if isnan(speed_kmh) else speed_kmh >= params.moving_kmh
        gaps[step] = Gap(track.at(step), track.at(step + 1), float(moved.step_m[step]), moving_before)
    return gaps
