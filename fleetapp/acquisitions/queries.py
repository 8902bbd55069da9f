"""Reading of quotas, indicators and purchases, and the facts a review compares."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Integer, Select, cast, func, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.acquisitions.models import Indicator, IndicatorEvent, Procurement, QuotaEntry
from fleetapp.acquisitions.rules import Figure, IndicatorKind, IndicatorState
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderState
from fleetapp.policies import queries as policies
from fleetapp.policies import rules as policy_rules
from fleetapp.policies.models import PolicyValue
from fleetapp.trips.models import Trip
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import NEV, Category, ManagementMode, VehicleState

YEAR = timedelta(days=365)


# ---- quota ------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Places:
    """A unit's places in one class: authorised, taken, reserved by approved indicators, to be given up by old vehicles."""

    quota: int = 0
    in_service: int = 0
    reserved: int = 0
    committed: int = 0

    @property
    def free(self) -> int:
        """Places left; negative when over the quota."""
        return self.quota - self.in_service - self.reserved + self.committed


Matrix = Mapping[Organisation, Mapping[str, Places]]


def matrix(session: Session, *, actor: Actor, on: date) -> Matrix:
    """Return the places of every unit within reach that has a quota or a vehicle, by class, as of a local day.

    The quota is that of the day; vehicles and indicators are those of the present.
    """
    found: dict[Organisation, dict[str, Places]] = defaultdict(lambda: defaultdict(Places))
    orgs = {org.id: org for org in session.scalars(select(Organisation).where(within_reach(actor, "quota.read")))}

    def add(rows: Select[int, str, int], name: str) -> None:
        for org_id, category, number in session.execute(rows):
            if org_id in orgs:
                setattr(found[orgs[org_id]][category], name, int(number))

    add(
        select(QuotaEntry.org_id, QuotaEntry.category, cast(func.sum(QuotaEntry.delta), Integer))
        .where(QuotaEntry.effective_on <= on)
        .group_by(QuotaEntry.org_id, QuotaEntry.category),
        "quota",
    )
    held = (Vehicle.state != VehicleState.RETIRED, Vehicle.management_mode != ManagementMode.RENTED)
    add(
        select(Vehicle.org_id, Vehicle.category, func.count()).where(*held).group_by(Vehicle.org_id, Vehicle.category),
        "in_service",
    )
    add(
        select(Indicator.org_id, Indicator.category, func.count())
        .where(Indicator.state == IndicatorState.APPROVED, Indicator.kind != IndicatorKind.RENTAL)
        .group_by(Indicator.org_id, Indicator.category),
        "reserved",
    )
    add(
        select(Vehicle.org_id, Vehicle.category, func.count())
        .join(Indicator, Indicator.old_vehicle_id == Vehicle.id)
        .where(
            Indicator.state.in_([IndicatorState.APPROVED, IndicatorState.USED]),
            Indicator.org_id == Vehicle.org_id, Indicator.category == Vehicle.category, Vehicle.state != VehicleState.RETIRED,
        )
        .group_by(Vehicle.org_id, Vehicle.category),
        "committed",
    )  # fmt: skip
    return dict(sorted(found.items(), key=lambda item: item[0].path))


def history(session: Session, *, org_id: int, actor: Actor) -> Sequence[QuotaEntry]:
    """Return a unit's quota entries, the newest first."""
    query = (
        select(QuotaEntry)
        .join(Organisation, Organisation.id == QuotaEntry.org_id)
        .where(QuotaEntry.org_id == org_id, within_reach(actor, "quota.read"))
        .options(joinedload(QuotaEntry.counterpart))
        .order_by(QuotaEntry.effective_on.desc(), QuotaEntry.id.desc())
    )
    return session.scalars(query).all()


def entries(session: Session, *, actor: Actor) -> Sequence[QuotaEntry]:
    """Return the quota entries of all units within reach in the order in which they take effect."""
    query = (
        select(QuotaEntry)
        .join(Organisation, Organisation.id == QuotaEntry.org_id)
        .where(within_reach(actor, "quota.read"))
    )
    return session.scalars(query.order_by(QuotaEntry.effective_on, QuotaEntry.id)).all()


def quota_on(session: Session, *, org_id: int, category: Category, on: date) -> int:
    """Return how many vehicles of a class a unit was authorised to hold on a day."""
    query = select(func.coalesce(func.sum(QuotaEntry.delta), 0)).where(
        QuotaEntry.org_id == org_id, QuotaEntry.category == category, QuotaEntry.effective_on <= on
    )
    return int(session.scalar(query) or 0)


def free_for(session: Session, indicator: Indicator, on: date) -> int:
    """Return the places free for an indicator, the place of its own old vehicle counted."""
    free = session.scalar(select(func.quota_free(indicator.org_id, indicator.category, on)))
    old = indicator.old_vehicle
    own = (
        old is not None and old.org_id == indicator.org_id and old.category == indicator.category
        and old.state != VehicleState.RETIRED and indicator.state not in {IndicatorState.APPROVED, IndicatorState.USED}
    )  # fmt: skip
    return int(free or 0) + own


