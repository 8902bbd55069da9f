"""What the form asks, favourites, and the papers of orders. Distances in metres, coordinates WGS-84 degrees."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.applications import rules
from fleetapp.applications.models import FavouriteTrip
from fleetapp.attachments import queries as attachments
from fleetapp.attachments.models import Attachment
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.errors import NotFound
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderState
from fleetapp.policies import queries as policies
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import DayKind

FREE = text("SELECT * FROM fleet_free_vehicles(:unit, tstzrange(:start_at, :end_at), :bodies, :seats, :horizon)")
PARTNERS = text(
    "SELECT p.*, g.name_zh, g.name_en FROM fleet_partners(:unit, :start_at, :within, ST_SetSRID(ST_MakePoint(:a_lon, :a_lat), 4326),"
    " ST_SetSRID(ST_MakePoint(:z_lon, :z_lat), 4326), :near_m) p JOIN organisation g ON g.id = p.org_id"
)
LIVING = frozenset(OrderState) - {
    OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.CANCELLED, OrderState.NO_SHOW, OrderState.OUTSOURCED,
}  # fmt: skip
"""States in which an order takes its people's time."""
LOOK_AHEAD_DAYS = 30
MOST_RECENT = 4


@dataclass(frozen=True, slots=True)
class Free:
    """Vehicles of a unit's pool: how many fit, how many of them are free, else from when one is."""

    fitting: int
    free: int
    earliest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Partner:
    """Another unit's journey the same way; ``way`` is its origin and destination as (lon, lat)."""

    name_zh: str
    name_en: str
    start_at: datetime
    people: int
    body: str
    way: tuple[tuple[float, float], tuple[float, float]]


def figures(session: Session, *, now: datetime, org_path: str) -> rules.Figures:
    """Return the policy figures of the form in force for a unit."""
    on = clock.local_date(now)
    found = {
        name: float(policies.value(session, name, on, org_path))
        for name in (
            "order.pool_within_min",
            "order.pool_near_m",
            "order.transit_people",
            "A-01.night_start_h",
            "A-01.night_end_h",
        )
    }
    return rules.Figures(
        pool_within=timedelta(minutes=found["order.pool_within_min"]), pool_near_m=found["order.pool_near_m"],
        transit_people=int(found["order.transit_people"]), night_start_h=found["A-01.night_start_h"],
        night_end_h=found["A-01.night_end_h"],
    )  # fmt: skip


def free_vehicles(session: Session, *, unit_id: int, held: Span, bodies: Collection[str], least_seats: int) -> Free:
    """Return how many vehicles of the unit's pool are free over a span with its buffers; one statement."""
    row = session.execute(FREE, {"unit": unit_id, "start_at": held.start, "end_at": held.end, "bodies": sorted(bodies),
                                 "seats": least_seats, "horizon": rules.HORIZON}).one()  # fmt: skip
    return Free(row.fitting, row.free, row.earliest_at)


def partners(session: Session, *, unit_id: int, trip: rules.Trip, figures: rules.Figures) -> list[Partner]:
    """Return journeys of other people of the pool that a trip could share a car with, the nearest in time first."""
    if len(trip.stops) < 2:
        return []
    first, last = trip.stops[0], trip.stops[-1]
    rows = session.execute(PARTNERS, {
        "unit": unit_id, "start_at": trip.start_at, "within": figures.pool_within, "near_m": figures.pool_near_m,
        "a_lon": first.lon, "a_lat": first.lat, "z_lon": last.lon, "z_lat": last.lat,
    })  # fmt: skip
    return [
        Partner(row.name_zh, row.name_en, row.start_at, row.people, row.body,
                ((row.origin_lon, row.origin_lat), (row.destination_lon, row.destination_lat)))
        for row in rows
        if row.people + trip.people <= max(rules.carries(row.body), rules.carries(trip.body))
    ]  # fmt: skip


def adcode_of(session: Session, *, actor: Actor) -> str | None:
    """Return the district code of the actor's unit."""
    return session.scalar(select(Organisation.adcode).where(Organisation.id == actor.org_id))


def next_workday(session: Session, on: date) -> date:
    """Return the first working day from a date on, by the calendar where its notice is loaded."""
    days = workdays.day_kinds(session, on, on + timedelta(days=LOOK_AHEAD_DAYS))
    return next((day.on for day in days if day.kind is DayKind.WORKDAY), on)


def favourites(session: Session, *, actor: Actor) -> Sequence[FavouriteTrip]:
    """Return the actor's favourite trips, the lately used first."""
    rows = select(FavouriteTrip).where(FavouriteTrip.user_id == actor.user_id)
    used = func.coalesce(FavouriteTrip.used_at, FavouriteTrip.created_at)
    return session.scalars(rows.order_by(used.desc(), FavouriteTrip.id)).all()


def get_favourite(session: Session, *, favourite_id: int, actor: Actor) -> FavouriteTrip:
    """Return one of the actor's own favourites.

    :raises NotFound: no such favourite, or somebody else's.
    """
    mine = select(FavouriteTrip).where(FavouriteTrip.id == favourite_id, FavouriteTrip.user_id == actor.user_id)
    found = session.scalar(mine)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def recent(session: Session, *, actor: Actor) -> list[TravelOrder]:
    """Return the actor's last journeys, each way once, the newest first."""
    mine: Select[TravelOrder] = orders.visible_to(actor).where(TravelOrder.applicant_id == actor.user_id)
    found: dict[tuple[str, ...], TravelOrder] = {}
    for order in session.scalars(mine.order_by(None).order_by(TravelOrder.id.desc()).limit(20)):
        found.setdefault(tuple(stop.name for stop in order.stops), order)
    return list(found.values())[:MOST_RECENT]


def at_the_same_time(session: Session, *, org_id: int, window: Span) -> Sequence[TravelOrder]:
    """Return the living orders of a unit whose window overlaps a span, as far as row-level security shows them."""
    return session.scalars(
        select(TravelOrder).where(
            TravelOrder.org_id == org_id, TravelOrder.state.in_(LIVING), TravelOrder.start_at < window.end,
            TravelOrder.end_at > window.start,
        ).order_by(TravelOrder.start_at, TravelOrder.id)
    ).all()  # fmt: skip


def of_series(session: Session, *, series: str, actor: Actor) -> Sequence[TravelOrder]:
    """Return the orders of a weekly series that the actor may see, by time."""
    rows = orders.visible_to(actor).where(TravelOrder.series == series)
    return session.scalars(rows.order_by(None).order_by(TravelOrder.start_at, TravelOrder.id)).all()


def papers(session: Session, *, order: TravelOrder) -> Sequence[Attachment]:
    """Return the papers of an order that the caller has been shown."""
    return attachments.of(session, subject_type="travel_order", subject_ids=[order.id], actor=SYSTEM)


def get_paper(session: Session, *, order_id: int, attachment_id: int, actor: Actor) -> tuple[Attachment, bytes]:
    """Return a paper of an order that the actor may see.

    :raises NotFound: no such order or paper, or out of reach.
    """
    order = orders.get_order(session, order_id=order_id, actor=actor)
    found, content = attachments.get_content(session, attachment_id=attachment_id, actor=SYSTEM)
    if (found.subject_type, found.subject_id) != ("travel_order", order.id):
        raise NotFound("kit.not_found")
    return found, content
