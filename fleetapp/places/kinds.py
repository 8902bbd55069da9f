"""What a place is for, by its category in the gazetteer: the classes that rules about stays know (rule catalogue, P10)."""

from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """Classes of places."""

    RESIDENTIAL = "residential"
    SCHOOL = "school"
    SCENIC = "scenic"
    MALL = "mall"
    HOTEL = "hotel"
    ENTERTAINMENT = "entertainment"
    HOSPITAL = "hospital"
    STATION = "station"
    GOVERNMENT = "government"
    ENERGY = "energy"
    REPAIR = "repair"
    TOLL = "toll"
    FUNERAL = "funeral"
    OTHER = "other"


KIND_OF: Mapping[str, Kind] = {
    **dict.fromkeys(
        ("gov_province", "gov_city", "gov_district", "gov_county", "office", "court", "police"), Kind.GOVERNMENT
    ),
    **dict.fromkeys(("rail", "airport", "bus"), Kind.STATION),
    **dict.fromkeys(("fuel", "charging"), Kind.ENERGY),
    **dict.fromkeys(("repair", "dealer", "wash"), Kind.REPAIR),
    **dict.fromkeys(("restaurant", "hotel", "banquet"), Kind.HOTEL),
    **dict.fromkeys(("karaoke", "bath", "entertainment"), Kind.ENTERTAINMENT),
    **dict.fromkeys(("park", "scenic"), Kind.SCENIC),
    **dict.fromkeys(("school", "training"), Kind.SCHOOL),
    **dict.fromkeys(("mall", "supermarket"), Kind.MALL),
    "hospital": Kind.HOSPITAL,
    "residential": Kind.RESIDENTIAL,
    "toll": Kind.TOLL,
    "funeral": Kind.FUNERAL,
}
"""Class of each category; one that is not named is ``other``: it explains no stay and makes none suspicious."""


def kind_of(category: str) -> Kind:
    """Return the class of a gazetteer category."""
    return KIND_OF.get(category, Kind.OTHER)