# ---- indicators and purchases ------------------------------------------------------------------------------------------


def visible_to(actor: Actor) -> Select[Indicator]:
    """Return the indicators that the actor may read, the newest first."""
    return (
        select(Indicator)
        .join(Indicator.org)
        .where(within_reach(actor, "indicators.read"))
        .options(
            contains_eager(Indicator.org), joinedload(Indicator.budget), selectinload(Indicator.procurements),
            joinedload(Indicator.old_vehicle),
        )
        .order_by(Indicator.created_at.desc(), Indicator.id.desc())
    )  # fmt: skip


def filtered(
    query: Select[Indicator], *, state: str | None = None, q: str = "", year: int | None = None
) -> Select[Indicator]:
    """Narrow indicators by state, fiscal year, text in number, unit or reason."""
    if state:
        query = query.where(Indicator.state == state)
    if year:
        query = query.where(Indicator.fiscal_year == year)
    if q:
        columns = (Indicator.number, Organisation.name_zh, Organisation.name_en, Indicator.justification)
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    return query


def get_indicator(session: Session, *, indicator_id: int, actor: Actor, lock: bool = False) -> Indicator:
    """Return an indicator that the actor may read.

    :raises NotFound: no such indicator, or out of reach.
    """
    query = visible_to(actor).where(Indicator.id == indicator_id)
    if lock:
        query = query.with_for_update(of=Indicator).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def events(session: Session, *, indicator_id: int) -> Sequence[IndicatorEvent]:
    """Return what happened to an indicator, the oldest first."""
    query = select(IndicatorEvent).where(IndicatorEvent.indicator_id == indicator_id)
    return session.scalars(query.options(joinedload(IndicatorEvent.actor)).order_by(IndicatorEvent.id)).all()


def count_by_state(session: Session, query: Select[Indicator]) -> dict[str, int]:
    """Return how many indicators of a list are in each state; every state is there."""
    rows = query.order_by(None).options().with_only_columns(Indicator.state, func.count()).group_by(Indicator.state)
    found = {row[0]: row[1] for row in session.execute(rows)}
    return {state.value: found.get(state.value, 0) for state in IndicatorState}


def pipeline(session: Session, *, actor: Actor) -> Sequence[Indicator]:
    """Return what is to be bought: every such indicator approved and not used, expired or cancelled, the oldest first."""
    query = (
        visible_to(actor)
        .where(Indicator.state == IndicatorState.APPROVED, Indicator.kind != IndicatorKind.TRANSFER)
        .order_by(None)
    )
    return session.scalars(query.order_by(Indicator.decided_at, Indicator.id)).unique().all()


def transfer_in(session: Session, *, org_id: int, category: Category, on: date) -> Indicator | None:
    """Return a unit's oldest approved indicator for a transfer in of a class, locked."""
    query = select(Indicator).where(
        Indicator.org_id == org_id, Indicator.category == category, Indicator.kind == IndicatorKind.TRANSFER,
        Indicator.state == IndicatorState.APPROVED, Indicator.expires_on > on,
    )  # fmt: skip
    return session.scalars(
        query.order_by(Indicator.decided_at, Indicator.id).limit(1).with_for_update(of=Indicator)
    ).first()


def get_procurement(session: Session, *, procurement_id: int, actor: Actor) -> Procurement:
    """Return a purchase whose indicator the actor may read, locked.

    :raises NotFound: no such purchase, or out of reach.
    """
    query = (
        select(Procurement)
        .join(Procurement.org)
        .where(Procurement.id == procurement_id, within_reach(actor, "indicators.read"))
        .with_for_update(of=Procurement)
        .execution_options(populate_existing=True)
    )
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def due_to_expire(session: Session, *, on: date) -> Sequence[Indicator]:
    """Return approved indicators whose time is over and that no contract has used."""
    contracted = select(Procurement.id).where(
        Procurement.indicator_id == Indicator.id, Procurement.state.not_in(["OPEN", "CANCELLED"])
    )
    return session.scalars(
        select(Indicator)
        .where(Indicator.state == IndicatorState.APPROVED, Indicator.expires_on <= on, ~contracted.exists())
        .with_for_update()
        .order_by(Indicator.id)
    ).all()


# ---- what a review looks at ---------------------------------------------------------------------------------------------


def figures(session: Session, *, on: date, org_path: str) -> dict[str, Figure]:
    """Return the policy figures of configuration and renewal in force, each with document and article."""
    rows = policies.standing(session, "cap.", "renewal.", "nev.", "idle.", "rental.", on=on, org_path=org_path)
    return {code: _figure(row) for code, row in rows.items()}


def _figure(row: PolicyValue) -> Figure:
    return Figure(row.value, f"{row.source} · {row.article}" if row.article else row.source)


