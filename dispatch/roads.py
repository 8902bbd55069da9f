"""Driving between places that become more in the course of a day: a travel matrix with room to grow."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from dispatch.bounds import LONGEST_M, LONGEST_S, require, unique
from dispatch.model import Matrix, Place, Travel

ROOM = 64  # places for which room is kept at least


@dataclass(frozen=True, eq=False)
class Ways:
    """Driving seconds and metres between m new places and the n places known so far.

    `from_s` and `from_m` have the shape (m, n + m): from each new place to every known one in order, then to the new ones.
    `to_s` and `to_m` have the shape (n, m): from every known place to each new one.
    """

    places: tuple[Place, ...]
    from_s: Matrix = field(repr=False)
    from_m: Matrix = field(repr=False)
    to_s: Matrix = field(repr=False)
    to_m: Matrix = field(repr=False)


class Roads:
    """A travel matrix that grows in place: as long as there is room only the new rows and columns are written."""

    def __init__(self, travel: Travel) -> None:
        self._base = travel
        self.places = list(travel.places)
        self.index = dict(travel.index)
        self.time_s, self.distance_m = travel.time_s, travel.distance_m
        # Room from the beginning, so that the first new order of a day does not wait for the copy.
        self._make_room(len(self.places) + ROOM)

    def _make_room(self, least: int) -> None:
        n = len(self.places)
        room = max(least, 2 * n)
        for name in ("time_s", "distance_m"):
            # Memory that is never written is never taken from the machine: room costs little.
            wider = np.empty((room, room), dtype=np.int32)
            wider[:n, :n] = getattr(self, name)[:n, :n]
            setattr(self, name, wider)

    def check(self, ways: Ways) -> None:
        """Raise `InvalidModel` unless the ways fit the places known so far."""
        n, m = len(self.places), len(ways.places)
        unique((p.id for p in ways.places), "Ways: Place")
        for name, shape, most in (
            ("from_s", (m, n + m), LONGEST_S), ("from_m", (m, n + m), LONGEST_M),
            ("to_s", (n, m), LONGEST_S), ("to_m", (n, m), LONGEST_M),
        ):  # fmt: skip
            matrix = getattr(ways, name)
            require(
                matrix.shape == shape, "Ways", f"{name} must have {shape[0]} rows and {shape[1]} columns", matrix.shape
            )
            low, high = (int(matrix.min()), int(matrix.max())) if matrix.size else (0, 0)
            require(low >= 0 and high <= most, "Ways", f"{name} must lie between 0 and {most}", (low, high))
        own = ways.from_s[:, n:].diagonal().any() or ways.from_m[:, n:].diagonal().any()
        require(not own, "Ways", "from a place to itself must be 0", "another value")

    def extend(self, ways: Ways) -> None:
        """Learn new places; the ways must have been checked."""
        n, m = len(self.places), len(ways.places)
        if n + m > len(self.time_s):
            self._make_room(n + m)
        for matrix, out, into in (
            (self.time_s, ways.from_s, ways.to_s), (self.distance_m, ways.from_m, ways.to_m),
        ):  # fmt: skip
            matrix[n : n + m, : n + m], matrix[:n, n : n + m] = out, into
        for place in ways.places:
            self.index[place.id] = len(self.places)
            self.places.append(place)

    def travel(self) -> Travel:
        """Return travel between all places, without copying it."""
        n = len(self.places)
        return replace(
            self._base, places=tuple(self.places), time_s=self.time_s[:n, :n], distance_m=self.distance_m[:n, :n]
        )

    def part(self, names: Iterable[str]) -> Travel:
        """Return travel between some places."""
        at = [self.index[name] for name in dict.fromkeys(names)]
        cut = np.ix_(at, at)
        return replace(
            self._base,
            places=tuple(self.places[k] for k in at),
            time_s=self.time_s[cut],
            distance_m=self.distance_m[cut],
        )
