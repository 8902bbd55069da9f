"""The rows that figures count. Every statement has the same columns, so that one sum and one list serve all of them.

``id`` names the row, ``org_id`` its organisation, ``label`` is what people call it, ``note`` a code or a word about it,
``at`` when it was or began, ``amount`` what it adds to the figure: 1 where rows are counted.
"""

from collections.abc import Collection
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Numeric,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from fleetapp.accounts.models import Organisation
from fleetapp.acquisitions import queries as acquisitions
from fleetapp.acquisitions.models import QuotaEntry
from fleetapp.costs import queries as costs
from fleetapp.dashboard.scope import Scope
from fleetapp.findings.models import Finding
from fleetapp.findings.workflow import GROUPS as CLUE_GROUPS
from fleetapp.kit import clock
from fleetapp.orders import queries as orders
from fleetapp.orders.models import OrderEvent, TravelOrder
from fleetapp.orders.rules import DRIVEN, OrderAction, OrderState
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.planning.rules import OUT
from fleetapp.policies import queries as policies
from fleetapp.reserves import queries as reserves
from fleetapp.reserves.queries import Reserve
from fleetapp.reserves.rules import Standing
from fleetapp.sharing.models import Fallback
from fleetapp.tracking import bridge as tracking_bridge
from fleetapp.tracking import condition, health
from fleetapp.tracking import queries as tracking
from fleetapp.tracking.condition import Fault
from fleetapp.tracking.health import Bounds
from fleetapp.tracking.rules import LiveState
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import NEV, PURCHASE_COSTS, ManagementMode, Secrecy, VehicleState

Rows = Select[Any]


class Row(NamedTuple):
    """A row of a figure that no single statement counts."""

    id: int
    org_id: int
    label: str
    note: str
    at: datetime | None
    amount: Decimal


MOVED = OUT | DRIVEN
SERVED = frozenset({OrderState.DISPATCHED, OrderState.DRIVER_ACCEPTED, *MOVED})
"""Orders that have an official vehicle, or had one."""
ANY_BODY = "any"


def _columns(
    row_id: Any, org_id: Any, label: Any, *, note: Any = None, at: Any = None, amount: Any = None
) -> tuple[Any, ...]:
    return (
        row_id.label("id"), org_id.label("org_id"), label.label("label"), (null() if note is None else note).label("note"),
        (null() if at is None else at).label("at"), (literal(1) if amount is None else amount).label("amount"),
    )  # fmt: skip


# ---- vehicles -----------------------------------------------------------------------------------------------------------


def _vehicles(scope: Scope, note: Any = None) -> Rows:
    return (
        select(*_columns(Vehicle.id, Vehicle.org_id, Vehicle.plate, note=Vehicle.state if note is None else note))
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .where(scope.holds(), Vehicle.state != VehicleState.RETIRED)
        .order_by(Vehicle.plate, Vehicle.id)
    )


def quota(_session: Session, scope: Scope) -> Rows:
    """Return the entries of the quota in effect; they add up to the vehicles authorised."""
    return (
        select(
            *_columns(
                QuotaEntry.id,
                QuotaEntry.org_id,
                QuotaEntry.document_no,
                note=QuotaEntry.category,
                amount=QuotaEntry.delta,
            )
        )
        .join(Organisation, Organisation.id == QuotaEntry.org_id)
        .where(scope.holds(), QuotaEntry.effective_on <= scope.today)
        .order_by(QuotaEntry.effective_on.desc(), QuotaEntry.id.desc())
    )


def stock(_session: Session, scope: Scope) -> Rows:
    """Return the vehicles that take a place of the quota: not retired, not rented."""
    return _vehicles(scope).where(Vehicle.management_mode != ManagementMode.RENTED)


def counted(_session: Session, scope: Scope) -> Rows:
    """Return the vehicles that the share of new energy is of: neither rented nor secret."""
    return _vehicles(scope, Vehicle.energy).where(
        Vehicle.management_mode != ManagementMode.RENTED, Vehicle.secrecy != Secrecy.SECRET
    )


def nev(session: Session, scope: Scope) -> Rows:
    """Return those of them with new energy."""
    return counted(session, scope).where(Vehicle.energy.in_([energy.value for energy in NEV]))


