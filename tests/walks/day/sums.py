"""A day from its eve to the closing of the books, and its sums."""

import time
from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import Any

from sqlalchemy import func, select

from fleetapp.findings.models import Finding
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import DRIVEN
from fleetapp.trips.models import Trip
from tests.walks.day import office, road
from tests.walks.day.clock import Clock
from tests.walks.day.fleet import Wish, moment, settle
from tests.walks.day.life import Day

ENDED = frozenset({"CLOSED", "OUTSOURCED", "CANCELLED", "NO_SHOW", "REJECTED", "WITHDRAWN"})
"""What needs nobody any more: closed, rented, or with a reason why it was not driven."""
THURSDAY = date(2026, 11, 19)
EVE = moment(THURSDAY, 13) - timedelta(days=1)
"""When the day's people begin to ask for vehicles; the standing world is a few hours older."""


def prepare(
    base: str,
    url: str,
    database: Database,
    hands: Clock,
    *,
    cars: int,
    orders: int,
    on: date = THURSDAY,
    seed: int = 1,
) -> Day:
    """Return the day with everybody in it, the clock at noon of its eve."""
    day = Day(base, url, database, hands, None, on)  # type: ignore[arg-type]
    hands.begin(day.at(13, -1))
    day.fleet = settle(database, cars=cars, orders=orders, day=on, now=hands.now(), seed=seed)
    return day


def live(day: Day, *, seconds: int, seed: int = 1) -> dict[str, Any]:
    """Live the day and return its sums."""
    began, phases = time.monotonic(), {}

    def phase(name: str) -> None:
        phases[name] = round(time.monotonic() - began - sum(phases.values()), 1)

    try:
        _eve(day)
        day.until(day.at(17.2, -1))
        phase("the eve: applying and approving")
        _plans(day, seconds)
        phase("the first plans")
        _troubles(day, Random(seed))
        _morning(day, seconds)
        day.until(day.at(21))
        phase("the day")
        _afterwards(day)
        phase("until the books are closed")
    except KeyboardInterrupt:
        day.book.failed(f"broken off at {clock.local(day.clock.now()):%m-%d %H:%M}")
    return sums(day, time.monotonic() - began, phases)


def _eve(day: Day) -> None:
    for wish in day.fleet.wishes:
        if wish.asked_at < day.at(17.2, -1):
            day.later(wish.asked_at, "applicant applies", lambda wish=wish: office.apply(day, wish))
    for hour in (14.5, 15.5, 16.5, 17.1):
        day.later(day.at(hour, -1), "approver approves", lambda: office.approve_all(day))


def _plans(day: Day, seconds: int) -> None:
    day.until(day.at(17.3, -1))
    for username in ("dispatcher.xihu", "dispatcher.binjiang", "dispatcher.city"):
        for first, last in ((7, 12), (12, 20)):
            office.plan(day, username, day.at(first), day.at(last), seconds=seconds)
    day.until(day.at(17.5, -1))


