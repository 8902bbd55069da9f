"""Which distance is confirmed, how far the three readings may differ, whose turn it is: values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import NotAllowed, RuleBroken

LONGEST_M = 3_000_000
"""No journey of one order is longer: 3,000 km, as for the odometer."""


class Source(StrEnum):
    """Where the confirmed distance comes from, the first that there is; the bill of a hired journey has its own."""

    CORRECTED = "CORRECTED"
    ODOMETER = "ODOMETER"
    GPS = "GPS"
    PLANNED = "PLANNED"
    BILL = "BILL"


class Level(StrEnum):
    """The light over a difference; UNSURE: what it is compared with is an estimate or has gaps, so nobody need explain."""

    NEAR = "NEAR"
    APART = "APART"
    FAR = "FAR"
    UNSURE = "UNSURE"


ITEMS = ("punctual", "driving", "service", "cleanliness", "safety")
"""What is rated from 1 to 5 (DB33/T 1402-2024, service evaluation), in their order on the page."""


@dataclass(frozen=True, slots=True)
class Distances:
    """The three readings of one journey in metres; None where there is none.

    ``planned_sure`` when the plan follows roads and is no estimate; ``gps_coverage`` is the share of the time with fixes.
    """

    planned_m: float | None = None
    planned_sure: bool = False
    gps_m: float | None = None
    gps_coverage: float | None = None
    odometer_m: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Policy figures in force: beyond both ``share`` and ``metres`` a difference is to be explained."""

    share: float
    metres: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the odometer is from another reading: ``metres`` with its sign, ``share`` of the other one."""

    of: Source
    metres: float
    share: float | None
    level: Level


def differences(found: Distances, limits: Limits) -> tuple[Difference, ...]:
    """Return how far the odometer is from GPS and from the plan, as far as they are known.

    The plan leaves out the way from the garage and every detour, so it is only asked about when GPS does not vouch for the
    odometer: when there is none, or it has gaps and says something else.
    """
    if found.odometer_m is None:
        return ()
    made, plan_counts = [], found.planned_sure
    if found.gps_m is not None:
        sure = found.gps_coverage is not None and found.gps_coverage >= limits.coverage
        made.append(_difference(Source.GPS, found.odometer_m, found.gps_m, limits, sure))
        plan_counts = plan_counts and made[0].level is Level.UNSURE
    if found.planned_m is not None:
        made.append(_difference(Source.PLANNED, found.odometer_m, found.planned_m, limits, plan_counts))
    return tuple(made)


def _difference(of: Source, odometer_m: float, other_m: float, limits: Limits, sure: bool) -> Difference:
    metres = odometer_m - other_m
    share = abs(metres) / other_m if other_m > 0 else None
    over_share, over_metres = share is None or share > limits.share, abs(metres) > limits.metres
    level = Level.FAR if over_share and over_metres else Level.APART if over_share or over_metres else Level.NEAR
    return Difference(of, metres, share, level if sure or level is Level.NEAR else Level.UNSURE)


def to_explain(found: Sequence[Difference]) -> bool:
    """Tell whether a difference is beyond policy."""
    return any(one.level is Level.FAR for one in found)


def proposal(found: Distances, *, corrected_m: int | None) -> tuple[int, Source] | None:
    """Return the distance to confirm in metres and where it comes from; None when nothing is known."""
    readings = ((corrected_m, Source.CORRECTED), (found.odometer_m, Source.ODOMETER), (found.gps_m, Source.GPS),
                (found.planned_m, Source.PLANNED))  # fmt: skip
    return next(((round(metres), source) for metres, source in readings if metres is not None), None)


def is_open(remarks: int) -> bool:
    """Tell whether an objection waits: objections and answers take turns, the objection first."""
    return remarks % 2 == 1


def check_objection(remarks: int) -> None:
    """Refuse a second objection before the first is answered."""
    if is_open(remarks):
        raise RuleBroken("confirmations.objection_open")


def check_answer(remarks: int, proposed_m: int | None) -> None:
    """Refuse an answer to nothing and a distance that no journey has."""
    if not is_open(remarks):
        raise RuleBroken("confirmations.no_objection")
    check_distance(proposed_m)


def check_distance(metres: int | None) -> None:
    """Refuse a distance that no journey has."""
    if metres is not None and not 0 <= metres <= LONGEST_M:
        raise RuleBroken("confirmations.distance_odd", most_km=f"{LONGEST_M // 1000:,}")


def check_explained(needed: bool, reason: str | None) -> None:
    """Refuse to confirm a difference beyond policy without a word about it."""
    if needed and len((reason or "").strip()) < 2:
        raise RuleBroken("confirmations.explain")


def check_bill(outsourced: bool, bill_cny: Decimal | None, receipt: object) -> None:
    """Refuse a hired journey without its bill and receipt, and a bill for one of our own vehicles."""
    if outsourced and (bill_cny is None or receipt is None):
        raise RuleBroken("confirmations.bill_needed")
    if not outsourced and bill_cny is not None:
        raise RuleBroken("confirmations.no_bill")


def check_person(user_id: int | None, driver_user_id: int | None) -> None:
    """Refuse the driver of the journey, whatever other roles he has."""
    if user_id is not None and user_id == driver_user_id:
        raise NotAllowed("confirmations.driver_may_not")


def due_at(returned_at: datetime, answered_at: datetime | None, after: timedelta) -> datetime:
    """Return when a journey is confirmed by itself: so long after check-in, or after the last answer."""
    return max(returned_at, answered_at or returned_at) + after


def check_ratable(returned_at: datetime, *, within: timedelta, now: datetime) -> None:
    """Refuse a rating after its time."""
    if now >= returned_at + within:
        raise RuleBroken("confirmations.rating_late", days=within.days)


def is_low(scores: Mapping[str, int], low: int) -> bool:
    """Tell whether somebody should look at what went wrong."""
    return any(score <= low for score in scores.values())
