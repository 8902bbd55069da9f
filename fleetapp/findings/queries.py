"""Reading of clues, and of everything the rules look at."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from geoalchemy2 import Geography
from sqlalchemy import ColumnElement, Select, and_, case, cast, func, literal, or_, select, union_all
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, joinedload, selectinload

from fleetapp.accounts.models import Organisation, RoleGrant, UserAccount
from fleetapp.findings import rules
from fleetapp.findings.models import Finding, FindingCase, FindingEvent
from fleetapp.findings.rules import Figure, FigureBook, FigureRow
from fleetapp.findings.workflow import GROUPS, FindingState
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound
from fleetapp.orders.models import TravelOrder
from fleetapp.places.models import ParkingArea
from fleetapp.policies import queries as policies
from fleetapp.policies import rules as policy_rules
from fleetapp.policies.models import PolicyValue
from fleetapp.policies.preview import Measure
from fleetapp.trips.models import Trip, TripMatch
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy

Findings = Select[Finding]


def visible_to(actor: Actor) -> Findings:
    """Return the clues that the permission table opens to the actor, newest incident first, with what lists show."""
    scopes = permits.table()["findings.read"].roles
    reach: list[ColumnElement[bool]] = [Finding.id.is_not(None) if actor.has(Role.SYSTEM) else Finding.id.is_(None)]
    for grant in actor.grants:
        match scopes.get(grant.role):
            case "own":
                reach.append(Finding.concerned_id == actor.user_id)
            case "unit":
                reach.append(Finding.org_id == grant.org_id)
            case "subtree":
                inside = Organisation.path.startswith(grant.org_path, autoescape=True)
                reach.append(Finding.org_id.in_(select(Organisation.id).where(inside)))
    return (
        select(Finding)
        .join(Vehicle, Vehicle.id == Finding.vehicle_id)
        .where(or_(*reach))
        .options(
            joinedload(Finding.org),
            joinedload(Finding.vehicle),
            joinedload(Finding.order),
            joinedload(Finding.concerned),
        )
        .order_by(Finding.start_at.desc(), Finding.id.desc())
    )


def filtered(
    rows: Findings,
    *,
    group: str = "all",
    state: str | None = None,
    rule: str | None = None,
    severity: str | None = None,
    org_id: int | None = None,
    q: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    overdue_at: datetime | None = None,
) -> Findings:
    """Narrow a list: tab, state, rule, colour, unit with its sub-tree, number or plate, start in ``[start, end)``.

    ``overdue_at`` keeps those whose explanation was still missing after its time at that moment.
    """
    conditions = narrowing(
        Finding, group=group, start=start, end=end, overdue_at=overdue_at, state=state, rule=rule, severity=severity
    )
    if org_id is not None:
        path = select(Organisation.path).where(Organisation.id == org_id).scalar_subquery()
        below = select(Organisation.id).where(func.starts_with(Organisation.path, path))
        conditions.append(Finding.org_id.in_(below))
    if q:
        words = q.strip().upper()
        conditions.append(
            or_(Finding.number.icontains(words, autoescape=True), Vehicle.plate.icontains(words, autoescape=True))
        )
    return rows.where(and_(True, *conditions))


def narrowing(
    of: type[Finding] | type[FindingCase],
    *,
    group: str,
    start: datetime | None,
    end: datetime | None,
    overdue_at: datetime | None,
    **equal: str | int | None,
) -> list[ColumnElement[bool]]:
    """Return the conditions that clues and cases share: tab, start in ``[start, end)``, overdue, and columns with a wanted value."""
    conditions: list[ColumnElement[bool]] = [getattr(of, name) == wanted for name, wanted in equal.items() if wanted]
    if group in GROUPS:
        conditions.append(of.state.in_(GROUPS[group]))
    if start:
        conditions.append(of.start_at >= start)
    if end:
        conditions.append(of.start_at < end)
    if overdue_at:
        conditions += [of.state.in_(GROUPS["to_explain"]), of.due_at < overdue_at]
    return conditions


def count_open(session: Session, *, actor: Actor) -> int:
    """Return how many clues wait for an explanation or a review within the actor's reach."""
    waiting = filtered(visible_to(actor), group="open")
    return session.scalar(select(func.count()).select_from(waiting.order_by(None).subquery())) or 0


def get_finding(session: Session, *, finding_id: int, actor: Actor) -> Finding:
    """Return one clue with its people, order and history.

    :raises NotFound: none, or out of reach.
    """
    finding = session.scalar(
        visible_to(actor)
        .where(Finding.id == finding_id)
        .options(
            joinedload(Finding.explainer),
            joinedload(Finding.reviewer),
            joinedload(Finding.vehicle).joinedload(Vehicle.parking),
            joinedload(Finding.order).selectinload(TravelOrder.stops),
            selectinload(Finding.events).joinedload(FindingEvent.actor),
        )
    )
    if finding is None:
        raise NotFound("kit.not_found")
    return finding


