"""The road network: OSRM over HTTP where one is configured, else the main roads at hand or an estimate; every figure says which.

Nothing is cached: what is worth keeping stands with the trip it belongs to. Documents: OSRM HTTP API v1 (match, route,
table), coordinates ``lon,lat`` in WGS-84.
"""

import http
import http.client
import json
import math
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import structlog
from numpy.typing import NDArray

from fleetapp.places.roads import RoadGraph, distance_m, load_roads

log = structlog.get_logger()

Floats = NDArray[np.float64]
LatLon = tuple[float, float]
T = TypeVar("T")

POINTS = 100
"""Most points of one request, OSRM's own default limit."""
TIMEOUT_S = 2.0
MOST_BYTES = 32 * 1024 * 1024
FAILURES = 3
ESTIMATE_FACTOR = 1.02
"""Road distance over the sum of straight steps of a track (rule catalogue, primitive P5)."""
DETOUR_FACTOR = 1.4
"""Road distance over the straight line of a whole journey where no network is known."""
ESTIMATE_KMH = 40.0
ON_NETWORK_KM = 3.0
FAULTS = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, IndexError)
"""No answer, and answers of another form than documented."""


@dataclass(frozen=True, slots=True)
class MatchedDistance:
    """Length along roads, metres, and where it comes from: ``osrm`` or ``estimate``."""

    metres: float
    source: str


@dataclass(frozen=True, slots=True)
class ExpectedRoute:
    """A way to drive: ``points`` (lat, lon) ``(n, 2)``, metres, seconds without traffic, and its source.

    ``pace_kmh`` ``(n,)`` is the speed expected from a point to the next one, zero where it is not known.
    ``source`` is ``osrm``, ``graph`` (main roads at hand) or ``estimate`` (straight lines).
    """

    points: Floats
    pace_kmh: Floats
    metres: float
    seconds: float
    source: str


@dataclass(frozen=True, slots=True)
class Table:
    """Metres and seconds ``(n, n)`` from each point to each, and their source: ``osrm`` or ``estimate``."""

    metres: Floats
    seconds: Floats
    source: str


@cache
def _main_roads() -> RoadGraph:
    return load_roads()


class Roads:
    """The road network for one run of a job.

    After ``FAILURES`` requests in a row without a usable answer the engine is left alone for the rest of the run, so
    that one that is down costs seconds and not hours.
    """

    def __init__(self, osrm_url: str = "", *, timeout_s: float = TIMEOUT_S) -> None:
        """Take the engine's address, nothing for none."""
        self._url = osrm_url.rstrip("/")
        self._timeout_s = timeout_s
        self._failures = 0

    @property
    def answering(self) -> bool:
        """Whether the next request goes to the engine."""
        return bool(self._url) and self._failures < FAILURES

    def match(self, at_s: Floats, lat: Floats, lon: Floats, *, gps_m: float) -> MatchedDistance:
        """Return the length along roads of a track of ``(n,)`` fixes whose straight steps add up to ``gps_m``."""
        metres = self._match(at_s, lat, lon)
        if metres is None:
            return MatchedDistance(gps_m * ESTIMATE_FACTOR, "estimate")
        return MatchedDistance(metres, "osrm")

    def _match(self, at_s: Floats, lat: Floats, lon: Floats) -> float | None:
        total = 0.0
        # Neighbouring pieces share a point, so that no step between two of them is lost.
        for first in range(0, len(lat) - 1, POINTS - 1):
            piece = slice(first, first + POINTS)
            times = ";".join(str(int(moment)) for moment in at_s[piece])
            answer = self._ask("match", _joined(zip(lat[piece], lon[piece], strict=True)),
                               f"timestamps={times}&overview=false&gaps=ignore", _matched_m)  # fmt: skip
            if answer is None:
                return None
            total += answer
        return total if len(lat) > 1 and self._url else None

    def routes(self, stops: Sequence[LatLon], *, longest_time: float) -> tuple[ExpectedRoute, ...]:
        """Return the expected ways through two or more stops, the quickest first.

        Others count up to ``longest_time`` times the quickest one's time (1.3 in the rule catalogue, primitive P12).

        :raises ValueError: fewer than two stops.
        """
        if len(stops) < 2:
            raise ValueError("A route needs two stops.")
        alternatives = "true" if len(stops) == 2 else "false"  # OSRM gives alternatives between two points only
        found = self._ask(
            "route",
            _joined(stops),
            f"overview=full&geometries=geojson&annotations=speed&alternatives={alternatives}",
            lambda told: _routes(told, longest_time),
        )
        return found or (_by_main_roads(stops) or _straight(stops),)

    def table(self, points: Sequence[LatLon]) -> Table:
        """Return distances and times from each point to each; as estimates if any pair has none."""
        found = self._ask(
            "table", _joined(points), "annotations=distance,duration", lambda told: _table(told, len(points))
        )
        if found is not None:
            return found
        straight = [[distance_m(a[::-1], b[::-1]) * DETOUR_FACTOR for b in points] for a in points]
        metres = np.array(straight, dtype=np.float64).reshape(len(points), len(points))
        return Table(metres, metres / ESTIMATE_KMH * 3.6, "estimate")

    def _ask(self, service: str, points: str, query: str, read: Callable[[Any], T]) -> T | None:
        """Return what an answer says, None without an engine or an answer that can be read."""
        if not self.answering:
            return None
        address = f"{self._url}/{service}/v1/driving/{points}?{query}"
        try:
            with urllib.request.urlopen(address, timeout=self._timeout_s) as answer:  # noqa: S310 -- address from settings
                found = read(json.loads(answer.read(MOST_BYTES)))
        except urllib.error.HTTPError as error:
            # The engine is well and has no way between these points: OSRM says so with status 400.
            refused = error.code == http.HTTPStatus.BAD_REQUEST
            self._failures = 0 if refused else self._failures + 1
            log.info("road_engine_refused", service=service, status=error.code)
            return None
        except FAULTS as error:
            self._failures += 1
            log.warning("road_engine_unavailable", service=service, error=str(error), given_up=not self.answering)
            return None
        self._failures = 0
        return found


