"""The days of the past that studies plan anew: which orders wanted a vehicle, from where the vehicles go, who they belong to."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as orders
from fleetapp.orders.models import OrderEvent, TravelOrder
from fleetapp.orders.rules import ASSIGNED, DRIVEN, OrderAction, OrderKind, OrderState
from fleetapp.planning import queries as planning
from fleetapp.planning.lending import Lending
from fleetapp.planning.rules import OUT
from fleetapp.planning.scene import Scene, centre
from fleetapp.sharing.queries import Terms
from fleetapp.sharing.rules import pool_of
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState

WANTED = ASSIGNED | OUT | DRIVEN | {OrderState.OUTSOURCED, OrderState.APPROVED}
LEFT_OUT = (OrderKind.CONFIDENTIAL, OrderKind.SERVICE)
"""Confidential orders are for the few who may read them, service orders follow the vehicle and not the other way round."""
FLEET = (VehicleState.IN_SERVICE, VehicleState.MAINTENANCE, VehicleState.SEALED)


@dataclass(frozen=True, slots=True)
class History:
    """The sampled days with their scenes, the pool (tree path) of every order and vehicle, and how much was left out."""

    days: tuple[date, ...]
    scenes: tuple[Scene, ...]
    pools: dict[str, Organisation]
    pool_of_order: dict[int, str]
    pool_of_vehicle: dict[int, str]
    candidates: int


def read(
    session: Session,
    *,
    org: Organisation,
    start_on: date,
    end_on: date,
    days: int,
    seed: int,
    actor: Actor,
    now: datetime,
) -> History:
    """Return a sample of the days with orders from ``start_on`` to ``end_on``, both included, the same for the same seed.

    :raises RuleBroken: ``lab.no_history`` where nothing was driven, ``lab.no_vehicles`` where there is no fleet.
    """
    lapsed = (
        select(OrderEvent.id)
        .where(OrderEvent.order_id == TravelOrder.id, OrderEvent.action == OrderAction.LAPSE, OrderEvent.from_state == OrderState.APPROVED)
        .exists()
    )  # fmt: skip
    rows = (
        orders.filtered(orders.visible_to(actor), start=clock.start_of(start_on), end=clock.start_of(end_on + timedelta(days=1)))
        .join(Organisation, Organisation.id == TravelOrder.org_id)
        .where(
            Organisation.path.startswith(org.path, autoescape=True), TravelOrder.kind.not_in(LEFT_OUT),
            or_(TravelOrder.state.in_(WANTED), lapsed),
        )
    )  # fmt: skip
    every = rows.order_by(None).with_only_columns(TravelOrder.start_at)
    known = sorted({clock.local_date(start_at) for (start_at,) in session.execute(every)})
    if not known:
        raise RuleBroken("lab.no_history")
    chosen = tuple(sorted(random.Random(seed).sample(known, min(days, len(known)))))
    cars = session.scalars(
        vehicles.visible_to(actor).where(
            Organisation.path.startswith(org.path, autoescape=True), Vehicle.state.in_(FLEET)
        )
    ).all()
    if not cars:
        raise RuleBroken("lab.no_vehicles")
    districts = [district.path for district in accounts.list_districts(session)]
    scenes: list[Scene] = []
    pool_of_order: dict[int, str] = {}
    for on in chosen:
        start, end = clock.day_span(on)
        found = session.scalars(rows.where(TravelOrder.start_at >= start, TravelOrder.start_at < end)).unique().all()
        found = sorted(found, key=lambda order: (order.start_at, order.id))
        pool_of_order |= {order.id: pool_of(order.org.path, districts) for order in found}
        scenes.append(_scene(session, cars, found, Span(start, end), org=org, districts=districts, now=now))
    pool_of_vehicle = {car.id: pool_of(car.org.path, districts) for car in cars}
    paths = {*pool_of_order.values(), *pool_of_vehicle.values()}
    pools = {one.path: one for one in session.scalars(select(Organisation).where(Organisation.path.in_(paths)))}
    return History(chosen, tuple(scenes), pools, pool_of_order, pool_of_vehicle, len(known))


def _scene(
    session: Session, cars: Sequence[Vehicle], found: Sequence[TravelOrder], window: Span, *, org: Organisation, districts: Sequence[str],
    now: datetime,
) -> Scene:  # fmt: skip
    """Return a day as if nothing had been assigned yet: all vehicles stand ready, drivers are not looked at."""
    figures = planning.figures(session, now=now, org_path=org.path)
    yards = {
        org_id: centre(area) for org_id, area in planning.parking_of(session, {car.org_id for car in cars}).items()
    }
    return Scene(
        window=window, orders=found, vehicles=cars, drivers=(), figures=figures, yards=yards,
        lending=Lending(Terms(districts=districts), figures, now), busy_vehicles={}, busy_drivers={},
    )  # fmt: skip