def _positions(session: Session, scope: Scope) -> dict[int, LiveState]:
    if "positions" not in scope.known:
        scope.known["positions"] = tracking.states(session, now=scope.now)
    found: dict[int, LiveState] = scope.known["positions"]
    return found


def _any(ids: Collection[int]) -> ColumnElement[bool]:
    return Vehicle.id == func.any(cast(list(ids), ARRAY(BigInteger)))


LIVE = ("on_road", "idle", "offline", "sealed", "repair", "other", "undisclosed")
"""Where every vehicle is, each in exactly one."""


def live(session: Session, scope: Scope, which: str = "") -> Rows:
    """Return the vehicles by their state of the moment, or those in one.

    Out of service first (sealed, in repair, otherwise not available), then what may not be shown of restricted and secret
    ones, then on the road (moving, or checked out and not back), silent terminals, and the rest, which stand ready.
    """
    positions = _positions(session, scope)
    moving = _any([key for key, state in positions.items() if state is LiveState.MOVING])
    heard = _any([key for key, state in positions.items() if state is not LiveState.OFFLINE])
    out = (
        select(Assignment.id).join(TravelOrder, TravelOrder.id == Assignment.order_id)
        .where(Assignment.vehicle_id == Vehicle.id, Assignment.state == AssignmentState.ACTIVE, TravelOrder.state.in_(OUT)).exists()
    )  # fmt: skip
    where = case(
        (Vehicle.state == VehicleState.SEALED, "sealed"),
        (Vehicle.state == VehicleState.MAINTENANCE, "repair"),
        (Vehicle.state != VehicleState.IN_SERVICE, "other"),
        (Vehicle.secrecy != Secrecy.NORMAL, "undisclosed"),
        (or_(moving, out), "on_road"),
        (heard, "idle"),
        else_="offline",
    )
    rows = _vehicles(scope, where)
    return rows.where(where == which) if which else rows


# ---- orders ---------------------------------------------------------------------------------------------------------------


def _today(scope: Scope) -> Rows:
    start, end = clock.day_span(scope.today)
    rows = orders.filtered(orders.visible_to(scope.actor), start=start, end=end).order_by(None)
    return (
        rows.with_only_columns(*_columns(TravelOrder.id, TravelOrder.org_id, TravelOrder.number, note=TravelOrder.state, at=TravelOrder.start_at))
        .join(Organisation, Organisation.id == TravelOrder.org_id)
        .where(scope.holds())
        .order_by(TravelOrder.start_at, TravelOrder.id)
    )  # fmt: skip


def orders_today(_session: Session, scope: Scope) -> Rows:
    """Return the orders that begin today."""
    return _today(scope)


def orders_in(scope: Scope, states: Collection[str]) -> Rows:
    """Return those of them in some states."""
    return _today(scope).where(TravelOrder.state.in_(states))


def orders_missed(_session: Session, scope: Scope) -> Rows:
    """Return approved orders of today without an official vehicle: still waiting after their start, lapsed, served otherwise."""
    lapsed = (
        select(OrderEvent.id)
        .where(OrderEvent.order_id == TravelOrder.id, OrderEvent.action == OrderAction.LAPSE, OrderEvent.from_state == OrderState.APPROVED)
        .exists()
    )  # fmt: skip
    elsewhere = select(Fallback.id).where(Fallback.order_id == TravelOrder.id).exists()
    late = and_(TravelOrder.state == OrderState.APPROVED, TravelOrder.start_at <= scope.now)
    return _today(scope).where(TravelOrder.state.not_in(SERVED), or_(late, lapsed, elsewhere))


# ---- sharing ----------------------------------------------------------------------------------------------------------------


def _driven(scope: Scope, since: date) -> Rows:
    """Return this year's journeys that are over, of the units of the scope."""
    return (
        select(*_columns(TravelOrder.id, Assignment.order_org_id, TravelOrder.number, note=Vehicle.plate, at=TravelOrder.start_at))
        .join(TravelOrder, TravelOrder.id == Assignment.order_id)
        .join(Vehicle, Vehicle.id == Assignment.vehicle_id)
        .join(Organisation, Organisation.id == Assignment.order_org_id)
        .where(scope.holds(), Assignment.state == AssignmentState.ACTIVE, TravelOrder.state.in_(DRIVEN),
               TravelOrder.start_at >= clock.start_of(since), TravelOrder.start_at <= scope.now)
        .order_by(TravelOrder.start_at.desc(), Assignment.id.desc())
    )  # fmt: skip


