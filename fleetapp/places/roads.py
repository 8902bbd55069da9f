"""A small graph of main roads: the ground of every map, nearest road, shortest-time route with speed limits."""

import functools
import heapq
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROADS_FILE = Path(__file__).parents[2] / "config" / "roads" / "hangzhou.json"
CLASSES = ("expressway", "arterial", "street")
ACCESS_KMH = 20.0
SHAPE_EVERY_M = 450.0
MOST_SHAPE_POINTS = 6
METRES_PER_DEGREE = 111_195.0
"""Metres of one degree of latitude on a sphere of 6,371,008.8 m."""
LonLat = tuple[float, float]
Floats = NDArray[np.float64]


def distance_m(a: LonLat, b: LonLat) -> float:
    """Distance of two (lon, lat) points on a local plane, metres; good to 0.1 % over the city."""
    scale = math.cos(math.radians((a[1] + b[1]) / 2))
    return math.hypot((a[0] - b[0]) * scale, a[1] - b[1]) * METRES_PER_DEGREE


@dataclass(frozen=True, slots=True)
class Edge:
    """A piece of road between two junctions; ``shape`` runs from ``start`` to ``end``, both included."""

    start: str
    end: str
    name: str
    name_en: str
    road_class: str
    speed_kmh: float
    shape: tuple[LonLat, ...]
    length_m: float

    @property
    def seconds(self) -> float:
        return self.length_m / self.speed_kmh * 3.6


@dataclass(frozen=True, slots=True)
class Route:
    """A way to drive: ``points`` (n, 2) lon/lat; ``limits_kmh`` (n,) holds from a vertex to the next one.

    ``lights`` (n,) marks junctions that may have a traffic light; ``length_m`` and the free-flow ``seconds`` are totals.
    """

    points: Floats
    limits_kmh: Floats
    lights: NDArray[np.bool_]
    length_m: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Foot:
    """Where a point meets the network: edge, share of its length from its start, position and distance."""

    edge: int
    share: float
    lonlat: LonLat
    away_m: float


