"""Steps of an activation, who drives which vehicle, and how fast they came: values in, values or ``RuleBroken`` out."""

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken
from fleetapp.orders.rules import OrderKind
from fleetapp.reserves.rules import RANK, Level


class ActivationState(StrEnum):
    """A draft is a preview; an active one has called vehicles up; one stood down or cancelled is over."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    STOOD_DOWN = "STOOD_DOWN"
    CANCELLED = "CANCELLED"


class Step(StrEnum):
    """What moves an activation, or is done while it lasts."""

    CONFIRM = "confirm"
    CANCEL = "cancel"
    CALL_MORE = "call_more"
    SEND = "send"
    CHANGE_LEVEL = "change_level"
    STAND_DOWN = "stand_down"
    SIGN = "sign"


STEPS: Mapping[tuple[ActivationState, Step], ActivationState] = {
    (ActivationState.DRAFT, Step.CONFIRM): ActivationState.ACTIVE,
    (ActivationState.DRAFT, Step.CANCEL): ActivationState.CANCELLED,
    (ActivationState.ACTIVE, Step.CALL_MORE): ActivationState.ACTIVE,
    (ActivationState.ACTIVE, Step.SEND): ActivationState.ACTIVE,
    (ActivationState.ACTIVE, Step.CHANGE_LEVEL): ActivationState.ACTIVE,
    (ActivationState.ACTIVE, Step.SIGN): ActivationState.ACTIVE,
    (ActivationState.ACTIVE, Step.STAND_DOWN): ActivationState.STOOD_DOWN,
    (ActivationState.STOOD_DOWN, Step.SIGN): ActivationState.STOOD_DOWN,
}
"""Where a step leads from a state; a pair that is not here is refused."""


class Standing(StrEnum):
    """What a vehicle does when it might be called: free, on an order that can give it back, or not to be had."""

    FREE = "free"
    BOOKED = "booked"
    OUT = "out"
    KEPT = "kept"
    NO_DRIVER = "no_driver"


class Way(StrEnum):
    """Where a vehicle's way was reckoned from."""

    POSITION = "position"
    YARD = "yard"


YIELDING = frozenset({OrderKind.ORDINARY, OrderKind.EVENT, OrderKind.VETERANS, OrderKind.SERVICE})
"""Kinds of orders that give their vehicle to an emergency; secret papers, enforcement and other emergencies keep theirs."""
HOURS = (1, 72)
"""A vehicle is called up for so many hours, both included; who needs it longer calls again."""
DETOUR, CITY_KMH = 1.35, 32.0
"""Where the road graph has no way: beeline x detour at city speed."""


@dataclass(frozen=True, slots=True)
class Response:
    """When one vehicle answered; ``sent_at`` is when it was called to go."""

    sent_at: datetime
    accepted_at: datetime | None
    left_at: datetime | None
    arrived_at: datetime | None

    def minutes(self, reached: datetime | None) -> float | None:
        """Minutes from the call to a step, one decimal."""
        return None if reached is None else round((reached - self.sent_at).total_seconds() / 60, 1)


@dataclass(frozen=True, slots=True)
class Figures:
    """Response of several vehicles in minutes; ``within`` is how many arrived within the target, ``share`` of all called."""

    called: int
    accepted: int
    left: int
    arrived: int
    accept_min: float | None
    leave_min: float | None
    arrive_min: float | None
    within: int
    share: float | None


def next_state(state: str, step: Step) -> ActivationState:
    """Return where a step leads.

    :raises RuleBroken: ``emergency.wrong_step``.
    """
    found = STEPS.get((ActivationState(state), step))
    if found is None:
        raise RuleBroken("emergency.wrong_step")
    return found


def check_people(*, activator_id: int | None, leader_id: int, officer_id: int) -> None:
    """Refuse one person in two parts: who activates, who approves by word of mouth, who leads on the spot.

    :raises RuleBroken: ``emergency.same_person``.
    """
    if len({activator_id, leader_id, officer_id}) < 3:
        raise RuleBroken("emergency.same_person")


def check_level(before: str, after: Level) -> bool:
    """Tell whether a change of level raises it.

    :raises RuleBroken: ``emergency.same_level``; ``emergency.no_level`` for every day.
    """
    if after is Level.USUAL:
        raise RuleBroken("emergency.no_level")
    if before == after:
        raise RuleBroken("emergency.same_level")
    return RANK[after] > RANK[Level(before)]


def crew(wanted: Sequence[int], drivers: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Give each vehicle a driver of its own, the earlier ones of its list first; vehicles that get none are left out.

    As many vehicles as possible get one (augmenting paths), so that no order of choosing leaves a vehicle behind.

    >>> crew([1, 2], {1: [7, 8], 2: [7]})
    {2: 7, 1: 8}
    """
    taken: dict[int, int] = {}

    def place(vehicle: int, tried: set[int]) -> bool:
        for driver in drivers.get(vehicle, ()):
            if driver in tried:
                continue
            tried.add(driver)
            if driver not in taken or place(taken[driver], tried):
                taken[driver] = vehicle
                return True
        return False

    for vehicle in wanted:
        place(vehicle, set())
    return {vehicle: driver for driver, vehicle in taken.items()}


def pick(
    order: Sequence[int], standings: Mapping[int, Standing], vehicles: int, *, drill: bool, but: Collection[int] = ()
) -> list[int]:
    """Return the vehicles to propose, nearest first: free ones, then, outside a drill, those that an order can give back."""
    ways = (Standing.FREE,) if drill else (Standing.FREE, Standing.BOOKED)
    found = [vehicle for way in ways for vehicle in order if standings[vehicle] is way and vehicle not in but]
    return found[:vehicles]


def figures(responses: Collection[Response], target: timedelta) -> Figures:
    """Return the medians over those that got so far, and the share of all called that arrived within the target."""

    def median(found: list[float]) -> float | None:
        return round(statistics.median(found), 1) if found else None

    accept = [m for r in responses if (m := r.minutes(r.accepted_at)) is not None]
    leave = [m for r in responses if (m := r.minutes(r.left_at)) is not None]
    arrive = [r.arrived_at - r.sent_at for r in responses if r.arrived_at is not None]
    within = sum(1 for took in arrive if took <= target)
    return Figures(
        called=len(responses), accepted=len(accept), left=len(leave), arrived=len(arrive), accept_min=median(accept),
        leave_min=median(leave), arrive_min=median([took.total_seconds() / 60 for took in arrive]), within=within,
        share=round(within / len(responses), 3) if responses else None,
    )  # fmt: skip
