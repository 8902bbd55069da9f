"""What an order may be and which way it may go: values in, values or ``RuleBroken`` out."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken


class OrderState(StrEnum):
    """States of a travel order; who may move it where is ``TRANSITIONS``."""

    SUBMITTED = "SUBMITTED"
    APPROVING = "APPROVING"
    SENT_BACK = "SENT_BACK"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    CANCELLED = "CANCELLED"
    DISPATCHED = "DISPATCHED"
    DRIVER_ACCEPTED = "DRIVER_ACCEPTED"
    CHECKED_OUT = "CHECKED_OUT"
    EN_ROUTE = "EN_ROUTE"
    RETURNED = "RETURNED"
    OUTSOURCED = "OUTSOURCED"
    MILEAGE_CONFIRMED = "MILEAGE_CONFIRMED"
    SETTLED = "SETTLED"
    CLOSED = "CLOSED"
    NO_SHOW = "NO_SHOW"


class OrderAction(StrEnum):
    """What moves an order: applicants and approvers first, then planning, drivers, and who ends it.

    ``PASS`` is one level of the approval chain agreeing while others are still to come. ``LAPSE`` is the system
    cancelling what nobody decided or served before its window was over. ``HAND_OVER`` takes a vehicle that broke down on the
    way from its order, which goes on with another one. ``OUTSOURCE`` sends the people by rental or
    public transport instead of a vehicle of ours.
    """

    SUBMIT = "submit"
    RESUBMIT = "resubmit"
    WITHDRAW = "withdraw"
    PASS = "pass"  # noqa: S105 -- a level of approval, no password
    APPROVE = "approve"
    REJECT = "reject"
    SEND_BACK = "send_back"
    LAPSE = "lapse"
    CANCEL = "cancel"
    OUTSOURCE = "outsource"
    CONFIRM = "confirm"
    SETTLE = "settle"
    CLOSE = "close"
    DISPATCH = "dispatch"
    RELEASE = "release"
    HAND_OVER = "hand_over"
    NO_SHOW = "no_show"
    ACCEPT = "accept"
    CHECK_OUT = "check_out"
    ARRIVE = "arrive"
    CHECK_IN = "check_in"


class OrderKind(StrEnum):
    """What an order is, service orders (fuel, wash, repair, relocation) included so that every movement has one."""

    ORDINARY = "ordinary"
    EMERGENCY = "emergency"
    CONFIDENTIAL = "confidential"
    ENFORCEMENT = "enforcement"
    EVENT = "event"
    VETERANS = "veterans"
    SERVICE = "service"


class Purpose(StrEnum):
    """What the trip is for."""

    MEETING = "meeting"
    INSPECTION = "inspection"
    RESEARCH = "research"
    RECEPTION = "reception"
    TRAINING = "training"
    DOCUMENTS = "documents"
    EMERGENCY = "emergency"
    ENFORCEMENT = "enforcement"
    VETERANS = "veterans"
    MAINTENANCE = "maintenance"
    FUEL = "fuel"
    CHARGE = "charge"
    WASH = "wash"
    REPAIR = "repair"
    INSPECTION_TEST = "inspection_test"
    RELOCATION = "relocation"
    DRILL = "drill"
    OTHER = "other"


class Area(StrEnum):
    """How far a journey goes: inside the subsidy area (补贴区域内), the city, the province, or beyond it."""

    URBAN = "urban"
    CITY = "city"
    PROVINCE = "province"
    BEYOND = "beyond"


class ChangeState(StrEnum):
    """A change of an approved order: asked, agreed to, standing, or given up."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    APPLIED = "APPLIED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


class OccasionState(StrEnum):
    """An event (重大活动) from its planning to its end."""

    PLANNED = "PLANNED"
    ACTIVE = "ACTIVE"
    DONE = "DONE"
    CANCELLED = "CANCELLED"