class RoadGraph:
    """Two-way roads; routes are cached, so one graph should serve a whole run."""

    def __init__(self, nodes: dict[str, LonLat], edges: tuple[Edge, ...]) -> None:
        self.nodes = nodes
        self.edges = edges
        self.neighbours: dict[str, list[tuple[str, int]]] = {node: [] for node in nodes}
        for index, edge in enumerate(edges):
            self.neighbours[edge.start].append((edge.end, index))
            self.neighbours[edge.end].append((edge.start, index))
        self._routes: dict[tuple[LonLat, LonLat], Route] = {}
        self._feet: dict[LonLat, _Foot] = {}
        # A compound has its gate on a street; nobody drives out onto a viaduct.
        segments = [
            (index, *a, *b)
            for index, edge in enumerate(edges)
            if edge.road_class != "expressway"
            for a, b in pairwise(edge.shape)
        ]
        table = np.array(segments, dtype=np.float64)
        self._segment_edge = table[:, 0].astype(np.int64)
        self._segment_ends = table[:, 1:]

    def foot(self, at: LonLat) -> _Foot:
        """Return the nearest point of an arterial or street."""
        scale = np.array([math.cos(math.radians(at[1])), 1.0]) * METRES_PER_DEGREE
        starts = (self._segment_ends[:, :2] - at) * scale
        steps = (self._segment_ends[:, 2:] - self._segment_ends[:, :2]) * scale
        squares = np.maximum((steps**2).sum(axis=1), 1e-9)
        shares = np.clip(-(starts * steps).sum(axis=1) / squares, 0.0, 1.0)
        away = np.hypot(*(starts + steps * shares[:, None]).T)
        best = int(away.argmin())
        index = int(self._segment_edge[best])
        ends = self._segment_ends[best]
        lonlat = (
            float(ends[0] + (ends[2] - ends[0]) * shares[best]),
            float(ends[1] + (ends[3] - ends[1]) * shares[best]),
        )
        edge = self.edges[index]
        position = int(best - np.searchsorted(self._segment_edge, index))
        before_m = _length_m((*edge.shape[: position + 1], lonlat))
        return _Foot(index, min(1.0, before_m / edge.length_m), lonlat, float(away[best]))

    def roadside(self, at: LonLat) -> LonLat:
        """Return the nearest point on an arterial or street."""
        return self.foot(at).lonlat

    def nearest_node(self, at: LonLat) -> tuple[str, float]:
        """Return the nearest junction and its distance in metres."""
        return min(((node, distance_m(at, lonlat)) for node, lonlat in self.nodes.items()), key=lambda pair: pair[1])

    def route(self, origin: LonLat, destination: LonLat) -> Route:
        """Return the shortest-time route between any two points, with a slow straight piece to and from the road.

        Raises ``ValueError`` when no road joins them.
        """
        key = (origin, destination)
        if key not in self._routes:
            self._routes[key] = self._find(origin, destination)
        return self._routes[key]

    def _find(self, origin: LonLat, destination: LonLat) -> Route:
        for at in (origin, destination):
            if at not in self._feet:
                self._feet[at] = self.foot(at)
        a, b = self._feet[origin], self._feet[destination]
        edge = self.edges[a.edge]
        if a.edge == b.edge:
            pieces = [(edge, _between(edge, a.share, b.share))]
            return _joined(self, origin, pieces, destination)
        path = self._shortest(a, b)
        last = self.edges[b.edge]
        first_share = 0.0 if path[0][0] == edge.start else 1.0
        last_share = 0.0 if path[-1][0] == last.start else 1.0
        pieces = [(edge, _between(edge, a.share, first_share))]
        for (node, _), (_, index) in pairwise(path):
            step = self.edges[index]
            pieces.append((step, step.shape if step.start == node else step.shape[::-1]))
        pieces.append((last, _between(last, last_share, b.share)))
        return _joined(self, origin, pieces, destination)

    def _shortest(self, a: _Foot, b: _Foot) -> list[tuple[str, int]]:
        """Dijkstra over junctions from one foot to the other: [(node, edge that led to it)]."""
        first, last = self.edges[a.edge], self.edges[b.edge]
        goals = {last.start: last.seconds * b.share, last.end: last.seconds * (1 - b.share)}
        heap: list[tuple[float, str, str, int]] = [
            (first.seconds * a.share, first.start, "", a.edge),
            (first.seconds * (1 - a.share), first.end, "", a.edge),
        ]
        heapq.heapify(heap)
        came: dict[str, tuple[str, int]] = {}
        best = (math.inf, "")
        while heap:
            cost, node, previous, index = heapq.heappop(heap)
            if cost >= best[0]:
                break
            if node in came:
                continue
            came[node] = (previous, index)
            if node in goals:
                best = min(best, (cost + goals[node], node))
            for neighbour, step in self.neighbours[node]:
                if neighbour not in came:
                    heapq.heappush(heap, (cost + self.edges[step].seconds, neighbour, node, step))
        if not best[1]:
            raise ValueError(f"no road joins {a.lonlat} and {b.lonlat}: add the missing road to {ROADS_FILE.name}")
        path = []
        node = best[1]
        while node:
            previous, index = came[node]
            path.append((node, index))
            node = previous
        return path[::-1]


def load_roads(path: Path = ROADS_FILE) -> RoadGraph:
    """Read the hand-drawn roads; raises ``ValueError`` naming the road that is wrong."""
    data = json.loads(path.read_text(encoding="utf-8"))
    nodes = {name: (float(lon), float(lat)) for name, (lon, lat) in data["nodes"].items()}
    edges = []
    for road in data["roads"]:
        unknown = [node for node in road["nodes"] if node not in nodes]
        if unknown or len(road["nodes"]) < 2 or road["class"] not in CLASSES or not road["speed_kmh"] > 0:
            raise ValueError(
                f"{path.name}: road {road['name']} needs two or more known nodes {unknown}, a class of {CLASSES}, a speed"
            )
        for position, (start, end) in enumerate(pairwise(road["nodes"])):
            shape = _rounded([nodes[node] for node in road["nodes"]], position)
            edges.append(
                Edge(
                    start=start,
                    end=end,
                    name=road["name"],
                    name_en=road["name_en"],
                    road_class=road["class"],
                    speed_kmh=float(road["speed_kmh"]),
                    shape=shape,
                    length_m=_length_m(shape),
                )
            )
    return RoadGraph(nodes, tuple(edges))