def trips_of(session: Session, finding: Finding) -> Sequence[Trip]:
    """Return the trips a clue was made from, also those superseded since, as far as the transaction's actor may see."""
    return session.scalars(
        select(Trip)
        .where(Trip.id.in_(finding.facts.get("trip_ids", [])))
        .options(selectinload(Trip.matches).joinedload(TripMatch.order), joinedload(Trip.vehicle))
        .order_by(Trip.start_at)
    ).all()


def about(rows: Findings, *, vehicle_id: int, start: datetime, end: datetime) -> Findings:
    """Narrow clues to those not withdrawn about a vehicle that touch ``[start, end)``."""
    return rows.where(
        Finding.vehicle_id == vehicle_id,
        Finding.start_at < end,
        Finding.end_at > start,
        Finding.state != FindingState.WITHDRAWN,
    )


# ---- what the rules look at -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outside:
    """Metres outside the designated place at the first and last point of a trip, and at most."""

    from_m: float
    to_m: float
    farthest_m: float


def changed(session: Session, *, since: datetime | None, before: datetime) -> list[tuple[int, datetime, datetime]]:
    """Return (vehicle, start, end) of what was derived or superseded since a moment, of trips begun before another.

    Only vehicles whose tracks are shown: no rule looks at restricted ones.
    """
    trips = select(Trip.vehicle_id, Trip.start_at, Trip.end_at)
    parts = trips.join(TripMatch, TripMatch.trip_id == Trip.id)
    if since is not None:
        trips = trips.where(or_(Trip.derived_at >= since, Trip.superseded_at >= since))
        parts = parts.where(or_(TripMatch.derived_at >= since, TripMatch.superseded_at >= since))
    both = union_all(trips, parts).subquery()
    rows = session.execute(
        select(both.c.vehicle_id, func.min(both.c.start_at), func.max(both.c.end_at))
        .join(Vehicle, Vehicle.id == both.c.vehicle_id)
        .where(Vehicle.secrecy == Secrecy.NORMAL, both.c.start_at < before)
        .group_by(both.c.vehicle_id)
        .order_by(both.c.vehicle_id)
    )
    return [(vehicle_id, start, end) for vehicle_id, start, end in rows]


def last_trips_away(session: Session, *, at: datetime, reach_m: float) -> list[int]:
    """Return the vehicles whose last trip begun before a moment ended farther than ``reach_m`` from their place."""
    last = (
        select(Trip.vehicle_id, Trip.path)
        .where(Trip.superseded_at.is_(None), Trip.start_at < at)
        .ext(distinct_on(Trip.vehicle_id))
        .order_by(Trip.vehicle_id, Trip.start_at.desc())
        .subquery()
    )
    away = func.ST_Distance(cast(func.ST_EndPoint(last.c.path), Geography), cast(ParkingArea.area, Geography))
    rows = session.scalars(
        select(last.c.vehicle_id)
        .join(Vehicle, Vehicle.id == last.c.vehicle_id)
        .join(ParkingArea, ParkingArea.id == Vehicle.parking_id)
        .where(Vehicle.secrecy == Secrecy.NORMAL, away > reach_m)
        .order_by(last.c.vehicle_id)
    )
    return list(rows)


def get_vehicle(session: Session, *, vehicle_id: int) -> Vehicle:
    """Return a vehicle with its unit and designated place."""
    return session.scalars(
        select(Vehicle).where(Vehicle.id == vehicle_id).options(joinedload(Vehicle.org), joinedload(Vehicle.parking))
    ).one()


def trips_between(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> list[Trip]:
    """Return a vehicle's current trips that touch ``[start, end)`` and the last one before, in time order."""
    query = select(Trip).where(Trip.vehicle_id == vehicle_id, Trip.superseded_at.is_(None))
    query = query.options(selectinload(Trip.matches))
    inside = session.scalars(query.where(Trip.start_at < end, Trip.end_at > start).order_by(Trip.start_at)).all()
    before = session.scalars(query.where(Trip.end_at <= start).order_by(Trip.start_at.desc()).limit(1)).all()
    return [*before, *inside]


def outside(session: Session, *, trips: Sequence[Trip], parking_id: int, whole: Sequence[int]) -> dict[int, Outside]:
    """Return how far outside a designated place trips were, by id; ``farthest_m`` of those of ``whole`` only."""
    area = cast(ParkingArea.area, Geography)
    points = func.ST_DumpPoints(Trip.path).table_valued("path", "geom").lateral()
    farthest = select(func.max(func.ST_Distance(cast(points.c.geom, Geography), area))).select_from(points)
    rows = session.execute(
        select(
            Trip.id,
            func.ST_Distance(cast(func.ST_StartPoint(Trip.path), Geography), area),
            func.ST_Distance(cast(func.ST_EndPoint(Trip.path), Geography), area),
            case((Trip.id.in_(whole), farthest.correlate(Trip, ParkingArea).scalar_subquery()), else_=literal(0.0)),
        )
        .select_from(Trip)
        .join(ParkingArea, ParkingArea.id == parking_id)
        .where(Trip.id.in_([trip.id for trip in trips]))
    )
    return {trip_id: Outside(start, end, most) for trip_id, start, end, most in rows}


def outside_m(session: Session, *, parking_id: int, lat: float, lon: float) -> float:
    """Return how far a position lies outside a designated place, in metres."""
    here = cast(func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326), Geography)
    found = session.scalar(
        select(func.ST_Distance(cast(ParkingArea.area, Geography), here)).where(ParkingArea.id == parking_id)
    )
    return float(found or 0.0)


