"""Reading of offers, requests and loans, and what planning needs of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.accounts.queries import inside, within_reach
from fleetapp.drivers.models import Driver
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.columns import among
from fleetapp.kit.errors import NotFound
from fleetapp.kit.spans import Span
from fleetapp.orders.models import TravelOrder
from fleetapp.sharing import rules
from fleetapp.sharing.models import Fallback, ShareEvent, ShareLoan, ShareOffer, ShareRequest
from fleetapp.sharing.rules import LIVING, Loan, Offer, RequestState
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState


def offers_visible_to(actor: Actor) -> Select[ShareOffer]:
    """Return the offers of units within reach and those made to where the actor may ask, the first in priority first."""
    reach = select(Organisation.path).where(within_reach(actor, "sharing.read"))
    borrower = aliased(Organisation)
    # Said outright, as the offer stands two queries further out.
    to_org = select(borrower.path).where(borrower.id == ShareOffer.to_org_id).correlate(ShareOffer).scalar_subquery()
    mine = reach.subquery()
    offered = select(mine.c.path).where(func.starts_with(mine.c.path, to_org)).exists()
    return (
        select(ShareOffer)
        .where(
            or_(inside(ShareOffer.org_id, "sharing.read", actor), offered, ShareOffer.to_org_id.is_(None) & reach.exists())
        )
        .options(joinedload(ShareOffer.org), joinedload(ShareOffer.to_org), joinedload(ShareOffer.vehicle))
        .order_by(ShareOffer.priority, ShareOffer.id.desc())
    )  # fmt: skip


def standing(query: Select[ShareOffer], on: date) -> Select[ShareOffer]:
    """Narrow offers to those that are not withdrawn and not over on a day."""
    return query.where(ShareOffer.withdrawn_at.is_(None), or_(ShareOffer.valid_to.is_(None), ShareOffer.valid_to > on))


def get_offer(session: Session, *, offer_id: int, actor: Actor) -> ShareOffer:
    """Return an offer within reach.

    :raises NotFound: no such offer, or out of reach.
    """
    found = session.scalar(offers_visible_to(actor).where(ShareOffer.id == offer_id).with_for_update(of=ShareOffer))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def requests_visible_to(actor: Actor) -> Select[ShareRequest]:
    """Return the requests from and to units within reach: open ones first, by priority and time of the answer."""
    return (
        select(ShareRequest)
        .where(
            or_(inside(ShareRequest.org_id, "sharing.read", actor), inside(ShareRequest.to_org_id, "sharing.read", actor))
        )
        .options(joinedload(ShareRequest.org), joinedload(ShareRequest.to_org), joinedload(ShareRequest.order),
                 joinedload(ShareRequest.wanted))
        .order_by(ShareRequest.state != RequestState.PENDING, ShareRequest.priority, ShareRequest.reply_by, ShareRequest.id)
    )  # fmt: skip


def get_request(session: Session, *, request_id: int, actor: Actor, lock: bool = False) -> ShareRequest:
    """Return a request within reach.

    :raises NotFound: no such request, or out of reach.
    """
    query = requests_visible_to(actor).where(ShareRequest.id == request_id)
    if lock:
        query = query.with_for_update(of=ShareRequest).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def get_vehicle(session: Session, *, vehicle_id: int, actor: Actor, action: str) -> Vehicle:
    """Return a vehicle whose holder lies where the actor may do something, held as it is.

    :raises NotFound: no such vehicle, or out of reach.
    """
    query = select(Vehicle).join(Vehicle.org).where(Vehicle.id == vehicle_id, within_reach(actor, action))
    found = session.scalar(query.options(contains_eager(Vehicle.org)).with_for_update(key_share=True, of=Vehicle))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def loan_over(session: Session, *, vehicle_id: int, span: Span) -> ShareLoan | None:
    """Return the loan that has a vehicle at any time of a span."""
    return session.scalars(
        select(ShareLoan)
        .where(
            ShareLoan.vehicle_id == vehicle_id, ShareLoan.state != rules.LoanState.CALLED_OFF,
            ShareLoan.during.overlaps(Range(span.start, span.end)),
        )
        .limit(1)
    ).first()  # fmt: skip


def loan_of_request(session: Session, *, request_id: int) -> ShareLoan | None:
    """Return the loan that a request led to."""
    query = select(ShareLoan).where(ShareLoan.request_id == request_id).options(joinedload(ShareLoan.vehicle))
    return session.scalar(query.options(joinedload(ShareLoan.org), joinedload(ShareLoan.to_org)))


def drivers_of(session: Session, *, org_ids: Collection[int], until_on: date) -> Sequence[Driver]:
    """Return the drivers of holders whose licence counts to a day, by holder and id."""
    query = select(Driver).where(
        Driver.org_id.in_(org_ids), Driver.left_at.is_(None), Driver.licence_valid_to >= until_on
    )
    return session.scalars(query.options(joinedload(Driver.user)).order_by(Driver.org_id, Driver.id)).all()


def find_request(session: Session, *, created_by: int | None, request_key: str) -> ShareRequest | None:
    """Return the request that was already made under a key."""
    return session.scalar(
        select(ShareRequest).where(ShareRequest.created_by == created_by, ShareRequest.request_key == request_key)
    )


def find_offer(session: Session, *, created_by: int | None, request_key: str) -> ShareOffer | None:
    """Return the offer that was already made under a key."""
    return session.scalar(
        select(ShareOffer).where(ShareOffer.created_by == created_by, ShareOffer.request_key == request_key)
    )


def of_order(session: Session, *, order_id: int) -> Sequence[ShareRequest]:
    """Return the requests made for an order as far as row-level security shows them, the newest first."""
    query = select(ShareRequest).where(ShareRequest.order_id == order_id).order_by(ShareRequest.id.desc())
    return session.scalars(query.options(joinedload(ShareRequest.org), joinedload(ShareRequest.to_org))).all()


def next_overdue(session: Session, *, now: datetime) -> ShareRequest | None:
    """Return a request whose answer is overdue, locked."""
    query = select(ShareRequest).where(ShareRequest.state == RequestState.PENDING, ShareRequest.reply_by <= now)
    return session.scalars(query.order_by(ShareRequest.id).limit(1).with_for_update(skip_locked=True)).first()


def loans_visible_to(actor: Actor) -> Select[ShareLoan]:
    """Return the loans from and to units within reach, living ones first, the latest first."""
    return (
        select(ShareLoan)
        .where(or_(inside(ShareLoan.org_id, "sharing.read", actor), inside(ShareLoan.to_org_id, "sharing.read", actor)))
        .options(joinedload(ShareLoan.org), joinedload(ShareLoan.to_org), joinedload(ShareLoan.vehicle),
                 joinedload(ShareLoan.request), joinedload(ShareLoan.driver).joinedload(Driver.user))
        .order_by(ShareLoan.state.not_in(LIVING), func.lower(ShareLoan.during).desc(), ShareLoan.id.desc())
    )  # fmt: skip


def get_loan(session: Session, *, loan_id: int, actor: Actor, lock: bool = False) -> ShareLoan:
    """Return a loan within reach.

    :raises NotFound: no such loan, or out of reach.
    """
    query = loans_visible_to(actor).where(ShareLoan.id == loan_id)
    if lock:
        query = query.with_for_update(of=ShareLoan).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def next_over(session: Session, *, now: datetime) -> ShareLoan | None:
    """Return a living loan whose time is over, locked."""
    query = select(ShareLoan).where(ShareLoan.state.in_(LIVING), func.upper(ShareLoan.during) <= now)
    return session.scalars(query.order_by(ShareLoan.id).limit(1).with_for_update(skip_locked=True)).first()


def events(session: Session, *, request_id: int | None = None, loan_id: int | None = None) -> Sequence[ShareEvent]:
    """Return the steps of a request or a loan, the oldest first."""
    wanted = ShareEvent.request_id == request_id if request_id is not None else ShareEvent.loan_id == loan_id
    return session.scalars(
        select(ShareEvent).where(wanted).options(joinedload(ShareEvent.actor)).order_by(ShareEvent.id)
    ).all()


def span_of(loan: ShareLoan) -> Span:
    """Return the time of a loan."""
    if loan.during.lower is None or loan.during.upper is None:
        raise ValueError("a loan has two ends")  # the database sees to it; the type of a range allows none
    return Span(loan.during.lower, loan.during.upper)


# ---- for planning -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Terms:
    """What was said of some vehicles: offers in force and loans, by vehicle id; the districts' paths."""

    offers: Mapping[int, Sequence[Offer]] = field(default_factory=dict)
    loans: Mapping[int, Sequence[Loan]] = field(default_factory=dict)
    districts: Sequence[str] = ()

    def answer(
        self, vehicle: Vehicle, *, unit_path: str, window: Span, held: Span, now: datetime, home_waits: bool = False
    ) -> rules.Answer:
        """Tell whether a vehicle may serve a unit's order, and how."""
        holder: dict[str, Any] = {
            "holder_path": vehicle.org.path,
            "holder_is_operator": vehicle.org.kind == OrgKind.OPERATOR,
            "districts": self.districts,
        }
        return rules.answer(
            home_path=rules.home_of(**holder), unit_path=unit_path, by_default=rules.lends(**holder, unit_path=unit_path),
            offers=self.offers.get(vehicle.id, ()), loans=self.loans.get(vehicle.id, ()), window=window, held=held, now=now,
            home_waits=home_waits,
        )  # fmt: skip


