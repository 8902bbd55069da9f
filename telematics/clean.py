"""Which fixes may enter trips and mileage; the others are kept out with a reason, never altered or dropped silently."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from math import isfinite

import numpy as np

from telematics.geo import distance_m
from telematics.kernels.moves import steps_m
from telematics.model import Fix, Rejected, Rejection
from telematics.track import Bools, Track, columns


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanParams:
    """Limits of point cleaning (rule catalogue, primitive P1).

    ``max_reported_kmh`` and ``max_implied_kmh`` are P1's 180 and 200 km/h, ``max_future_s`` its 2 minutes,
    ``max_hdop`` and ``min_satellites`` its 8 and 4. ``max_accuracy_m`` is for phones, which report a radius instead
    of HDOP. ``slack_m`` is the noise of two fixes, which must not turn into an implied speed between fixes one second
    apart. A place the track jumps to is believed from ``min_chain`` fixes on.
    """

    max_reported_kmh: float = 180.0
    max_implied_kmh: float = 200.0
    max_future_s: float = 120.0
    max_accuracy_m: float = 100.0
    max_hdop: float = 8.0
    min_satellites: int = 4
    slack_m: float = 50.0
    min_chain: int = 3

    def __post_init__(self) -> None:
        """Refuse limits that cannot be meant."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isfinite(value) and value > 0):
                raise ValueError(f"CleanParams.{field.name} must be a positive number, not {value!r}.")


DEFAULT = CleanParams()

OPEN_CHAINS = 8
"""How many chains a fix is compared with: more jumping places at once than this is not a track."""


def clean(
    fixes: Sequence[Fix], *, params: CleanParams = DEFAULT, now: datetime | None = None
) -> tuple[list[Fix], list[Rejected]]:
    """Fixes fit for trips and mileage, and the rejected ones with reasons, both in time order.

    ``fixes`` are in canonical order (``order_and_dedupe``). Fixes more than ``max_future_s`` after ``now`` are
    rejected if ``now`` is given.
    """
    track, rejected = clean_track(columns(fixes), params=params, now=now)
    return list(track.fixes), rejected


def clean_track(
    track: Track, *, params: CleanParams = DEFAULT, now: datetime | None = None
) -> tuple[Track, list[Rejected]]:
    """Like ``clean``, on columns."""
    reasons: dict[int, Rejection] = {}
    keep = np.ones(len(track), dtype=np.bool_)
    for reason, bad in _single_fix_faults(track, params, now):
        for i in np.flatnonzero(bad & keep):
            reasons[int(i)] = reason
        keep &= ~bad
    left = np.flatnonzero(keep)
    for position, reason in _inconsistent(track.kept(keep), params).items():
        reasons[int(left[position])] = reason
        keep[left[position]] = False
    return track.kept(keep), [Rejected(track.fixes[i], reasons[i]) for i in sorted(reasons)]


def _single_fix_faults(track: Track, params: CleanParams, now: datetime | None) -> Iterator[tuple[Rejection, Bools]]:
    """What is wrong with a fix by itself; the first reason of the list counts."""
    lat, lon = track.lat, track.lon
    yield Rejection.NO_FIX, ~track.fixed
    # Written so that NaN is out of range too.
    yield Rejection.OUT_OF_RANGE, ~((np.abs(lat) <= 90) & (np.abs(lon) <= 180))
    # Terminals without a position send exact zeros; the real place is open sea.
    yield Rejection.ZERO_POSITION, (np.abs(lat) < 1e-4) & (np.abs(lon) < 1e-4)
    if now is not None:
        yield Rejection.FUTURE, track.at_s > now.timestamp() + params.max_future_s
    yield Rejection.MOCK, track.mock
    # Many terminals always send 0 satellites although they have a fix: no statement, not a poor one.
    few = (track.satellites > 0) & (track.satellites < params.min_satellites)
    yield Rejection.POOR_ACCURACY, few | (track.accuracy_m > params.max_accuracy_m) | (track.hdop > params.max_hdop)
    yield Rejection.SPEED_IMPOSSIBLE, (track.speed_kmh > params.max_reported_kmh) | (track.speed_kmh < 0)