TRANSITIONS: Mapping[tuple[OrderState | None, OrderAction], OrderState] = {
    (None, OrderAction.SUBMIT): OrderState.SUBMITTED,
    (OrderState.SUBMITTED, OrderAction.WITHDRAW): OrderState.WITHDRAWN,
    (OrderState.SUBMITTED, OrderAction.PASS): OrderState.APPROVING,
    (OrderState.SUBMITTED, OrderAction.APPROVE): OrderState.APPROVED,
    (OrderState.SUBMITTED, OrderAction.REJECT): OrderState.REJECTED,
    (OrderState.SUBMITTED, OrderAction.SEND_BACK): OrderState.SENT_BACK,
    (OrderState.SUBMITTED, OrderAction.LAPSE): OrderState.CANCELLED,
    (OrderState.APPROVING, OrderAction.WITHDRAW): OrderState.WITHDRAWN,
    (OrderState.APPROVING, OrderAction.PASS): OrderState.APPROVING,
    (OrderState.APPROVING, OrderAction.APPROVE): OrderState.APPROVED,
    (OrderState.APPROVING, OrderAction.REJECT): OrderState.REJECTED,
    (OrderState.APPROVING, OrderAction.SEND_BACK): OrderState.SENT_BACK,
    (OrderState.APPROVING, OrderAction.LAPSE): OrderState.CANCELLED,
    (OrderState.SENT_BACK, OrderAction.RESUBMIT): OrderState.SUBMITTED,
    (OrderState.SENT_BACK, OrderAction.WITHDRAW): OrderState.WITHDRAWN,
    (OrderState.SENT_BACK, OrderAction.LAPSE): OrderState.CANCELLED,
    (OrderState.APPROVED, OrderAction.CANCEL): OrderState.CANCELLED,
    (OrderState.APPROVED, OrderAction.LAPSE): OrderState.CANCELLED,
    (OrderState.APPROVED, OrderAction.OUTSOURCE): OrderState.OUTSOURCED,
    (OrderState.APPROVED, OrderAction.DISPATCH): OrderState.DISPATCHED,
    (OrderState.DISPATCHED, OrderAction.CANCEL): OrderState.CANCELLED,
    (OrderState.DISPATCHED, OrderAction.RELEASE): OrderState.APPROVED,
    (OrderState.DISPATCHED, OrderAction.ACCEPT): OrderState.DRIVER_ACCEPTED,
    (OrderState.DRIVER_ACCEPTED, OrderAction.CANCEL): OrderState.CANCELLED,
    (OrderState.DRIVER_ACCEPTED, OrderAction.RELEASE): OrderState.APPROVED,
    (OrderState.DRIVER_ACCEPTED, OrderAction.NO_SHOW): OrderState.NO_SHOW,
    (OrderState.DRIVER_ACCEPTED, OrderAction.CHECK_OUT): OrderState.CHECKED_OUT,
    (OrderState.CHECKED_OUT, OrderAction.HAND_OVER): OrderState.APPROVED,
    (OrderState.EN_ROUTE, OrderAction.HAND_OVER): OrderState.APPROVED,
    (OrderState.CHECKED_OUT, OrderAction.ARRIVE): OrderState.EN_ROUTE,
    (OrderState.CHECKED_OUT, OrderAction.CHECK_IN): OrderState.RETURNED,
    (OrderState.EN_ROUTE, OrderAction.ARRIVE): OrderState.EN_ROUTE,
    (OrderState.EN_ROUTE, OrderAction.CHECK_IN): OrderState.RETURNED,
    (OrderState.RETURNED, OrderAction.CONFIRM): OrderState.MILEAGE_CONFIRMED,
    (OrderState.OUTSOURCED, OrderAction.CONFIRM): OrderState.MILEAGE_CONFIRMED,
    (OrderState.OUTSOURCED, OrderAction.CANCEL): OrderState.CANCELLED,
    (OrderState.MILEAGE_CONFIRMED, OrderAction.SETTLE): OrderState.SETTLED,
    (OrderState.SETTLED, OrderAction.CLOSE): OrderState.CLOSED,
}
"""Where an action leads from a state; a pair that is not here is refused."""

ASSIGNED = frozenset({OrderState.DISPATCHED, OrderState.DRIVER_ACCEPTED})
"""A vehicle is held for the order and can still be given back."""

DRIVEN = frozenset({OrderState.RETURNED, OrderState.MILEAGE_CONFIRMED, OrderState.SETTLED, OrderState.CLOSED})
"""The vehicle is back; what is left is paper."""

WAITING = frozenset({OrderState.SUBMITTED, OrderState.APPROVING})
"""Somebody is asked to approve."""

CHANGEABLE = frozenset({OrderState.APPROVED, *ASSIGNED, OrderState.CHECKED_OUT, OrderState.EN_ROUTE})
"""Approved and not yet over: content changes by change orders only."""

NEEDS_REASON = frozenset({
    OrderAction.REJECT, OrderAction.SEND_BACK, OrderAction.LAPSE, OrderAction.CANCEL, OrderAction.RELEASE,
    OrderAction.NO_SHOW, OrderAction.OUTSOURCE, OrderAction.HAND_OVER,
})  # fmt: skip
"""Actions that take something away from somebody: a reason is required and kept."""

