"""The last day of the story: orders done, driving, dispatched, approved, pending, as they stand at ``now``."""

from dataclasses import replace
from datetime import datetime, timedelta

from fleetapp.demo.drive import LOCAL
from fleetapp.demo.planner import Planner, Wish
from fleetapp.demo.purposes import CANCELLATIONS, PURPOSES, REJECTIONS
from fleetapp.demo.records import Order
from fleetapp.demo.tours import ceil_to, local_moment

DONE, DRIVING, DISPATCHED, APPROVED, PENDING, CLOSED = 0.5, 0.9, 0.2, 0.2, 0.2, 0.05
"""How many orders of a state there are today for each order of an ordinary day."""
FIRST_HOUR, LAST_HOUR = 6.5, 19.5
TRIES = 60
PATROL_PURPOSES = ("inspection", "enforcement", "research")
PATROL_STOPS = 6
PATROL_DWELL_S = (150.0, 330.0)
STILL_OUT = timedelta(minutes=25)
LATEST_BACK = timedelta(hours=9)


def today(planner: Planner, *, now: datetime, orders_per_day: int) -> None:
    """Add the orders of the day of ``now``; on a rest day or at night those under way are emergency duty."""
    makers = ((_done, DONE), (_driving, DRIVING), (_dispatched, DISPATCHED), (_approved, APPROVED), (_pending, PENDING))
    for make, share in (*makers, (_rejected, CLOSED), (_cancelled, CLOSED)):
        for _ in range(max(1, round(orders_per_day * share))):
            for _ in range(TRIES):
                if make(planner, now):
                    break


def _ordinary(planner: Planner, at: datetime) -> bool:
    local = at.astimezone(LOCAL)
    return planner.day_kind(local.date()) == "workday" and FIRST_HOUR <= local.hour + local.minute / 60 < LAST_HOUR


def _done(planner: Planner, now: datetime) -> Order | None:
    """Out and back before now; none when the day has hardly begun."""
    rng = planner.rng
    first_at, last_at = local_moment(now.astimezone(LOCAL).date(), FIRST_HOUR), now - timedelta(minutes=70)
    if last_at <= first_at:
        return None
    depart_at = first_at + timedelta(seconds=round(rng.random() * (last_at - first_at).total_seconds()))
    wish = planner.wish(None if _ordinary(planner, depart_at) else "emergency")
    short = tuple(min(dwell_s, rng.uniform(900, 2400)) for dwell_s in wish.dwells_s)
    return planner.driven(replace(wish, dwells_s=short), depart_at=depart_at, latest_at=now - timedelta(minutes=10))


def _driving(planner: Planner, now: datetime) -> Order | None:
    """A round of several short stops that began a while ago and still has some way to go."""
    rng = planner.rng
    depart_at = (now - timedelta(minutes=rng.randint(8, 70))).replace(microsecond=0)
    code = rng.choice(PATROL_PURPOSES) if _ordinary(planner, depart_at) else "emergency"
    wish = planner.wish(code)
    stops = planner.stops(wish.unit.home, PURPOSES[code], PATROL_STOPS)
    order = planner.driven(
        replace(wish, stops=stops, dwells_s=tuple(rng.uniform(*PATROL_DWELL_S) for _ in stops)),
        depart_at=depart_at,
        earliest_at=now + STILL_OUT,
        latest_at=now + LATEST_BACK,
        variant="patrol",
    )
    if order is None:
        return None
    seen = tuple(at for at in order.arrivals if at <= now)
    return planner.change(order, state="driving", arrivals=seen, checked_in_at=None)


def _pending(planner: Planner, now: datetime) -> Order | None:
    """Applied for a while ago, nobody has decided."""
    rng = planner.rng
    wish = planner.wish()
    start_at = ceil_to(now + timedelta(minutes=rng.uniform(45, 420)), 15)
    while not _ordinary(planner, start_at):
        local = start_at.astimezone(LOCAL)
        on = local.date() + timedelta(days=local.hour >= FIRST_HOUR)
        start_at = ceil_to(local_moment(on, rng.uniform(8.5, 15.0)), 15)
    end_at = start_at + timedelta(minutes=30 * rng.randint(3, 8))
    created_at = (now - timedelta(minutes=rng.uniform(45, 240))).replace(microsecond=0)
    return planner.paper(wish, start_at=start_at, end_at=end_at, created_at=created_at)


def _approved(planner: Planner, now: datetime) -> Order | None:
    """Approved, waiting for a vehicle."""
    order = _pending(planner, now)
    decided_at = order.created_at + timedelta(minutes=planner.rng.randint(5, 15)) if order else now
    return order and planner.change(order, state="approved", decided_at=decided_at)


def _dispatched(planner: Planner, now: datetime) -> Order | None:
    """A vehicle and a driver are booked and leave later; every other driver has accepted."""
    order = _approved(planner, now)
    if order is None or order.decided_at is None:
        return None
    unit = next(org for org in planner.city.orgs if org.code == order.unit)
    wish = Wish(unit, order.purpose, order.passengers, order.stops, (), (order.reason, order.reason_en))
    booked = planner.reserved(wish, start_at=order.start_at, end_at=order.end_at)
    if booked is None:
        return order
    vehicle, driver = booked
    before = sum(one.state == "dispatched" for one in planner.orders)
    dispatched_at = order.decided_at + timedelta(minutes=planner.rng.randint(5, 15))
    return planner.change(
        order,
        state="dispatched",
        body=vehicle.model.body,
        plate=vehicle.plate,
        driver=driver.username,
        dispatcher=planner.dispatcher_of(unit),
        dispatched_at=dispatched_at,
        accepted_at=None if before % 2 else dispatched_at + timedelta(minutes=3),
    )


def _rejected(planner: Planner, now: datetime) -> Order | None:
    return _closed(planner, now, "rejected", 0, REJECTIONS)


def _cancelled(planner: Planner, now: datetime) -> Order | None:
    return _closed(planner, now, "cancelled", 10, CANCELLATIONS)


def _closed(planner: Planner, now: datetime, state: str, after_min: int, reasons: tuple[str, ...]) -> Order | None:
    order = _approved(planner, now)
    if order is None or order.decided_at is None:
        return None
    closed_at = order.decided_at + timedelta(minutes=after_min)
    return planner.change(order, state=state, closed_at=closed_at, closing_reason=planner.rng.choice(reasons))
