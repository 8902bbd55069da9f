"""What holds vehicles over a span, as plain values: a board of days has thousands of journeys and is asked for every few seconds."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.drivers.models import Driver
from fleetapp.kit.actor import Actor
from fleetapp.kit.columns import among
from fleetapp.kit.spans import Span
from fleetapp.orders.models import OrderStop, TravelOrder
from fleetapp.planning import queries as planning
from fleetapp.planning.models import Assignment
from fleetapp.vehicles.models import Vehicle

Stop = tuple[float, float, str]
"""Longitude, latitude (WGS-84 degrees) and name."""


class Held(NamedTuple):
    """An active assignment with what the board says of its order, vehicle and driver; ``unit`` is the order's."""

    id: int
    pool_key: int
    vehicle_id: int
    driver_id: int
    held_start: datetime | None
    held_end: datetime | None
    assigned_at: datetime
    is_locked: bool
    order_id: int
    number: str
    state: str
    kind: str
    purpose: str
    passenger_count: int
    body: str
    start_at: datetime
    end_at: datetime
    approved_at: datetime | None
    unit_path: str
    unit_zh: str
    unit_en: str
    plate: str
    vehicle_state: str
    holder_path: str
    driver_zh: str
    driver_en: str


def held(session: Session, *, span: Span, actor: Actor) -> list[Held]:
    """Return what holds a vehicle within reach, or serves an order within reach, at any time of a span, by start."""
    unit, holder = aliased(Organisation), aliased(Organisation)
    query = (
        planning.between(planning.visible_to(actor), span)
        .join(unit, unit.id == TravelOrder.org_id)
        .join(Vehicle, Vehicle.id == Assignment.vehicle_id)
        .join(holder, holder.id == Vehicle.org_id)
        .join(Driver, Driver.id == Assignment.driver_id)
        .join(UserAccount, UserAccount.id == Driver.user_id)
        .with_only_columns(
            Assignment.id, Assignment.pool_key, Assignment.vehicle_id, Assignment.driver_id, func.lower(Assignment.during),
            func.upper(Assignment.during), Assignment.assigned_at, Assignment.locked_at.is_not(None), TravelOrder.id, TravelOrder.number,
            TravelOrder.state, TravelOrder.kind, TravelOrder.purpose, TravelOrder.passenger_count, TravelOrder.body, TravelOrder.start_at,
            TravelOrder.end_at, TravelOrder.approved_at, unit.path, unit.name_zh, unit.name_en, Vehicle.plate, Vehicle.state, holder.path,
            UserAccount.name_zh, UserAccount.name_en,
        )
    )  # fmt: skip
    return [Held(*row) for row in session.execute(query)]


def stops(session: Session, *, order_ids: Collection[int]) -> dict[int, list[Stop]]:
    """Return the stops of orders as they stand, in their turn, by order id."""
    query = (
        select(OrderStop.order_id, OrderStop.lon, OrderStop.lat, OrderStop.name)
        .where(among(OrderStop.order_id, order_ids), OrderStop.ended_at.is_(None))
        .order_by(OrderStop.order_id, OrderStop.position)
    )
    found: dict[int, list[Stop]] = {}
    for order_id, lon, lat, name in session.execute(query):
        found.setdefault(order_id, []).append((lon, lat, name))
    return found