GROUPS: Mapping[str, frozenset[OrderState]] = {
    "to_approve": frozenset({OrderState.SUBMITTED, OrderState.APPROVING, OrderState.SENT_BACK}),
    "to_dispatch": frozenset({OrderState.APPROVED}),
    "under_way": frozenset(
        {*ASSIGNED, OrderState.CHECKED_OUT, OrderState.EN_ROUTE, OrderState.OUTSOURCED},
    ),
    "to_confirm": frozenset({OrderState.RETURNED, OrderState.MILEAGE_CONFIRMED, OrderState.SETTLED}),
    "over": frozenset(
        {OrderState.CLOSED, OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.CANCELLED, OrderState.NO_SHOW}
    ),
}
"""The tabs of a list; each state is in exactly one."""

UPKEEP = frozenset({
    Purpose.MAINTENANCE, Purpose.FUEL, Purpose.CHARGE, Purpose.WASH, Purpose.REPAIR, Purpose.INSPECTION_TEST,
    Purpose.RELOCATION,
})  # fmt: skip
"""What a vehicle itself needs."""

PAST_TENSE = {
    OrderAction.SUBMIT: "submitted",
    OrderAction.RESUBMIT: "resubmitted",
    OrderAction.WITHDRAW: "withdrawn",
    OrderAction.PASS: "passed",
    OrderAction.APPROVE: "approved",
    OrderAction.REJECT: "rejected",
    OrderAction.SEND_BACK: "sent_back",
    OrderAction.LAPSE: "lapsed",
    OrderAction.CANCEL: "cancelled",
    OrderAction.OUTSOURCE: "outsourced",
    OrderAction.HAND_OVER: "handed_over",
    OrderAction.CONFIRM: "confirmed",
    OrderAction.SETTLE: "settled",
    OrderAction.CLOSE: "closed",
    OrderAction.DISPATCH: "dispatched",
    OrderAction.RELEASE: "released",
    OrderAction.NO_SHOW: "no_show",
    OrderAction.ACCEPT: "driver_accepted",
    OrderAction.CHECK_OUT: "checked_out",
    OrderAction.ARRIVE: "arrived",
    OrderAction.CHECK_IN: "checked_in",
}
"""What the audit log calls each action, after ``orders.``."""

PURPOSES: Mapping[OrderKind, frozenset[Purpose]] = {
    OrderKind.ORDINARY: frozenset(Purpose) - {Purpose.EMERGENCY, *UPKEEP, Purpose.DRILL},
    OrderKind.EMERGENCY: frozenset(
        {Purpose.EMERGENCY, Purpose.ENFORCEMENT, Purpose.DOCUMENTS, Purpose.DRILL, Purpose.OTHER}
    ),
    OrderKind.CONFIDENTIAL: frozenset({Purpose.DOCUMENTS, Purpose.MEETING, Purpose.OTHER}),
    OrderKind.ENFORCEMENT: frozenset({Purpose.ENFORCEMENT, Purpose.INSPECTION}),
    OrderKind.EVENT: frozenset({Purpose.MEETING, Purpose.RECEPTION, Purpose.INSPECTION, Purpose.OTHER}),
    OrderKind.VETERANS: frozenset({Purpose.VETERANS}),
    OrderKind.SERVICE: frozenset({*UPKEEP, Purpose.DRILL, Purpose.OTHER}),
}

LONGEST_WINDOW = timedelta(days=15)
FARTHEST_AHEAD = timedelta(days=366)
FARTHEST_BACK = timedelta(days=92)
MOST_STOPS = 8
LAT_BOUNDS = (3.8, 53.6)
LON_BOUNDS = (73.5, 135.1)
"""Degrees WGS-84 that hold all of China; swapped or foreign coordinates fall outside."""
DEFAULT_TOLERANCE_M = 300
EARTH_RADIUS_M = 6_371_008.8


@dataclass(frozen=True, slots=True)
class Limits:
    """Policy figures in force where and when the order is made."""

    lead_time: timedelta
    supplementary: timedelta


@dataclass(frozen=True, slots=True)
class Stop:
    """A place of the journey, WGS-84 degrees; being within ``tolerance_m`` of it counts as being there."""

    name: str
    lat: float
    lon: float
    tolerance_m: int = DEFAULT_TOLERANCE_M


def next_state(state: OrderState | str | None, action: OrderAction | str) -> OrderState:
    """Return where an action leads.

    :raises RuleBroken: ``orders.wrong_step``, the action does not start from that state.
    """
    found = TRANSITIONS.get((OrderState(state) if state else None, OrderAction(action)))
    if found is None:
        raise RuleBroken("orders.wrong_step", state=str(state), action=str(action))
    return found


def check_reason(action: OrderAction, reason: str | None) -> None:
    """Refuse an action that needs a reason without one."""
    if action in NEEDS_REASON and not (reason or "").strip():
        raise RuleBroken("orders.reason_needed")


def check_purpose(kind: OrderKind, purpose: Purpose) -> None:
    """Refuse a purpose that does not go with the kind of order."""
    if purpose not in PURPOSES[kind]:
        raise RuleBroken("orders.purpose_not_for_kind")


