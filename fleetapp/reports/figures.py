"""Numbers of the first screen. Each is counted by the query of the list that it leads to, so the two always agree."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Date, Select, cast, func
from sqlalchemy.orm import Session

from fleetapp.confirmations import queries as confirmations
from fleetapp.duty import queries as duties
from fleetapp.findings import queries as findings
from fleetapp.findings.models import Finding
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.paging import paginate
from fleetapp.orders import queries as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderState
from fleetapp.planning.models import Assignment
from fleetapp.reports.rules import CHART_DAYS
from fleetapp.tracking import queries as tracking
from fleetapp.tracking.rules import LiveState
from fleetapp.trips import queries as trips
from fleetapp.trips.models import Trip
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import NEV

QUEUE_ROWS = 6


@dataclass(frozen=True, slots=True)
class DayCount:
    """Orders that start and metres driven by trips that start on a local day; None where the actor may not read them."""

    on: date
    orders: int | None
    distance_m: float | None


MOST_ENDS = 3
"""So many journeys to confirm are named on the first screen."""


def summary(session: Session, *, actor: Actor, now: datetime) -> dict[str, float]:
    """Return the numbers open to the actor by code; a share is between 0 and 1, distances are metres.

    ``vehicles_in_service`` and ``nev_share`` of them, ``vehicles_moving``, ``orders_today`` by start, ``to_decide`` by
    the actor personally, ``to_approve``, ``to_dispatch``, ``under_way``, ``trips_today`` by start and their
    ``distance_today_m``, ``clues_open``.
    """
    found: dict[str, float] = {}
    start, end = clock.day_span(clock.local_date(now))
    if permits.may("vehicles.read", actor):
        by_energy = _count(session, vehicles.in_service(actor), Vehicle.energy)
        found["vehicles_in_service"] = total = sum(by_energy.values())
        if total:
            found["nev_share"] = sum(by_energy.get(energy.value, 0) for energy in NEV) / total
    if permits.may("tracking.live", actor):
        live = tracking.live(session, actor=actor, now=now)
        found["vehicles_moving"] = sum(vehicle.state is LiveState.MOVING for vehicle in live)
    if permits.may("orders.read", actor):
        rows = orders.visible_to(actor)
        groups = orders.count_by_group(session, rows)
        found["orders_today"] = orders.count_by_group(session, orders.filtered(rows, start=start, end=end))["all"]
        found |= {name: groups[name] for name in ("to_approve", "to_dispatch", "under_way")}
    if permits.may("orders.approve", actor):
        found["to_decide"] = orders.count_by_group(session, orders.inbox(actor, at=now))["all"]
    if permits.may("trips.read", actor):
        today = _driven(session, actor, start, end).get(clock.local_date(now), (0, 0.0))
        found["trips_today"], found["distance_today_m"] = today
    if permits.may("findings.read", actor):
        found["clues_open"] = findings.count_open(session, actor=actor)
    return found


def _count(session: Session, rows: Select[Any], column: Any) -> dict[str, int]:
    grouped = rows.order_by(None).with_only_columns(column, func.count()).group_by(column)
    return {str(value): int(number) for value, number in session.execute(grouped)}


def _local_day(at: Any) -> ColumnElement[date]:
    return cast(func.timezone(clock.OFFICE_ZONE.key, at), Date)


def _driven(session: Session, actor: Actor, start: datetime, end: datetime) -> dict[date, tuple[int, float]]:
    """Return how many trips start on each local day and the metres of them."""
    on = _local_day(Trip.start_at)
    rows = trips.filtered(trips.visible_to(actor), start=start, end=end).order_by(None)
    grouped = rows.with_only_columns(on, func.count(), func.sum(Trip.best_m)).group_by(on)
    return {day: (int(number), float(metres)) for day, number, metres in session.execute(grouped)}


def last_days(session: Session, *, actor: Actor, now: datetime, days: int = CHART_DAYS) -> list[DayCount]:
    """Return the counts of the last days, today last."""
    today = clock.local_date(now)
    first = today - timedelta(days=days - 1)
    start, end = clock.start_of(first), clock.start_of(today + timedelta(days=1))
    started: dict[date, int] | None = None
    driven: dict[date, tuple[int, float]] | None = None
    if permits.may("orders.read", actor):
        on = _local_day(TravelOrder.start_at)
        rows = orders.filtered(orders.visible_to(actor), start=start, end=end).order_by(None)
        grouped = rows.with_only_columns(on, func.count()).group_by(on)
        started = {day: int(number) for day, number in session.execute(grouped)}
    if permits.may("trips.read", actor):
        driven = _driven(session, actor, start, end)
    return [
        DayCount(
            on,
            None if started is None else started.get(on, 0),
            None if driven is None else driven.get(on, (0, 0.0))[1],
        )
        for on in (first + timedelta(days=number) for number in range(days))
    ]


def queue(session: Session, *, actor: Actor, now: datetime) -> tuple[str, Sequence[TravelOrder]]:
    """Return what the person is waited for, or waits for: the kind of queue and its first orders.

    An approver's inbox, else a dispatcher's orders without a vehicle, else the actor's own or visible journeys ahead.
    """
    if permits.may("orders.approve", actor):
        asked = session.scalars(orders.inbox(actor, at=now).limit(QUEUE_ROWS)).all()
        if asked or actor.has(Role.APPROVER):
            return "to_decide", asked
    ahead = orders.visible_to(actor).order_by(None).order_by(TravelOrder.start_at, TravelOrder.id)
    if permits.may("planning.assign", actor):
        waiting = ahead.where(TravelOrder.state == OrderState.APPROVED, TravelOrder.end_at > now)
        return "to_dispatch", session.scalars(waiting.limit(QUEUE_ROWS)).all()
    if permits.may("orders.create", actor):
        return "mine", session.scalars(orders.visible_to(actor).limit(QUEUE_ROWS)).all()
    under_way = orders.filtered(ahead, group="under_way").where(TravelOrder.end_at > now)
    return "ahead", session.scalars(under_way.limit(QUEUE_ROWS)).all()


@dataclass(frozen=True, slots=True)
class EndsHere:
    """Journeys that wait for this person at their end, the first of each, with how many there are."""

    to_confirm: Sequence[TravelOrder]
    to_confirm_number: int
    to_rate: Sequence[TravelOrder]
    objected_number: int


def ends(session: Session, *, actor: Actor, now: datetime) -> EndsHere:
    """Return what the person still has to confirm, rate or answer."""
    waiting = (
        session.scalars(confirmations.to_confirm(actor, now=now)).all()
        if permits.may("confirmations.confirm", actor)
        else []
    )
    ratable = confirmations.to_rate(session, actor=actor, now=now) if permits.may("confirmations.rate", actor) else []
    objected = 0
    if permits.may("confirmations.answer", actor):
        objected = paginate(session, confirmations.listed(actor, "objected"), size=1).total
    return EndsHere(waiting[:MOST_ENDS], len(waiting), ratable, objected)


def open_duties(session: Session, *, actor: Actor, now: datetime) -> Sequence[Assignment]:
    """Return the driver's own duties of today and tomorrow."""
    start, end = clock.day_span(clock.local_date(now))
    rows = duties.between(duties.visible_to(actor), start=start, end=end + timedelta(days=1))
    return session.scalars(rows.limit(QUEUE_ROWS)).all()


def latest_clues(session: Session, *, actor: Actor) -> Sequence[Finding]:
    """Return the newest clues that wait for a person."""
    return session.scalars(findings.filtered(findings.visible_to(actor), group="open").limit(QUEUE_ROWS)).all()