def terms(session: Session, *, vehicles: Collection[Vehicle], span: Span) -> Terms:
    """Return what was said of vehicles for any time of a span, as far as row-level security shows it."""
    districts = [district.path for district in accounts.list_districts(session)]
    by_id = [vehicle.id for vehicle in vehicles]
    holders = {vehicle.org_id for vehicle in vehicles}
    first_on, last_on = clock.local_date(span.start), clock.local_date(span.end)
    rows = session.scalars(
        standing(select(ShareOffer), first_on)
        .where(ShareOffer.org_id.in_(holders), ShareOffer.valid_from <= last_on)
        .options(joinedload(ShareOffer.to_org))
        .order_by(ShareOffer.priority, ShareOffer.id)
    ).all()
    offers: dict[int, list[Offer]] = {}
    for vehicle in vehicles:
        said = [row for row in rows if _is_of(row, vehicle)]
        if said:
            offers[vehicle.id] = [offer_of(row) for row in said]
    return Terms(offers, _loans(session, by_id, span), districts)


def _is_of(row: ShareOffer, vehicle: Vehicle) -> bool:
    return row.org_id == vehicle.org_id and row.vehicle_id in {None, vehicle.id} and row.body == vehicle.body


def offer_of(row: ShareOffer) -> Offer:
    """Return an offer as the rules know it."""
    return Offer(
        to_path=row.to_org.path if row.to_org else "/", weekdays=frozenset(row.weekdays), from_time=row.from_time, to_time=row.to_time,
        valid_from=row.valid_from, valid_to=row.valid_to, notice=timedelta(hours=row.notice_h), priority=row.priority,
    )  # fmt: skip