class CapBook:
    """The caps of all times, for judging thousands of vehicles by the law of the day each was acquired on."""

    def __init__(self, session: Session) -> None:
        self._rows = policies.every(session, "cap.", "nev.phev_no_displacement_cap")
        self._days = sorted({on for row in self._rows for on in (row.valid_from, row.valid_to) if on is not None})
        self._known: dict[tuple[int, str], dict[str, Figure]] = {}

    def on(self, day: date, org_path: str) -> dict[str, Figure]:
        """Return the caps that stand on a local day for an organisation; none before the first."""
        key = (bisect_right(self._days, day), org_path)
        if key not in self._known:
            rows = [row for row in self._rows if row.valid_from <= day and (row.valid_to is None or day < row.valid_to)
                    and (row.org is None or org_path.startswith(row.org.path))]  # fmt: skip
            self._known[key] = {code: _figure(row) for code, row in policy_rules.standing(rows).items()}
        return self._known[key]


@dataclass(frozen=True, slots=True)
class Use:
    """How a vehicle was used over a year: days with a trip, trips, metres."""

    days: int
    trips: int
    distance_m: float


def use_of(session: Session, *, vehicle_ids: Sequence[int], since: datetime, until: datetime) -> dict[int, Use]:
    """Return the use of vehicles over ``[since, until)`` by id; one without a trip is there with zeros."""
    local_day = func.date(func.timezone(str(clock.OFFICE_ZONE), Trip.start_at))
    rows = session.execute(
        select(Trip.vehicle_id, func.count(local_day.distinct()), func.count(), func.sum(Trip.best_m))
        .where(Trip.vehicle_id.in_(vehicle_ids), Trip.superseded_at.is_(None), Trip.start_at >= since, Trip.start_at < until)
        .group_by(Trip.vehicle_id)
    )  # fmt: skip
    found = {vehicle_id: Use(days, trips, float(metres or 0)) for vehicle_id, days, trips, metres in rows}
    return {vehicle_id: found.get(vehicle_id, Use(0, 0, 0.0)) for vehicle_id in vehicle_ids}


def idle_comparable(
    session: Session, *, indicator: Indicator, scope_path: str, now: datetime, limits: Mapping[str, Figure]
) -> list[tuple[Vehicle, Use]]:
    """Return vehicles of the same class and body in a sub-tree that hardly drove of late: to be transferred first."""
    query = (
        select(Vehicle)
        .join(Vehicle.org)
        .where(
            Vehicle.state == VehicleState.IN_SERVICE, Vehicle.category == indicator.category, Vehicle.body == indicator.body,
            Organisation.path.startswith(scope_path, autoescape=True), Vehicle.id != (indicator.old_vehicle_id or 0),
            Vehicle.org_id != indicator.org_id,
        )
        .options(contains_eager(Vehicle.org))
        .order_by(Vehicle.plate)
    )  # fmt: skip
    cars = session.scalars(query).all()
    used = use_of(
        session,
        vehicle_ids=[car.id for car in cars],
        since=now - timedelta(days=int(limits["idle.days"].value)),
        until=now,
    )
    trips, metres = float(limits["idle.max_trips"].value), float(limits["idle.max_km"].value) * 1000
    return [(car, used[car.id]) for car in cars if used[car.id].trips < trips and used[car.id].distance_m < metres]


def refused_orders(session: Session, *, org_id: int, since: datetime) -> int:
    """Return how many orders of a unit were rejected or cancelled for its part since a moment."""
    query = select(func.count()).select_from(TravelOrder).where(
        TravelOrder.org_id == org_id, TravelOrder.created_at >= since,
        TravelOrder.state.in_([OrderState.REJECTED, OrderState.CANCELLED]),
    )  # fmt: skip
    return int(session.scalar(query) or 0)


def acquired_in(session: Session, *, fiscal_year: int, scope_path: str, but_for: int) -> tuple[int, int]:
    """Return (all, new energy) of the vehicles a sub-tree acquires in a fiscal year by approved or used indicators."""
    rows = session.execute(
        select(Indicator.energy, func.count())
        .join(Indicator.org)
        .where(
            Indicator.fiscal_year == fiscal_year, Indicator.id != but_for,
            Indicator.state.in_([IndicatorState.APPROVED, IndicatorState.USED]),
            Indicator.kind.in_([IndicatorKind.NEW, IndicatorKind.RENEWAL]),
            Organisation.path.startswith(scope_path, autoescape=True),
        )
        .group_by(Indicator.energy)
    ).all()  # fmt: skip
    nev = {energy.value for energy in NEV}
    return sum(count for _, count in rows), sum(count for energy, count in rows if energy in nev)


def scope_above(org: Organisation) -> str:
    """Return the sub-tree that a unit's neighbours are in: that of its district or of the city."""
    parts = org.path.strip("/").split("/")
    return "/" + "/".join(parts[:-1] or parts) + "/"
