"""The answer of the form while it is filled: free vehicles, company on the way, price, what to know. Reads only."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.applications import bridge, queries, rules
from fleetapp.applications.rules import Hint, Trip
from fleetapp.approvals import queries as approvals
from fleetapp.approvals import rules as approval_rules
from fleetapp.approvals.rules import Flag
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.orders import cases
from fleetapp.orders import service as orders
from fleetapp.orders.rules import Area
from fleetapp.places import areas
from fleetapp.planning import queries as planning
from fleetapp.planning import rules as planning_rules
from fleetapp.pricing import queries as pricing
from fleetapp.workdays import queries as workdays


@dataclass(frozen=True, slots=True)
class Company:
    """A journey that could share the car, and the metres one car would save."""

    partner: queries.Partner
    saved_m: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a trip; empty parts are not known yet. ``earliest_at`` is a start, not the end of a booking.

    ``levels`` are the names of the approval levels that it will need.
    """

    free: queries.Free
    earliest_at: datetime | None
    area: Area | None = None
    route_m: int | None = None
    price: pricing.Quote | None = None
    gap: pricing.Gap | None = None
    company: list[Company] = field(default_factory=list)
    hints: list[Hint] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)


def answer(session: Session, *, trip: Trip, actor: Actor, now: datetime) -> Answer:
    """Return what the form may say of a trip of the actor's unit: figures, never another unit's matter."""
    buffers = planning.figures(session, now=now, org_path=actor.org_path)
    figures = queries.figures(session, now=now, org_path=actor.org_path)
    limits = orders.limits(session, now=now, org_path=actor.org_path)
    held = planning_rules.taken(trip.start_at, trip.end_at, buffers)
    free = queries.free_vehicles(session, unit_id=actor.org_id or 0, held=held, bodies=bridge.bodies_for(trip.body),
                                 least_seats=trip.people + 1)  # fmt: skip
    earliest_at = rules.rounded_up(free.earliest_at + buffers.before) if free.earliest_at else None
    first, last = clock.local_date(trip.start_at), clock.local_date(trip.end_at - timedelta(seconds=1))
    days = workdays.day_kinds(session, first, last + timedelta(days=1))
    area, route_m, price, gap, company = None, None, None, None, list[Company]()
    if len(trip.stops) >= 2:
        adcode = queries.adcode_of(session, actor=actor)
        area = Area(areas.area_of(adcode, trip.points))
        route_m = areas.journey_m(trip.points, round_trip=trip.round_trip)
        book: dict[str, Any] = {"body": trip.body, "on": clock.local_date(now), "org_path": actor.org_path}
        price = pricing.estimate(session, start_at=trip.start_at, end_at=trip.end_at, route_m=route_m, **book)
        gap = None if price else pricing.gap(session, **book)
        mine = [trip.points[0], trip.points[-1]]
        company = [
            Company(partner, rules.saved_m(mine, partner.way, areas.journey_m))
            for partner in queries.partners(session, unit_id=actor.org_id or 0, trip=trip, figures=figures)
        ]
    facts = cases.facts(
        session, kind=trip.kind, start_at=trip.start_at, end_at=trip.end_at, area=area, route_m=route_m or 0, points=(),
        supplementary=False, filed_at=now, limits=limits, org_path=actor.org_path,
    )  # fmt: skip
    hints = rules.hints(trip, area=area, days=days, figures=figures, lead=limits.lead_time,
                        night=bool(facts.flags & {Flag.NIGHT, Flag.OVERNIGHT}), now=now)  # fmt: skip
    chain = approvals.standing_chain(session, org_path=actor.org_path, on=clock.local_date(now))
    levels = [row.value() for row in chain.levels]
    names = [levels[at].name for at in approval_rules.needed(levels, facts)]
    return Answer(free, earliest_at, area, route_m, price, gap, company, hints, names)


def trip_of(data: dict[str, Any]) -> Trip | None:
    """Return the trip of a loaded query, or None while its window makes no sense."""
    if data["start_at"] is None or data["end_at"] is None or data["start_at"] >= data["end_at"]:
        return None
    return Trip(**{**data, "stops": tuple(data["stops"])})