def _troubles(day: Day, rng: Random) -> None:
    """Choose what goes wrong with which orders; about one in eight has some trouble."""
    found = list(day.orders.values())
    rng.shuffle(found)
    share = max(1, len(day.fleet.wishes) // 100)
    for kind, n in (
        ("cancel", 3 * share),
        ("late", 4 * share),
        ("breakdown", share),
        ("no_show", share),
        ("silent", share),
        ("overstay", share),
    ):
        for _ in range(n):
            if found:
                day.troubles[found.pop()] = kind


def _morning(day: Day, seconds: int) -> None:
    day.clock.reach(day.at(6.9))
    for wish in day.fleet.wishes:
        if wish.number not in day.orders:
            day.later(wish.asked_at, "applicant applies", lambda wish=wish: office.apply(day, wish))
            day.later(
                wish.asked_at + timedelta(minutes=8),
                "approver approves",
                lambda wish=wish: office.approve(day, wish.unit),
            )
        day.later(wish.start_at - road.READY, "driver sets out", lambda wish=wish: _sets_out(day, wish))
    for order_id, kind in day.troubles.items():
        start = day.wish_of(order_id).start_at
        if kind == "cancel":
            day.later(start - timedelta(minutes=50), "applicant cancels", lambda one=order_id: office.cancel(day, one))
        if kind == "no_show":
            day.later(
                start + timedelta(minutes=20),
                "dispatcher: nobody came",
                lambda one=order_id: office.nobody_came(day, one),
            )
    hours = [7.5 + k for k in range(10)]
    for hour in hours:
        day.later(
            day.at(hour),
            "dispatcher plans again",
            lambda: office.plan(day, "dispatcher.city", day.clock.now(), day.at(20), seconds=seconds) and None,
        )
    for k in range(24):
        at = day.at(7.25 + k / 2)
        day.later(at, "dispatcher: what still waits", lambda at=at: office.leftovers(day, at + timedelta(minutes=50)))
    for k in range(48):
        day.later(day.at(7.75 + k / 4), "dispatcher looks at the board", lambda: office.watch(day, "dispatcher.city"))
    day.later(day.at(20.5), "dispatcher calls off", lambda: office.give_up(day))
    share = max(1, len(day.fleet.wishes) // 150)
    for k in range(share):
        day.later(day.at(9.7 + 1.7 * k), "emergency", lambda k=k: _emergency(day, k))
        day.later(day.at(7.0 + k / 2), "illness", lambda k=k: _illness(day, k))


def _sets_out(day: Day, wish: Wish) -> None:
    order_id = day.orders.get(wish.number)
    if order_id is not None:
        late = timedelta(minutes=30) if day.troubles.get(order_id) == "late" else timedelta(0)
        road.set_out(day, order_id, late=late)


def _emergency(day: Day, k: int) -> None:
    like = day.fleet.wishes[k]
    start = day.clock.now() + timedelta(minutes=20)
    wish = Wish(len(day.fleet.wishes), like.unit, like.applicant, start, start + timedelta(hours=2), like.origin, like.there, 2,
                timedelta(minutes=30), day.clock.now(), urgent=True)  # fmt: skip
    day.fleet.wishes.append(wish)
    office.insert(day, wish)


def _illness(day: Day, k: int) -> None:
    found = [one for one in day.held() if one.state in {"DISPATCHED", "DRIVER_ACCEPTED"}]
    if found:
        office.fall_ill(day, sorted({one.driver_id for one in found})[k])


def _afterwards(day: Day) -> None:
    """Confirm most journeys the next morning, let the rest confirm themselves, then the month's statements and the closing."""
    for order_id in list(day.orders.values()):
        if order_id % 5:
            day.later(day.at(9, 1), "applicant confirms", lambda one=order_id: office.end(day, one))
    day.clock.reach(day.at(8.9, 1))
    day.until(day.at(9.5, 1))
    for days in (2, 4, 6, 9, 11, 13):
        day.clock.reach(day.at(9, days))
        day.until(day.at(9.2, days))
    day.clock.reach(day.at(9, 14))
    office.agree(day)
    day.until(day.at(9.5, 14))


def sums(day: Day, took_s: float, phases: dict[str, float]) -> dict[str, Any]:
    """Return how every order ended and what the day cost; ``left`` are orders that nothing explains."""
    with day.database.transaction(SYSTEM) as session:
        rows = session.execute(
            select(TravelOrder.id, TravelOrder.number, TravelOrder.state, TravelOrder.closing_reason)
        ).all()
        trips = session.scalars(select(Trip).where(Trip.superseded_at.is_(None))).all()
        parts = Counter(part.kind for trip in trips for part in trip.matches)
        matched = {part.order_id for trip in trips for part in trip.matches if part.kind == "matched"}
        clues = dict(session.execute(select(Finding.rule, func.count()).group_by(Finding.rule)).all())
        held_now = {held.order_id for held in day.held()}  # what was rented is closed too, but nobody drove it
        driven = {row.id for row in rows if row.state in DRIVEN and row.id in held_now}
        held = {row.id: why for row in rows if row.state not in ENDED for why in [_why(session, row)]}
    return {
        "walk": "working_day", "cars": len(day.fleet.cars), "orders": len(rows), "seconds": round(took_s, 1), "phases_s": phases,
        "ended": dict(Counter(row.state for row in rows)),
        "left": [f"{row.number} {row.state} {held[row.id]}" for row in rows if row.state not in ENDED and not held[row.id]],
        "explained": Counter(why for why in held.values() if why),
        "without_reason": [row.number for row in rows if row.state in {"CANCELLED", "NO_SHOW", "REJECTED"} and not row.closing_reason],
        "trips": len(trips), "parts": dict(parts), "driven": len(driven), "driven_matched": len(driven & matched),
        "clues": clues, "positions": day.stored, "requests": sum(len(one) for one in day.book.times_s.values()),
        "spent_s": {name: round(one, 1) for name, one in sorted(day.spent_s.items(), key=lambda pair: -pair[1])},
        "slowest": day.book.slowest(), "refusals": dict(sorted(day.book.refusals.items())), "notes": dict(sorted(day.notes.items())),
        "errors": day.book.errors[:40], "error_count": len(day.book.errors),
    }  # fmt: skip


def _why(session: Any, row: Any) -> str:
    """Return what keeps a driven order open: a red clue that somebody must answer first; empty when nothing does."""
    from fleetapp.findings import queries as findings

    open_red = findings.open_red(session, order_ids=[row.id]).get(row.id, [])
    return (
        "red clue " + ", ".join(sorted({one.rule for one in open_red})) if row.state == "SETTLED" and open_red else ""
    )