def _inconsistent(track: Track, params: CleanParams) -> dict[int, Rejection]:
    """Positions of fixes that contradict the rest of the track.

    Every fix joins the most recently extended chain it can have come from at ``max_implied_kmh``, or opens a new one.
    Chains that run at the same time contradict each other and the one with more fixes wins, so a spike costs itself
    and nothing after it. Chains one after the other are a jump that persists: both are kept (segmentation makes a
    GAP of the jump), unless one or two fixes at the joint explain it.
    """
    if len(track) < 2 or bool(_steps_possible(track, params).all()):
        return _same_time(track, range(len(track)))
    chains = _chains(track, params)
    chains.sort(key=lambda chain: (-len(chain), chain[0]))
    spans: list[tuple[int, int]] = []
    kept: list[int] = []
    for chain in chains:
        # The longest chain is kept however short: something must be believed.
        if (spans and len(chain) < params.min_chain) or _overlaps(spans, chain[0], chain[-1]):
            continue
        insort(spans, (chain[0], chain[-1]))
        kept.extend(chain)
    kept = _without_loose_ends(track, _with_fitting(track, sorted(kept), params), params)
    reasons = dict.fromkeys(set(range(len(track))) - set(kept), Rejection.JUMP)
    return reasons | _same_time(track, kept)


def _chains(track: Track, params: CleanParams) -> list[list[int]]:
    ended: list[list[int]] = []
    extended_last: list[list[int]] = [[0]]
    possible = _Possible(track, params)
    possible_from_previous = [False, *_steps_possible(track, params).tolist()]
    for i in range(1, len(track)):
        newest = extended_last[0]
        if newest[-1] == i - 1 and possible_from_previous[i]:
            newest.append(i)
            continue
        home = next((chain for chain in extended_last if possible(chain[-1], i)), None)
        if home is None:
            home = []
        else:
            extended_last.remove(home)
        home.append(i)
        extended_last.insert(0, home)
        if len(extended_last) > OPEN_CHAINS:
            ended.append(extended_last.pop())
    return ended + extended_last


def _overlaps(spans: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether ``[first, last]`` meets one of the sorted, disjoint spans."""
    i = bisect_left(spans, (first, first))
    return (i < len(spans) and spans[i][0] <= last) or (i > 0 and spans[i - 1][1] >= first)


def _with_fitting(track: Track, kept: list[int], params: CleanParams) -> list[int]:
    """Take back every fix of a losing chain that contradicts neither neighbour: noise splits chains now and then."""
    possible = _Possible(track, params)
    chosen = set(kept)
    fitting: list[int] = []
    for i in range(len(track)):
        following = bisect_left(kept, i)
        if i in chosen or (
            (not fitting or possible(fitting[-1], i)) and (following == len(kept) or possible(i, kept[following]))
        ):
            fitting.append(i)
    return fitting


def _without_loose_ends(track: Track, kept: list[int], params: CleanParams) -> list[int]:
    """Take out one or two fixes at a joint of two chains if the joint becomes possible without them."""
    keep = np.zeros(len(track), dtype=np.bool_)
    keep[kept] = True
    possible = _Possible(track, params)
    loose: set[int] = set()
    for joint in np.flatnonzero(~_steps_possible(track.kept(keep), params)):
        k = int(joint) + 1
        for before, after in ((0, 1), (1, 0), (0, 2), (2, 0)):
            left, right = k - 1 - before, k + after
            if left >= 0 and right < len(kept) and possible(kept[left], kept[right]):
                loose.update(kept[left + 1 : right])
                break
    return [i for i in kept if i not in loose]


def _same_time(track: Track, kept: Sequence[int]) -> dict[int, Rejection]:
    """A second fix of the same second, close to the first: it adds no time and no place."""
    positions = np.asarray(kept, dtype=np.int64)
    same = np.diff(track.at_s[positions]) == 0
    return dict.fromkeys(positions[1:][same].tolist(), Rejection.DUPLICATE)


def _steps_possible(track: Track, params: CleanParams) -> Bools:
    chord_m = steps_m(track.lat, track.lon)
    reach_m = params.slack_m + np.diff(track.at_s) * params.max_implied_kmh / 3.6
    return np.asarray(chord_m <= reach_m, dtype=np.bool_)


class _Possible:
    """Whether a vehicle can have come from one fix of a track to a later one; on plain lists, for loops."""

    def __init__(self, track: Track, params: CleanParams) -> None:
        self.at_s: list[float] = track.at_s.tolist()
        self.lat: list[float] = track.lat.tolist()
        self.lon: list[float] = track.lon.tolist()
        self.slack_m = params.slack_m
        self.max_ms = params.max_implied_kmh / 3.6

    def __call__(self, i: int, j: int) -> bool:
        reach_m = self.slack_m + (self.at_s[j] - self.at_s[i]) * self.max_ms
        return distance_m(self.lat[i], self.lon[i], self.lat[j], self.lon[j]) <= reach_m
