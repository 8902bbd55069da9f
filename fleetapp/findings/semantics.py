"""Which places a position may belong to, and how sure that is (rule catalogue, primitive P10). WGS-84 degrees, metres."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from fleetapp.findings.known import Poi
from fleetapp.places.roads import METRES_PER_DEGREE

WITHIN_M = 80.0
"""All places within this distance are told: ambiguity is shown, not hidden."""
NEAR_M = 20.0
"""Two places this near count alike, whichever is a few metres nearer."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place of the gazetteer with its class."""

    name: str
    kind: str
    lat: float
    lon: float


class Sites:
    """The gazetteer, ready to be asked many times."""

    def __init__(self, sites: Sequence[Site]) -> None:
        """Take every place; around one latitude a local plane serves."""
        self._sites = tuple(sites)
        self._scale = math.cos(math.radians(float(np.mean([site.lat for site in sites])))) if sites else 1.0
        self._tree = shapely.STRtree(
            [
                shapely.Point(site.lon * self._scale * METRES_PER_DEGREE, site.lat * METRES_PER_DEGREE)
                for site in self._sites
            ]
        )

    def around(self, lat: float, lon: float, within_m: float = WITHIN_M) -> tuple[Poi, ...]:
        """Return all places within reach, the surest first.

        A place's weight falls with its distance; its confidence is its share of the weights of all classes there (places of
        one class do not contradict each other), less the farther it is.
        """
        here = shapely.Point(lon * self._scale * METRES_PER_DEGREE, lat * METRES_PER_DEGREE)
        near = [self._sites[index] for index in self._tree.query(here, predicate="dwithin", distance=within_m)]
        away = {site: _distance_m(lat, lon, site) for site in near}
        weight = {site: 1 / (NEAR_M + metres) for site, metres in away.items()}
        total: dict[str, float] = {}
        for site, share in weight.items():
            total[site.kind] = max(total.get(site.kind, 0.0), share)
        everything = sum(total.values())
        found = [
            Poi(
                site.name,
                site.kind,
                away[site],
                round(weight[site] / everything * (1 - away[site] / (4 * within_m)), 4),
            )
            for site in near
        ]
        return tuple(sorted(found, key=lambda poi: (-poi.confidence, poi.name)))


def _distance_m(lat: float, lon: float, site: Site) -> float:
    scale = math.cos(math.radians((lat + site.lat) / 2))
    return math.hypot((lon - site.lon) * scale, lat - site.lat) * METRES_PER_DEGREE
