"""Who may serve whom and when a vehicle is taken: values in, values or ``RuleBroken`` out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import rules as order_rules
from fleetapp.orders.rules import OrderKind, OrderState, Purpose
from fleetapp.vehicles.rules import Category

LONGEST_WINDOW = timedelta(days=7)
"""A plan looks at most this far: what is approved later is better planned later."""
MOST_ORDERS = 300
"""Most orders of one plan; the soonest go first."""

UPKEEP = frozenset({*order_rules.UPKEEP, Purpose.OTHER})
PURPOSES_OF: Mapping[str, frozenset[str]] = {
    Category.JYTX: frozenset({Purpose.DOCUMENTS}),
    Category.ZFZQ: frozenset({Purpose.ENFORCEMENT, Purpose.INSPECTION, Purpose.EMERGENCY}),
}
"""Vehicles of these classes serve these purposes only (中办发〔2017〕71号: no diverting of dispatch and enforcement cars)."""

SOFT = frozenset({"lending", "offer_notice", "vehicle_class", "driver_shift", "driver_rest", "driver_off_duty"})
"""What a dispatcher may decide against: shown and kept in the log, never refused. Everything else refuses."""

TIGHT = frozenset({"vehicle_unavailable", "driver_overlap"})
"""What a plan avoids but a dispatcher may do: between two bookings that leave each other time, without going home."""

MOVABLE = frozenset({OrderState.DISPATCHED, OrderState.DRIVER_ACCEPTED})
"""States in which an order's vehicle has not left: it can be moved to another."""
OUT = frozenset({OrderState.CHECKED_OUT, OrderState.EN_ROUTE})
"""States in which a vehicle is on the road."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Policy figures in force: buffers around an order, electric range kept, hours of drivers."""

    before: timedelta
    after: timedelta
    range_factor: float
    shift_max: timedelta
    drive_max: timedelta
    rest_min: timedelta


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason against a vehicle or driver; the words are ``planning.why.<code>`` with ``params``."""

    code: str
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_soft(self) -> bool:
        """Whether a dispatcher may decide otherwise."""
        return self.code in SOFT

    @property
    def is_of_driver(self) -> bool:
        """Whether another driver could do what this one may not."""
        return self.code.startswith(("driver_", "licence_"))

    @property
    def refuses(self) -> bool:
        """Whether a vehicle proposed with this fault would be refused by hand too."""
        return self.code not in SOFT | TIGHT


def check_plan_window(window: Span, now: datetime) -> None:
    """Refuse a window that is over or too long.

    :raises RuleBroken: ``planning.window_over``, ``planning.window_too_long``.
    """
    if window.end <= now:
        raise RuleBroken("planning.window_over")
    if window.end - window.start > LONGEST_WINDOW:
        raise RuleBroken("planning.window_too_long", days=LONGEST_WINDOW.days)


def taken(start_at: datetime, end_at: datetime, figures: Figures) -> Span:
    """Return how long an order holds its vehicle and driver: its window with the buffers."""
    return Span(start_at, end_at).widened(figures.before, figures.after)


def free(horizon: Span, busy: Iterable[Span]) -> list[Span]:
    """Return what is left of the horizon, in order, apart from each other."""
    found, start = [], horizon.start
    for span in sorted(busy, key=attrgetter("start")):
        if start < min(span.start, horizon.end):
            found.append(Span(start, min(span.start, horizon.end)))
        start = max(start, span.end)
    if start < horizon.end:
        found.append(Span(start, horizon.end))
    return found


def purposes_of(category: str) -> frozenset[str] | None:
    """Return what a vehicle's class may be used for, or None for anything; upkeep of the vehicle itself always."""
    found = PURPOSES_OF.get(category)
    return None if found is None else found | UPKEEP


def purpose_served(kind: str, purpose: str) -> str:
    """Return the purpose that decides which vehicles may serve: a service order is upkeep whatever it says."""
    return Purpose.MAINTENANCE if kind == OrderKind.SERVICE else purpose


def check_separation(*, actor_id: int | None, approver_id: int | None, driver_user_id: int) -> None:
    """Refuse one person in two of the parts approver, dispatcher, driver; the applicant is kept out by permission.

    :raises RuleBroken: ``planning.own_approval`` the dispatcher approved the order, ``planning.own_driving`` the
        dispatcher would drive it, ``planning.approver_drives``.
    """
    if actor_id is not None and actor_id == approver_id:
        raise RuleBroken("planning.own_approval")
    if actor_id is not None and actor_id == driver_user_id:
        raise RuleBroken("planning.own_driving")
    if approver_id is not None and approver_id == driver_user_id:
        raise RuleBroken("planning.approver_drives")


def check_still_ahead(end_at: datetime, *, supplementary: bool, now: datetime) -> None:
    """Refuse to send a vehicle on a journey whose window is over, unless the order was filled in afterwards.

    :raises RuleBroken: ``planning.journey_over``.
    """
    if end_at <= now and not supplementary:
        raise RuleBroken("planning.journey_over")


def check_begun(start_at: datetime, now: datetime) -> None:
    """Refuse to say that nobody came before anybody had to.

    :raises RuleBroken: ``planning.not_begun`` with the start of the order.
    """
    if now < start_at:
        raise RuleBroken("planning.not_begun", at=f"{clock.local(start_at):%m-%d %H:%M}")


def exceptions(
    state: str, *, start_at: datetime, end_at: datetime, assigned_at: datetime, accept: timedelta, in_service: bool, now: datetime
) -> list[str]:  # fmt: skip
    """Return what is wrong with an assigned order at a moment, the most urgent first.

    ``late_start`` the window has begun and the vehicle has not left; ``overstay`` the window is over and it is not back;
    ``out_of_service`` the vehicle cannot go; ``unaccepted`` the driver has not accepted within ``accept``.
    """
    found = []
    if state in MOVABLE and not in_service:
        found.append("out_of_service")
    if state in MOVABLE and start_at <= now:
        found.append("late_start")
    if state in OUT and end_at <= now:
        found.append("overstay")
    if state == OrderState.DISPATCHED and assigned_at + accept <= now:
        found.append("unaccepted")
    return found


def first_refusal(faults: Sequence[Fault]) -> Fault | None:
    """Return the first fault that no dispatcher may decide against."""
    return next((fault for fault in faults if not fault.is_soft), None)