def figure_rows(session: Session) -> FigureBook:
    """Return every policy row that a rule compares with."""
    rows: Any = session.execute(
        select(PolicyValue, func.coalesce(Organisation.path, ""))
        .outerjoin(Organisation, Organisation.id == PolicyValue.org_id)
        .where(
            PolicyValue.code.in_([*rules.FIGURES, *rules.CATEGORY_FIGURES, *rules.SLA.values()]),
            PolicyValue.withdrawn_at.is_(None),
        )
    )
    return FigureBook(
        FigureRow(row.code, path, row.valid_to, Figure(float(row.value), row.unit, row.valid_from, row.source, row.article),
                  policy_rules.RANK[row.scope], row.stricter, row.may_relax)
        for row, path in rows
    )  # fmt: skip


def existing(
    session: Session, *, vehicle_id: int, start: datetime, end: datetime, keys: Sequence[str]
) -> list[Finding]:
    """Return a vehicle's clues that touch ``[start, end)`` or have one of the keys, locked."""
    touching = and_(Finding.start_at < end, Finding.end_at > start)
    return list(
        session.scalars(
            select(Finding)
            .where(Finding.vehicle_id == vehicle_id, or_(touching, Finding.dedupe_key.in_(keys)))
            .order_by(Finding.id)
            .with_for_update()
        )
    )


def person_to_ask(session: Session, *, org: Organisation) -> int | None:
    """Return the account asked when no driver is known: the unit's administrator, else the nearest fleet manager above."""
    admin = and_(RoleGrant.role == Role.UNIT_ADMIN, RoleGrant.org_id == org.id)
    above = and_(RoleGrant.role == Role.FLEET_MANAGER, func.starts_with(literal(org.path), Organisation.path))
    return session.scalar(
        select(UserAccount.id)
        .join(RoleGrant, RoleGrant.user_id == UserAccount.id)
        .join(Organisation, Organisation.id == RoleGrant.org_id)
        .where(UserAccount.closed_at.is_(None), or_(admin, above))
        .order_by((RoleGrant.role == Role.UNIT_ADMIN).desc(), func.length(Organisation.path).desc(), UserAccount.id)
        .limit(1)
    )


LOOK_BACK = timedelta(days=30)


def still_caught(session: Session, actor: Actor, code: str, on: date, now: datetime) -> list[Measure]:
    """Return the clues of the last 30 days that the figures of a day would raise as well, by the facts the clue keeps.

    What was not raised is not looked at again.
    """
    raised = rules.COMPARES.get(code, ())
    if not raised:
        return []
    clues = visible_to(actor).where(Finding.rule.in_(raised), Finding.start_at >= now - LOOK_BACK)
    rows = session.scalars(clues.where(Finding.state != FindingState.WITHDRAWN)).all()
    paths = {row.org.path for row in rows}
    codes = [other for other, group in rules.COMPARES.items() if set(group) & set(raised)]
    values = {other: policies.by_org(session, other, on=on, org_paths=paths) for other in codes}
    found = {}
    for row in rows:
        figures = {other: float(of[row.org.path]) for other, of in values.items() if row.org.path in of}
        if rules.still_caught(row.rule, row.facts, figures):
            found[row.id] = row.org_id
    return [Measure("findings.effect_caught", found, "findings.index", {"rule": raised[0]}, "org_id", blind=True)]


def open_red(session: Session, *, order_ids: Collection[int]) -> dict[int, list[Finding]]:
    """Return the red clues about orders that nobody has decided yet, by order: named in the clue or by its trip's match."""
    by_trip = (
        select(TripMatch.trip_id, TripMatch.order_id)
        .where(TripMatch.order_id.in_(order_ids), TripMatch.superseded_at.is_(None))
        .distinct()
        .subquery()
    )
    concerned = func.coalesce(Finding.order_id, by_trip.c.order_id)
    rows = session.execute(
        select(Finding, concerned)
        .outerjoin(by_trip, by_trip.c.trip_id == Finding.trip_id)
        .where(
            concerned.in_(order_ids), Finding.severity == rules.Severity.RED,
            Finding.state.in_(GROUPS["open"]),
        )
        .order_by(Finding.id)
    )  # fmt: skip
    found: dict[int, list[Finding]] = {}
    for finding, order_id in rows:
        if finding not in found.setdefault(order_id, []):
            found[order_id].append(finding)
    return found