def _joined(points: Iterable[tuple[float, float]]) -> str:
    return ";".join(f"{lon:.6f},{lat:.6f}" for lat, lon in points)


def _figure(value: Any) -> float:
    figure = float(value)
    if not (math.isfinite(figure) and figure >= 0):
        raise ValueError(f"{value!r} is no distance or time")
    return figure


def _matched_m(told: Any) -> float:
    return sum(_figure(found["distance"]) for found in told["matchings"])


def _routes(told: Any, longest_time: float) -> tuple[ExpectedRoute, ...]:
    found = []
    for one in told["routes"]:
        points = np.array([(lat, lon) for lon, lat in one["geometry"]["coordinates"]], dtype=np.float64).reshape(-1, 2)
        found.append(
            ExpectedRoute(
                points, _pace_kmh(one, len(points)), _figure(one["distance"]), _figure(one["duration"]), "osrm"
            )
        )
    found.sort(key=lambda route: route.seconds)
    if not found or not all(len(route.points) for route in found):
        raise ValueError("no route, or one without points")
    return tuple(route for route in found if route.seconds <= longest_time * found[0].seconds)


def _pace_kmh(told: Any, n: int) -> Floats:
    """Return the speed from each point to the next; an engine that does not say it, or not for each step, knows none."""
    steps = [_figure(one) * 3.6 for leg in told["legs"] for one in leg.get("annotation", {}).get("speed", ())]
    return np.array([*steps, steps[-1]], dtype=np.float64) if steps and len(steps) == n - 1 else np.zeros(n)


def _table(told: Any, n: int) -> Table:
    metres, seconds = (np.array(told[name], dtype=np.float64) for name in ("distances", "durations"))
    if metres.shape != (n, n) or seconds.shape != (n, n) or not np.isfinite([metres, seconds]).all():
        raise ValueError("a table with holes")
    return Table(metres, seconds, "osrm")


def _by_main_roads(stops: Sequence[LatLon]) -> ExpectedRoute | None:
    """Return the quickest way over the main roads at hand, None where they are not near every stop."""
    graph = _main_roads()
    if any(graph.nearest_node(stop[::-1])[1] > ON_NETWORK_KM * 1000 for stop in stops):
        return None
    legs = [graph.route(here[::-1], there[::-1]) for here, there in pairwise(stops)]
    points = np.concatenate([leg.points[:, ::-1] for leg in legs])
    limits = np.concatenate([leg.limits_kmh for leg in legs])
    return ExpectedRoute(points, limits, sum(leg.length_m for leg in legs), sum(leg.seconds for leg in legs), "graph")


def _straight(stops: Sequence[LatLon]) -> ExpectedRoute:
    metres = DETOUR_FACTOR * sum(distance_m(a[::-1], b[::-1]) for a, b in pairwise(stops))
    points = np.array(stops, dtype=np.float64)
    return ExpectedRoute(points, np.zeros(len(stops)), metres, metres / ESTIMATE_KMH * 3.6, "estimate")