def check_occasion(kind: OrderKind, occasion_id: int, known: Collection[int]) -> None:
    """Refuse an event that is over or not the unit's, and one that an order of another kind names.

    :raises RuleBroken: ``orders.occasion_over``, ``orders.occasion_kind``.
    """
    if occasion_id not in known:
        raise RuleBroken("orders.occasion_over")
    if kind is not OrderKind.EVENT:
        raise RuleBroken("orders.occasion_kind")


def check_window(
    start_at: datetime, end_at: datetime, *, kind: OrderKind, supplementary: bool, limits: Limits, now: datetime
) -> None:
    """Refuse a window that is reversed, too long, too late to ask for, or too far ahead.

    A supplementary order (补单) records a journey that began on a spoken approval: it starts in the past. Later than
    ``limits.supplementary`` it is not refused but escalated (``is_late``). Any other is asked for ``limits.lead_time`` ahead, urgent and service ones at
    least not afterwards, to the minute because forms send whole minutes.
    """
    if start_at >= end_at:
        raise RuleBroken("orders.window_reversed")
    if end_at - start_at > LONGEST_WINDOW:
        raise RuleBroken("orders.window_too_long", days=LONGEST_WINDOW.days)
    if start_at > now + FARTHEST_AHEAD:
        raise RuleBroken("orders.too_far_ahead", days=FARTHEST_AHEAD.days)
    minute = now.replace(second=0, microsecond=0)
    if supplementary:
        if start_at > now:
            raise RuleBroken("orders.not_supplementary")
        if start_at < minute - FARTHEST_BACK:
            raise RuleBroken("orders.supplementary_too_late", days=FARTHEST_BACK.days)
        return
    if start_at < minute:
        raise RuleBroken("orders.in_the_past", hours=_number(limits.supplementary / timedelta(hours=1)))
    if kind is OrderKind.ORDINARY and start_at < minute + limits.lead_time:
        raise RuleBroken("orders.too_short_notice", minutes=_number(limits.lead_time / timedelta(minutes=1)))


def check_people(kind: OrderKind, passengers: str, passenger_count: int) -> None:
    """Refuse an order that carries nobody, except service orders, and one that does not say whom."""
    if kind is OrderKind.SERVICE and passenger_count == 0:
        return
    if passenger_count < 1:
        raise RuleBroken("orders.nobody")
    if not passengers.strip():
        raise RuleBroken("orders.passengers_unnamed")


def check_stops(stops: Sequence[Stop]) -> None:
    """Refuse a journey without a destination, with too many, or with a place outside China."""
    if len(stops) < 2:
        raise RuleBroken("orders.no_destination")
    if len(stops) > MOST_STOPS + 1:
        raise RuleBroken("orders.too_many_stops", most=MOST_STOPS)
    for stop in stops:
        if not (LAT_BOUNDS[0] <= stop.lat <= LAT_BOUNDS[1] and LON_BOUNDS[0] <= stop.lon <= LON_BOUNDS[1]):
            raise RuleBroken("orders.stop_outside", name=stop.name)


def check_still_ahead(end_at: datetime, *, supplementary: bool, now: datetime) -> None:
    """Refuse to approve a journey whose window is already over, unless it was filled in afterwards."""
    if end_at <= now and not supplementary:
        raise RuleBroken("orders.window_over")


def is_named(text: str, names: Sequence[str]) -> bool:
    """Tell whether any of the names stands in a text typed by hand; blanks and letter case do not count."""
    squeezed = "".join(text.split()).casefold()
    return any("".join(name.split()).casefold() in squeezed for name in names if name.strip())


def round_trip_m(points: Sequence[tuple[float, float]]) -> float:
    """Return the beeline length through ``(lat, lon)`` points and back to the first, in metres on the mean sphere."""
    return sum(_beeline_m(a, b) for a, b in zip(points, [*points[1:], *points[:1]], strict=True))


def group_of(state: OrderState | str) -> str:
    """Return the tab that a state belongs to."""
    return next(name for name, states in GROUPS.items() if state in states)


def mermaid() -> str:
    """Return the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for (state, action), target in TRANSITIONS.items():
        lines.append(f"    {state or '[*]'} --> {target}: {action}")
    starts = {state for state, _ in TRANSITIONS}
    lines += [f"    {state} --> [*]" for state in OrderState if state not in starts]
    return "\n".join(lines) + "\n"


def _beeline_m(a: tuple[float, float], b: tuple[float, float]) -> float:
    lat_a, lon_a, lat_b, lon_b = map(math.radians, (*a, *b))
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))


def _number(value: float) -> str:
    return f"{value:g}"
