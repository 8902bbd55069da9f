"""Real places of Hangzhou as plain values."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from fleetapp.places.roads import METRES_PER_DEGREE

PLACES_FILE = Path(__file__).parents[2] / "config" / "places" / "hangzhou.csv"
DISTRICTS = {
    "330102": ("上城区", "Shangcheng", "shangcheng"),
    "330105": ("拱墅区", "Gongshu", "gongshu"),
    "330106": ("西湖区", "Xihu", "xihu"),
    "330108": ("滨江区", "Binjiang", "binjiang"),
    "330109": ("萧山区", "Xiaoshan", "xiaoshan"),
    "330110": ("余杭区", "Yuhang", "yuhang"),
    "330111": ("富阳区", "Fuyang", "fuyang"),
    "330112": ("临安区", "Lin'an", "linan"),
    "330113": ("临平区", "Linping", "linping"),
    "330114": ("钱塘区", "Qiantang", "qiantang"),
    "330122": ("桐庐县", "Tonglu", "tonglu"),
    "330127": ("淳安县", "Chun'an", "chunan"),
    "330182": ("建德市", "Jiande", "jiande"),
}
"""GB/T 2260 code -> Chinese name, English name, slug. The 13 divisions since April 2021."""

SEATS = {
    "330102": "上城区人民政府(庆春东路)",
    "330105": "拱墅区人民政府",
    "330106": "西湖区人民政府",
    "330108": "滨江区人民政府",
    "330109": "萧山区人民政府",
    "330110": "余杭区人民政府",
    "330111": "富阳区人民政府",
    "330112": "临安区人民政府",
    "330113": "临平区人民政府",
    "330114": "钱塘区人民政府",
    "330122": "桐庐县人民政府",
    "330127": "淳安县人民政府",
    "330182": "建德市人民政府",
}
CITY_SEAT = "杭州市民中心(杭州市人民政府)"


@dataclass(frozen=True, slots=True)
class Point:
    """A named WGS-84 point; ``tolerance_m`` is how near a stay must be to count as being there."""

    name: str
    name_en: str
    lon: float
    lat: float
    tolerance_m: int = 200

    @property
    def lonlat(self) -> tuple[float, float]:
        return (self.lon, self.lat)


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """One row of ``config/places/hangzhou.csv`` or a synthetic service point; ``category`` as in its README."""

    point: Point
    category: str
    adcode: str
    accuracy_m: int
    source: str


def load_places(path: Path = PLACES_FILE) -> tuple[KnownPlace, ...]:
    """Read the gazetteer; the tolerance of a place is its accuracy, at least 200 m.

    Raises ``ValueError`` that names the line when a field is missing or not a number.
    """
    places = []
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                accuracy_m = int(row["accuracy_m"])
                point = Point(
                    row["name"], row["name_en"], float(row["lon"]), float(row["lat"]), max(200, min(accuracy_m, 2000))
                )
                places.append(KnownPlace(point, row["category"], row["adcode"], accuracy_m, row["source"]))
            except (KeyError, TypeError, ValueError) as error:
                message = (
                    f"{path.name} line {number}: {error!r}. Correct this row; the README beside it lists the fields."
                )
                raise ValueError(message) from error
    return tuple(places)


def shifted(lonlat: tuple[float, float], *, east_m: float, north_m: float) -> tuple[float, float]:
    """Move a (lon, lat) point by metres, rounded to 1e-6 degree."""
    lon = lonlat[0] + east_m / (METRES_PER_DEGREE * math.cos(math.radians(lonlat[1])))
    return (round(lon, 6), round(lonlat[1] + north_m / METRES_PER_DEGREE, 6))