def loan_of(row: ShareLoan) -> Loan:
    """Return a loan as the rules know it."""
    return Loan(row.id, row.to_org_id, row.to_org.path, span_of(row), row.driver_id)


def _loans(session: Session, vehicle_ids: Collection[int], span: Span) -> dict[int, list[Loan]]:
    query = select(ShareLoan).where(
        among(ShareLoan.vehicle_id, vehicle_ids), ShareLoan.state.in_(LIVING), ShareLoan.during.overlaps(Range(span.start, span.end))
    )  # fmt: skip
    found: dict[int, list[Loan]] = {}
    for row in session.scalars(query.options(joinedload(ShareLoan.to_org))):
        found.setdefault(row.vehicle_id, []).append(loan_of(row))
    return found


def borrowed(session: Session, *, actor: Actor, action: str, span: Span) -> tuple[list[Vehicle], list[Driver]]:
    """Return vehicles in service lent to where the actor may do something, at any time of a span, and their drivers lent along."""
    rows = session.scalars(
        select(ShareLoan)
        .where(
            ShareLoan.state.in_(LIVING), ShareLoan.during.overlaps(Range(span.start, span.end)),
            inside(ShareLoan.to_org_id, action, actor),
        )
        .options(joinedload(ShareLoan.vehicle).options(joinedload(Vehicle.org), joinedload(Vehicle.parking)),
                 joinedload(ShareLoan.driver).options(joinedload(Driver.user), joinedload(Driver.org)))
        .order_by(ShareLoan.id)
    ).all()  # fmt: skip
    cars = {row.vehicle_id: row.vehicle for row in rows if row.vehicle.state == VehicleState.IN_SERVICE}
    return list(cars.values()), [row.driver for row in rows if row.driver is not None]


def lendable(session: Session, *, request: ShareRequest, actor: Actor) -> list[Vehicle]:
    """Return the vehicles that the actor could lend for a request: free of loans, of the body asked for first, enough seats."""
    span = Span(request.start_at, request.end_at)
    taken = select(ShareLoan.vehicle_id).where(
        ShareLoan.during.overlaps(Range(span.start, span.end)), ShareLoan.state != rules.LoanState.CALLED_OFF
    )
    cars = session.scalars(
        select(Vehicle)
        .join(Vehicle.org)
        .where(
            within_reach(actor, "sharing.answer"), Vehicle.state == VehicleState.IN_SERVICE, Vehicle.seats > request.seats,
            Vehicle.id.not_in(taken), Vehicle.org_id != request.org_id,
        )
        .options(contains_eager(Vehicle.org))
        .order_by(Vehicle.id != request.wanted_id, Vehicle.body != request.body, Vehicle.seats, Vehicle.plate)
    ).all()  # fmt: skip
    said = terms(session, vehicles=cars, span=span)
    return [car for car in cars if may_lend(said, car, request)]


def may_lend(said: Terms, vehicle: Vehicle, request: ShareRequest) -> bool:
    """Tell whether whoever was asked may lend a vehicle for the request."""
    return rules.may_answer(
        asked_path=request.to_org.path, holder_path=vehicle.org.path, offers=said.offers.get(vehicle.id, ()),
        asker_path=request.org.path, window=Span(request.start_at, request.end_at), districts=said.districts,
    )  # fmt: skip


# ---- without a vehicle ------------------------------------------------------------------------------------------------


def fallback_of(session: Session, *, order_id: int, lock: bool = False) -> Fallback | None:
    """Return how an order is served without an official vehicle, if it is."""
    query = select(Fallback).where(Fallback.order_id == order_id)
    if lock:
        query = query.with_for_update(of=Fallback)
    return session.scalar(query.options(joinedload(Fallback.decider)))


def fallbacks_visible_to(actor: Actor) -> Select[Fallback]:
    """Return the journeys served otherwise of units within reach, the newest first."""
    return (
        select(Fallback)
        .where(inside(Fallback.org_id, "sharing.read", actor))
        .options(joinedload(Fallback.order).joinedload(TravelOrder.org))
        .order_by(Fallback.id.desc())
    )