def year_start(scope: Scope) -> date:
    """Return the first day of the running year."""
    return scope.today.replace(month=1, day=1)


def shared(_session: Session, scope: Scope) -> Rows:
    """Return this year's journeys in another unit's vehicle."""
    return _driven(scope, year_start(scope)).where(Assignment.org_id != Assignment.order_org_id)


def shared_rental(session: Session, scope: Scope) -> Rows:
    """Return them with what renting would have cost: today's reference price for every day begun, CNY."""
    price = policies.value(session, "rental.sedan_day_cny", scope.today, scope.org.path)
    seconds = func.extract("epoch", TravelOrder.end_at - TravelOrder.start_at)
    cost = func.greatest(1, func.ceil(seconds / 86_400)) * literal(price, Numeric(12, 2))
    return _weighed(shared(session, scope), cast(cost, Numeric(14, 2)))


def pooled(_session: Session, scope: Scope) -> Rows:
    """Return this year's orders that shared a vehicle with others."""
    other = aliased(Assignment)
    together = select(other.id).where(
        other.pool_key == Assignment.pool_key, other.id != Assignment.id, other.state == AssignmentState.ACTIVE
    )
    return _driven(scope, year_start(scope)).where(together.exists())


def pooled_km(session: Session, scope: Scope) -> Rows:
    """Return them with the kilometres spared at most: all but the longest way of each journey count."""
    others, told = aliased(Assignment), aliased(TravelOrder)
    longest = (
        select(others.id).join(told, told.id == others.order_id)
        .where(others.pool_key == Assignment.pool_key, others.state == AssignmentState.ACTIVE)
        .order_by(told.route_m.desc().nulls_last(), others.id).limit(1).scalar_subquery()
    )  # fmt: skip
    spared = case((Assignment.id == longest, 0), else_=func.coalesce(TravelOrder.route_m, 0)) / literal(1000, Numeric)
    return _weighed(pooled(session, scope), cast(spared, Numeric(14, 1)))


def _weighed(rows: Rows, amount: Any) -> Rows:
    of_journey = _columns(
        TravelOrder.id,
        Assignment.order_org_id,
        TravelOrder.number,
        note=Vehicle.plate,
        at=TravelOrder.start_at,
        amount=amount,
    )
    return rows.with_only_columns(*of_journey)


# ---- clues and terminals: sums for leaders, rows for whoever works on them ---------------------------------------------------


def clues(scope: Scope, severity: str) -> Rows:
    """Return the clues of a colour that wait for an explanation or a review."""
    return (
        select(*_columns(Finding.id, Finding.org_id, Finding.number, note=Finding.rule, at=Finding.start_at))
        .join(Organisation, Organisation.id == Finding.org_id)
        .where(scope.holds(), Finding.state.in_(CLUE_GROUPS["open"]), Finding.severity == severity)
        .order_by(Finding.start_at.desc(), Finding.id.desc())
    )


def terminals(session: Session, scope: Scope, which: str = "") -> Rows:
    """Return the terminals fitted now; ``which`` keeps those online or with one fault."""
    if "bounds" not in scope.known:
        scope.known["bounds"] = health.bounds(session, now=scope.now)
    limits: Bounds = scope.known["bounds"]
    if "sums" not in scope.known:
        # The same for every figure, so that it is reckoned once.
        scope.known["sums"] = tracking_bridge.summed(now=scope.now)
    device, sums = tracking_bridge.device(), scope.known["sums"]
    silent = or_(device.c.last_seen_at.is_(None), device.c.last_seen_at < scope.now - limits.offline_after)
    query = (
        select(
            *_columns(
                cast(device.c.terminal_id, BigInteger),
                Vehicle.org_id,
                Vehicle.plate,
                note=device.c.phone,
                at=device.c.last_seen_at,
            )
        )
        .select_from(TerminalBinding)
        .join(device, device.c.terminal_id == TerminalBinding.terminal_id)
        .join(Vehicle, Vehicle.id == TerminalBinding.vehicle_id)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .where(
            scope.holds(), TerminalBinding.during.contains(literal(scope.now)), Vehicle.state != VehicleState.RETIRED
        )
        .order_by(Vehicle.plate, device.c.terminal_id)
    )
    if which in {Fault.CLOCK, Fault.ALARM}:
        query = query.outerjoin(sums, sums.c.terminal_id == TerminalBinding.terminal_id)
    wanted: dict[str, ColumnElement[bool]] = {
        "online": ~silent,
        Fault.OFFLINE: silent,
        Fault.CLOCK: func.abs(sums.c.delay_ms) > int(limits.clock.total_seconds() * 1000),
        Fault.ALARM: sums.c.alarms.op("&")(condition.DEVICE_ALARMS) != 0,
    }
    return query.where(wanted[which]) if which else query


