"""Whose vehicles may serve whose orders, as sharing has it: asked by the planner and by the dispatcher's hand."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property

from sqlalchemy.orm import Session

from fleetapp.accounts.models import OrgKind
from fleetapp.drivers import queries as drivers
from fleetapp.drivers.models import Driver
from fleetapp.kit import permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.planning import queries
from fleetapp.planning.rules import Fault, Figures, taken
from fleetapp.sharing import queries as sharing
from fleetapp.sharing import rules as sharing_rules
from fleetapp.sharing.rules import Answer
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle


@dataclass(frozen=True)
class Lending:
    """What stands between vehicles and orders: offers, loans, and the home units' own orders that still wait.

    ``cars`` are all that could go, ``busy`` the spans taken by vehicle id: with fewer free vehicles of a body at home than
    orders waiting there for one, none is offered to others.
    """

    terms: sharing.Terms
    figures: Figures
    now: datetime
    waiting: Sequence[TravelOrder] = ()
    cars: Sequence[Vehicle] = ()
    busy: Mapping[int, Sequence[Span]] = field(default_factory=dict)

    @cached_property
    def _known(self) -> dict[tuple[object, ...], Answer]:
        return {}

    def is_special(self, vehicle: Vehicle) -> bool:
        """Tell whether anything was said of this vehicle: then it is looked at order by order, else holder by unit."""
        return vehicle.id in self.terms.offers or vehicle.id in self.terms.loans

    def answer(self, vehicle: Vehicle, order: TravelOrder) -> Answer:
        """Tell whether and how a vehicle may serve an order."""
        special = self.is_special(vehicle)
        key = (vehicle.id, order.id) if special else (vehicle.org_id, order.org_id, "")
        if key not in self._known:
            window, held = Span(order.start_at, order.end_at), taken(order.start_at, order.end_at, self.figures)
            waits = bool(self.terms.offers.get(vehicle.id)) and self._home_waits(vehicle, order, held)
            self._known[key] = self.terms.answer(
                vehicle, unit_path=order.org.path, window=window, held=held, now=self.now, home_waits=waits
            )
        return self._known[key]

    def fault(self, vehicle: Vehicle, order: TravelOrder) -> Fault | None:
        """Return what sharing has against a vehicle for an order."""
        code = self.answer(vehicle, order).code
        return Fault(code) if code else None

    def grouped(
        self, cars: Sequence[Vehicle], found: Sequence[TravelOrder]
    ) -> tuple[dict[int, str], dict[int, str], list[tuple[str, str]]]:
        """Return vehicles' owners and orders' borrowers by row id, and which owner lends to which borrower.

        Holders lend to units as a whole. A vehicle that something was said of is an owner of its own, and orders that it
        may serve are borrowers apart from the others of their unit.
        """
        special = [vehicle for vehicle in cars if self.is_special(vehicle)]
        holders = {vehicle.org_id: vehicle for vehicle in cars if not self.is_special(vehicle)}
        owners = {vehicle.id: str(vehicle.org_id) for vehicle in cars}
        owners |= {vehicle.id: f"{vehicle.org_id}/{vehicle.id}" for vehicle in special}
        groups: dict[tuple[int, tuple[int, ...]], str] = {}
        borrowers: dict[int, str] = {}
        pairs: set[tuple[str, str]] = set()
        for order in found:
            served_by = tuple(vehicle.id for vehicle in special if self.answer(vehicle, order).way)
            name = f"{order.org_id}/for {len(groups)}" if served_by else str(order.org_id)
            borrowers[order.id] = name = groups.setdefault((order.org_id, served_by), name)
            pairs |= {(owners[vehicle_id], name) for vehicle_id in served_by}
            pairs |= {(str(org_id), name) for org_id, car in holders.items() if self.answer(car, order).way}
        return owners, borrowers, sorted(pair for pair in pairs if pair[0] != pair[1])

    def crew_home(self, vehicle: Vehicle) -> int:
        """Return the organisation whose drivers drive a vehicle: its holder, or the borrower of one lent without a driver."""
        loans = self.terms.loans.get(vehicle.id, ())
        return next((loan.to_org_id for loan in loans if loan.driver_id is None), vehicle.org_id)

    def may_drive(self, driver: Driver, vehicle: Vehicle, order: TravelOrder) -> bool:
        """Tell whether a driver belongs to the vehicle for an order: the holder's, or the borrower's when lent without one."""
        loan = self.answer(vehicle, order).loan
        if loan is None or loan.driver_id is not None:
            return driver.org_id == vehicle.org_id
        return driver.org.path.startswith(loan.to_path) and order.org.path.startswith(driver.org.path)

    def slip_org(self, vehicle: Vehicle, order: TravelOrder) -> int:
        """Return whose number the slip gets: the holder's, or the borrower's who sends the vehicle out."""
        loan = self.answer(vehicle, order).loan
        return loan.to_org_id if loan else vehicle.org_id

    def _home_waits(self, vehicle: Vehicle, order: TravelOrder, held: Span) -> bool:
        home = sharing_rules.home_of(
            holder_path=vehicle.org.path, holder_is_operator=vehicle.org.kind == OrgKind.OPERATOR, districts=self.terms.districts
        )  # fmt: skip
        waiting = sum(
            other.id != order.id and other.body == vehicle.body and other.org.path.startswith(home)
            and taken(other.start_at, other.end_at, self.figures).overlaps(held)
            for other in self.waiting
        )  # fmt: skip
        if not waiting:
            return False
        free = sum(
            car.body == vehicle.body and car.org.path.startswith(home)
            and not any(span.overlaps(held) for span in self.busy.get(car.id, ()))
            and not any(loan.span.overlaps(held) for loan in self.terms.loans.get(car.id, ()))
            for car in {car.id: car for car in (*self.cars, vehicle)}.values()
        )  # fmt: skip
        return waiting >= free


def look(
    session: Session,
    *,
    span: Span,
    cars: Sequence[Vehicle],
    busy: Mapping[int, Sequence[Span]],
    figures: Figures,
    now: datetime,
) -> Lending:
    """Return what sharing says of vehicles over a span, with the orders that wait then as far as they can be seen."""
    terms = sharing.terms(session, vehicles=cars, span=span)
    waiting = orders.approved_waiting(session, actor=SYSTEM, start=span.start, end=span.end) if terms.offers else ()
    return Lending(terms, figures, now, waiting, cars, busy)


def borrowed(
    session: Session, *, actor: Actor, span: Span, until_on: date, known: Collection[int]
) -> tuple[list[Vehicle], list[Driver]]:
    """Return the vehicles (papers good to the end of ``until_on``) and drivers lent to a dispatcher that he has not anyway."""
    cars, people = sharing.borrowed(session, actor=actor, action="planning.assign", span=span)
    cars = [car for car in cars if car.id not in known]
    ended = vehicles.papers_ended(session, vehicle_ids=[car.id for car in cars], last_on=until_on)
    reach = [driver for driver in people if not permits.may("planning.assign", actor, org_path=driver.org.path)]
    return [car for car in cars if car.id not in ended], [
        driver for driver in reach if driver.licence_valid_to >= until_on
    ]


def pair(
    session: Session, *, vehicle_id: int, driver_id: int, span: Span, actor: Actor
) -> tuple[Vehicle, Driver]:  # fmt: skip
    """Return a vehicle and a driver that a dispatcher may send out: of a holder within reach, or lent to within reach.

    :raises NotFound: neither.
    :raises NotAllowed: not a dispatcher there.
    """
    cars, people = sharing.borrowed(session, actor=actor, action="planning.assign", span=span)
    vehicle = next((car for car in cars if car.id == vehicle_id), None)
    driver = next((person for person in people if person.id == driver_id), None)
    if vehicle is None:
        vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
        permits.require("planning.assign", actor, org_path=vehicle.org.path)
    return vehicle, driver or drivers.get_driver(session, driver_id=driver_id, actor=actor)


def of_holder(session: Session, *, vehicle: Vehicle, order: TravelOrder, figures: Figures, now: datetime) -> Lending:
    """Return what sharing says of one vehicle for one order, with the other vehicles at home and what they do."""
    held = taken(order.start_at, order.end_at, figures)
    terms = sharing.terms(session, vehicles=[vehicle], span=held)
    if not terms.offers:
        return Lending(terms, figures, now)
    home = sharing_rules.home_of(
        holder_path=vehicle.org.path, holder_is_operator=vehicle.org.kind == OrgKind.OPERATOR, districts=terms.districts
    )
    rows = vehicles.filtered(vehicles.in_service(SYSTEM), org_path=home).where(Vehicle.body == vehicle.body)
    cars = [vehicle, *(car for car in session.scalars(rows) if car.id != vehicle.id)]
    busy, _ = queries.busy(session, span=held, vehicle_ids=[car.id for car in cars], driver_ids=[])
    return look(session, span=held, cars=cars, busy=busy, figures=figures, now=now)
