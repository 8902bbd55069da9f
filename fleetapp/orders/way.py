"""How far an order goes, worked out from its places for whatever writes them, and the vehicle it wants. Reads only."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.kit.errors import RuleBroken
from fleetapp.orders.rules import OrderKind, Stop
from fleetapp.places import areas
from fleetapp.vehicles import queries as vehicles


def measured(org: Organisation, stops: Sequence[Stop], *, round_trip: bool) -> dict[str, Any]:
    """Return ``area`` and ``route_m`` of a journey of a unit: estimates by hand-drawn outlines and main roads."""
    points = [(stop.lon, stop.lat) for stop in stops]
    return {"area": areas.area_of(org.adcode, points), "route_m": areas.journey_m(points, round_trip=round_trip)}


def wanted_vehicle(session: Session, *, kind: OrderKind, plate: str) -> int | None:
    """Return the vehicle that a service order is for, as far as row-level security shows it.

    :raises RuleBroken: ``orders.plate_for_service``, ``orders.plate_unknown``.
    """
    if not plate:
        return None
    if kind is not OrderKind.SERVICE:
        raise RuleBroken("orders.plate_for_service")
    found = vehicles.by_plate(session, plate=plate)
    if found is None:
        raise RuleBroken("orders.plate_unknown", plate=plate)
    return found.id