# ---- figures that functions of the database or of other slices count ---------------------------------------------------------


def over_quota(session: Session, scope: Scope) -> list[Row]:
    """Return the units and classes with more vehicles than authorised, and by how many."""
    found = acquisitions.matrix(session, actor=scope.actor, on=scope.today)
    return [
        Row(org.id, org.id, org.code, category, None, Decimal(-one.free))
        for org, row in found.items() if scope.covers(org.path) for category, one in row.items() if one.free < 0
    ]  # fmt: skip


def reserve(session: Session, scope: Scope) -> list[Reserve]:
    """Return the reserves of the scope as they stand now."""
    if "reserve" not in scope.known:
        scope.known["reserve"] = reserves.reserves(session, actor=scope.actor, at=scope.now)
    found: list[Reserve] = scope.known["reserve"]
    return [one for one in found if scope.covers(one.org.path)]


def reserve_rows(session: Session, scope: Scope, which: str) -> list[Row]:
    """Return what is free and what the floors ask by reserve, or one for each reserve below its floor.

    A floor for all bodies of a pool together holds those of single bodies: where there is one it alone adds to the sums.
    """
    found = reserve(session, scope)
    if which == "low":
        return [
            Row(one.org.id, one.org.id, one.org.code, one.body, None, Decimal(1))
            for one in found
            if one.standing is Standing.SHORT
        ]
    whole = {one.org.id for one in found if one.body == ANY_BODY}
    return [
        Row(one.org.id, one.org.id, one.org.code, one.body, None, Decimal(one.free if which == "free" else one.floor))
        for one in found if one.body == ANY_BODY or one.org.id not in whole
    ]  # fmt: skip


def cost_by_month(session: Session, scope: Scope) -> dict[date, Decimal]:
    """Return this year's running costs by month."""
    if "cost_by_month" not in scope.known:
        inside = {one.id for one in scope.known.get("reach", ()) if scope.covers(one.path)}
        months: dict[date, Decimal] = {}
        for one in costs.sums(
            session, actor=scope.actor, start=year_start(scope), end=date(scope.today.year + 1, 1, 1)
        ):
            if one.kind not in PURCHASE_COSTS and one.org_id in inside:
                months[one.month] = months.get(one.month, Decimal(0)) + one.amount
        scope.known["cost_by_month"] = months
    found: dict[date, Decimal] = scope.known["cost_by_month"]
    return found


def cost_year(session: Session, scope: Scope) -> Decimal:
    """Return what this year's running costs come to."""
    return sum(cost_by_month(session, scope).values(), Decimal(0))


def running_costs(session: Session, scope: Scope) -> list[Row]:
    """Return this year's running costs, the latest first."""
    end = date(scope.today.year + 1, 1, 1)
    every = costs.all_rows(session, actor=scope.actor, start=year_start(scope), end=end)
    inside = {one.id for one in scope.known.get("reach", ()) if scope.covers(one.path)}
    found = [row for row in every if row.kind not in PURCHASE_COSTS and row.org_id in inside]
    cars = select(Vehicle.id, Vehicle.plate).where(Vehicle.id.in_({row.vehicle_id for row in found}))
    plates = {vehicle_id: plate for vehicle_id, plate in session.execute(cars)}  # noqa: C416 -- rows are not tuples to a type checker
    return [
        Row(row.vehicle_id, row.org_id, plates.get(row.vehicle_id, ""), row.kind.value, clock.start_of(row.on), row.amount)
        for row in reversed(found)
    ]  # fmt: skip