def _rounded(chain: list[LonLat], position: int) -> tuple[LonLat, ...]:
    """Return one edge of a chain with shape points on a centripetal Catmull-Rom curve (no loops, no overshoot)."""
    p1, p2 = np.array(chain[position]), np.array(chain[position + 1])
    p0 = np.array(chain[position - 1]) if position else 2 * p1 - p2
    p3 = np.array(chain[position + 2]) if position + 2 < len(chain) else 2 * p2 - p1
    count = min(MOST_SHAPE_POINTS, int(distance_m(chain[position], chain[position + 1]) // SHAPE_EVERY_M))
    t0 = 0.0
    t1 = t0 + math.sqrt(np.hypot(*(p1 - p0)))
    t2 = t1 + math.sqrt(np.hypot(*(p2 - p1)))
    t3 = t2 + math.sqrt(np.hypot(*(p3 - p2)))
    shape = [chain[position]]
    for t in np.linspace(t1, t2, count + 2)[1:-1]:
        a1 = p0 + (p1 - p0) * (t - t0) / (t1 - t0)
        a2 = p1 + (p2 - p1) * (t - t1) / (t2 - t1)
        a3 = p2 + (p3 - p2) * (t - t2) / (t3 - t2)
        b1 = a1 + (a2 - a1) * (t - t0) / (t2 - t0)
        b2 = a2 + (a3 - a2) * (t - t1) / (t3 - t1)
        lon, lat = b1 + (b2 - b1) * (t - t1) / (t2 - t1)
        shape.append((round(float(lon), 6), round(float(lat), 6)))
    return (*shape, chain[position + 1])


def _length_m(shape: tuple[LonLat, ...]) -> float:
    return sum(distance_m(a, b) for a, b in pairwise(shape))


def _between(edge: Edge, share_from: float, share_to: float) -> tuple[LonLat, ...]:
    """Cut an edge's shape between two shares of its length, in the direction asked for."""
    if share_from > share_to:
        return _between(edge, share_to, share_from)[::-1]
    inner = []
    cuts = {share_from: edge.shape[0], share_to: edge.shape[-1]}
    run_m = 0.0
    for a, b in pairwise(edge.shape):
        step_m = distance_m(a, b)
        for share in cuts:
            if step_m > 0 and run_m <= share * edge.length_m <= run_m + step_m:
                part = (share * edge.length_m - run_m) / step_m
                cuts[share] = (a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part)
        run_m += step_m
        if share_from * edge.length_m < run_m < share_to * edge.length_m:
            inner.append(b)
    return (cuts[share_from], *inner, cuts[share_to])


def _joined(
    graph: RoadGraph, origin: LonLat, pieces: list[tuple[Edge, tuple[LonLat, ...]]], destination: LonLat
) -> Route:
    """Chain the pieces into one polyline without repeated points; a light may stand where three surface roads meet."""
    points = [origin]
    limits = [ACCESS_KMH]
    lights = [False]
    for position, (edge, shape) in enumerate(pieces):
        limits[-1] = edge.speed_kmh if position else ACCESS_KMH
        for lonlat in shape:
            if distance_m(points[-1], lonlat) < 1.0:
                limits[-1] = edge.speed_kmh
                continue
            points.append(lonlat)
            limits.append(edge.speed_kmh)
            lights.append(False)
        follower = pieces[position + 1][0] if position + 1 < len(pieces) else None
        node = edge.start if shape[-1] == graph.nodes[edge.start] else edge.end
        surface = edge.road_class != "expressway" or (follower is not None and follower.road_class != "expressway")
        lights[-1] = follower is not None and surface and len(graph.neighbours[node]) >= 3
    limits[-1] = ACCESS_KMH
    if distance_m(points[-1], destination) >= 1.0 or len(points) == 1:
        points.append(destination)
        limits.append(ACCESS_KMH)
        lights.append(False)
    steps = np.array([distance_m(a, b) for a, b in pairwise(points)])
    speeds = np.array(limits[:-1])
    return Route(
        points=np.array(points),
        limits_kmh=np.array(limits),
        lights=np.array(lights),
        length_m=float(steps.sum()),
        seconds=float((steps / speeds * 3.6).sum()),
    )


@functools.cache
def as_geojson() -> dict[str, Any]:
    """Return the roads as a GeoJSON FeatureCollection of lines with ``class``, ``name`` and ``name_en``."""
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "LineString",
                "coordinates": [[round(lon, 5), round(lat, 5)] for lon, lat in edge.shape],
            },
            "properties": {"class": edge.road_class, "name": edge.name, "name_en": edge.name_en},
        }
        for edge in load_roads().edges
    ]
    return {"type": "FeatureCollection", "features": features}
