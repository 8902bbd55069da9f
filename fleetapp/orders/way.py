"""How far an order goes, worked out from its places for whatever writes them. Reads only."""

from collections.abc import Sequence
from typing import Any

from fleetapp.accounts.models import Organisation
from fleetapp.orders.rules import Stop
from fleetapp.places import areas


def measured(org: Organisation, stops: Sequence[Stop], *, round_trip: bool) -> dict[str, Any]:
    """Return ``area`` and ``route_m`` of a journey of a unit: estimates by hand-drawn outlines and main roads."""
    points = [(stop.lon, stop.lat) for stop in stops]
    return {"area": areas.area_of(org.adcode, points), "route_m": areas.journey_m(points, round_trip=round_trip)}
