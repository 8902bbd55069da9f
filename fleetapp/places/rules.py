"""Search keys of place names and sound parking polygons: values in, values or ``RuleBroken`` out."""

import math
import re
from collections.abc import Mapping
from typing import Any

from fleetapp.kit.errors import RuleBroken

METRES_PER_DEGREE = 111_195.0
"""Metres of one degree of latitude on a sphere of 6,371,008.8 m."""
LARGEST_SIDE_M = 2_000.0
"""A parking area wider than this is a mistake of the hand or of the datum."""
MOST_CORNERS = 200
CHINA = (73.0, 3.0, 136.0, 54.0)
"""West, south, east, north of everything inland: catches latitude and longitude given in the wrong order."""

ALIKE = 0.37
"""Share of letter triples that a misspelt name must have in common with a place."""
SHORTEST_ALIKE = 4
"""A shorter text is like too many."""

Ring = list[tuple[float, float]]


def search_key(syllables: list[str]) -> str:
    """Return the pinyin of a name as it is searched: all syllables joined, a blank, their initials; lower case."""
    words = [word for word in (re.sub(r"[^a-z0-9]", "", syllable.lower()) for syllable in syllables) if word]
    return f"{''.join(words)} {''.join(word[0] for word in words)}"


def sound(text: str) -> str:
    """Return a text as it sounds, in letters of pinyin without tones: Chinese typed by ear keeps its sound."""
    if text.isascii():
        return text.lower()
    # A late import: the pronunciation tables are large, and most searches find what they want without them.
    from pypinyin import lazy_pinyin

    return "".join(lazy_pinyin(text)).lower()


def like_parts(token: str) -> tuple[str, str, str]:
    """Return LIKE patterns of a search word: starts with, contains, has the letters in this order; escape is ``/``."""
    safe = [re.sub(r"([/%_])", r"/\1", char) for char in token.lower()]
    word = "".join(safe)
    return f"{word}%", f"%{word}%", f"%{'%'.join(safe)}%"


def inside_china(lon: float, lat: float) -> bool:
    """Tell whether WGS-84 degrees are plausible here."""
    west, south, east, north = CHINA
    return west <= lon <= east and south <= lat <= north


def _corner(given: Any) -> tuple[float, float]:
    lon, lat = (float(number) for number in given[:2])
    if not (math.isfinite(lon) and math.isfinite(lat) and inside_china(lon, lat)):
        raise RuleBroken("places.area_outside")
    return lon, lat


def ring_of(area: Mapping[str, Any]) -> Ring:
    """Return the closed outer ring of a GeoJSON polygon, WGS-84 ``(lon, lat)``.

    :raises RuleBroken: ``places.area_form`` when it is no plain polygon, ``places.area_outside`` for positions
        outside China or latitude first, ``places.area_large`` when wider than 2 km.
    """
    try:
        if area["type"] != "Polygon" or len(area["coordinates"]) != 1:
            raise RuleBroken("places.area_form")
        ring = [_corner(corner) for corner in area["coordinates"][0]]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RuleBroken("places.area_form") from error
    if ring and ring[0] != ring[-1]:
        ring.append(ring[0])
    if not 4 <= len(ring) <= MOST_CORNERS or len(set(ring)) < 3:
        raise RuleBroken("places.area_form")
    lons, lats = [lon for lon, _ in ring], [lat for _, lat in ring]
    height_m = (max(lats) - min(lats)) * METRES_PER_DEGREE
    width_m = (max(lons) - min(lons)) * METRES_PER_DEGREE * math.cos(math.radians(lats[0]))
    if max(height_m, width_m) > LARGEST_SIDE_M:
        raise RuleBroken("places.area_large", most_m=round(LARGEST_SIDE_M))
    return ring


def area_of_corners(text: str) -> dict[str, Any]:
    """Return the GeoJSON polygon of corners as people write them: one ``latitude, longitude`` a line.

    :raises RuleBroken: ``places.corners``, naming the first line that is not two numbers.
    """
    ring = []
    for number, line in enumerate(filter(str.strip, text.splitlines()), start=1):
        try:
            lat, lon = (float(word) for word in re.split(r"[,，\s]+", line.strip()))
        except ValueError:
            raise RuleBroken("places.corners", line=number) from None
        ring.append([lon, lat])
    return {"type": "Polygon", "coordinates": [ring]}
