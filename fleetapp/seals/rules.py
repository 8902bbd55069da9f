"""How a campaign and each of its vehicles move on, what a proof must say, which light is shown: values in, values out.

Sources: 党政机关公务用车管理办法 (中办发〔2017〕71号) on holidays: vehicles are sealed in their place except as work requires; the clues
B-04 and B-05 of this system.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken
from fleetapp.workdays.rules import Day, DayKind


class CampaignState(StrEnum):
    """Where a notice stands."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    RUNNING = "RUNNING"
    CLOSED = "CLOSED"
    CANCELLED = "CANCELLED"


class CampaignAction(StrEnum):
    """What moves a notice."""

    PUBLISH = "publish"
    START = "start"
    CLOSE = "close"
    CANCEL = "cancel"


class RecordState(StrEnum):
    """Where one vehicle of a notice stands; MISSED: the period ended and it was never proved."""

    TO_SEAL = "TO_SEAL"
    SEALED = "SEALED"
    UNSEALED = "UNSEALED"
    EXEMPT = "EXEMPT"
    MISSED = "MISSED"
    CANCELLED = "CANCELLED"


class RecordAction(StrEnum):
    """What moves one vehicle; miss and cancel come with the notice's end."""

    PROVE = "prove"
    EXEMPT = "exempt"
    UNSEAL = "unseal"
    UNSEAL_FOR_DUTY = "unseal_for_duty"
    MISS = "miss"
    CANCEL = "cancel"


class ExceptionState(StrEnum):
    """Where a request to keep a vehicle for duty stands."""

    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class KeyHolder(StrEnum):
    """Who keeps the key meanwhile."""

    DUTY_ROOM = "duty_room"
    UNIT_ADMIN = "unit_admin"
    FLEET_MANAGER = "fleet_manager"
    LEADER = "leader"


class Light(StrEnum):
    """What a unit is shown."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


_C, _CA = CampaignState, CampaignAction
CAMPAIGN_STEPS: Mapping[tuple[CampaignState, CampaignAction], CampaignState] = {
    (_C.DRAFT, _CA.PUBLISH): _C.PUBLISHED,
    (_C.DRAFT, _CA.CANCEL): _C.CANCELLED,
    (_C.PUBLISHED, _CA.START): _C.RUNNING,
    (_C.PUBLISHED, _CA.CANCEL): _C.CANCELLED,
    (_C.RUNNING, _CA.CLOSE): _C.CLOSED,
}
IN_FORCE = frozenset([_C.PUBLISHED, _C.RUNNING])
"""Vehicles are sealed and exempted while the notice is in force."""
_R, _RA = RecordState, RecordAction
RECORD_STEPS: Mapping[tuple[RecordState, RecordAction], RecordState] = {
    (_R.TO_SEAL, _RA.PROVE): _R.SEALED,
    (_R.TO_SEAL, _RA.EXEMPT): _R.EXEMPT,
    (_R.TO_SEAL, _RA.MISS): _R.MISSED,
    (_R.TO_SEAL, _RA.CANCEL): _R.CANCELLED,
    (_R.EXEMPT, _RA.PROVE): _R.SEALED,
    (_R.EXEMPT, _RA.EXEMPT): _R.EXEMPT,
    (_R.EXEMPT, _RA.CANCEL): _R.CANCELLED,
    (_R.SEALED, _RA.UNSEAL): _R.UNSEALED,
    (_R.SEALED, _RA.UNSEAL_FOR_DUTY): _R.EXEMPT,
}
"""An exempted vehicle whose duty is over is sealed like the others; a sealed one is unsealed even after the notice is closed."""
LIVING = frozenset([_R.TO_SEAL, _R.SEALED, _R.EXEMPT])

FIXED_HOLIDAYS = (("元旦", (1, 1), 1), ("劳动节", (5, 1), 2), ("国庆节", (10, 1), 3))
"""Days off on fixed dates (全国年节及纪念日放假办法, 2024 text): all that is known of a year whose notice is not out."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A holiday ``[start_on, end_on)``; ``known`` false: the year's notice is not loaded, only the statutory days are sure."""

    holiday: str
    start_on: date
    end_on: date
    known: bool


def next_campaign_state(state: str, action: CampaignAction) -> CampaignState:
    """Return where an action leads a notice.

    :raises RuleBroken: ``seals.wrong_step``.
    """
    after = CAMPAIGN_STEPS.get((CampaignState(state), action))
    if after is None:
        raise RuleBroken("seals.wrong_step", state=state)
    return after


def next_record_state(state: str, action: RecordAction) -> RecordState:
    """Return where an action leads one vehicle's record.

    :raises RuleBroken: ``seals.wrong_step``.
    """
    after = RECORD_STEPS.get((RecordState(state), action))
    if after is None:
        raise RuleBroken("seals.wrong_step", state=state)
    return after


def next_holiday(days: Iterable[Day], on: date) -> Proposal:
    """Return the first holiday that begins after a day: by the notice where it is loaded, else the next fixed statutory one."""
    found: list[Day] = []
    for day in days:
        if day.kind is DayKind.HOLIDAY and day.on > on and (not found or day.on - found[-1].on == timedelta(days=1)):
            found.append(day)
        elif found:
            break
    if found:
        return Proposal(found[0].name, found[0].on, found[-1].on + timedelta(days=1), known=True)
    fixed = (
        (date(year, *first), name, length)
        for year in (on.year, on.year + 1)
        for name, first, length in FIXED_HOLIDAYS
        if date(year, *first) > on
    )
    start_on, name, length = min(fixed)
    return Proposal(name, start_on, start_on + timedelta(days=length), known=False)


def check_period(start_on: date, end_on: date, *, today: date) -> None:
    """Refuse a period that is empty, too long to be a holiday, or over.

    :raises RuleBroken: ``seals.bad_period``.
    """
    if not timedelta(0) < end_on - start_on <= timedelta(days=31) or end_on <= today:
        raise RuleBroken("seals.bad_period")


def check_exception(start_on: date, end_on: date, *, campaign_start_on: date, campaign_end_on: date) -> None:
    """Refuse a duty period that is empty or not inside the notice's.

    :raises RuleBroken: ``seals.exception_period``.
    """
    if not campaign_start_on <= start_on < end_on <= campaign_end_on:
        raise RuleBroken("seals.exception_period")


def unsealing(
    campaign_state: str, *, end_on: date, exempt_from: date | None, exempt_until: date | None, on: date
) -> RecordAction:
    """Return what unsealing means on a local day: the end of the sealing, or the beginning of an approved duty.

    :raises RuleBroken: ``seals.still_sealed``, the period is not over and no approved duty has begun.
    """
    if on >= end_on or campaign_state not in IN_FORCE:
        return RecordAction.UNSEAL
    if exempt_from is not None and exempt_until is not None and exempt_from <= on < exempt_until:
        return RecordAction.UNSEAL_FOR_DUTY
    raise RuleBroken("seals.still_sealed")


def standing(
    state: str, *, exempt_from: date | None, exempt_until: date | None, start_on: date, on: date
) -> RecordState:
    """Return how a record counts on a local day: a duty that is over, or has not begun while the sealing has, is no excuse."""
    if state == RecordState.EXEMPT and exempt_from is not None and exempt_until is not None:
        covered = exempt_from <= max(on, start_on) < exempt_until
        return RecordState.EXEMPT if covered else RecordState.TO_SEAL
    return RecordState(state)


@dataclass(frozen=True, slots=True)
class UnitCount:
    """A unit's vehicles under a notice; ``moved``, ``outside`` and ``odd`` are among the sealed ones, ``asked`` among the others."""

    to_seal: int = 0
    sealed: int = 0
    unsealed: int = 0
    exempt: int = 0
    missed: int = 0
    asked: int = 0
    moved: int = 0
    outside: int = 0
    odd: int = 0

    @property
    def total(self) -> int:
        """All vehicles of the unit under the notice."""
        return self.to_seal + self.sealed + self.unsealed + self.exempt + self.missed


def too_many_exempt(count: UnitCount, share: Decimal) -> bool:
    """Tell whether more vehicles are exempt than the share allows; one is always allowed."""
    return count.exempt > max(Decimal(1), share * count.total)


def light(count: UnitCount, *, late: bool, ended: bool, share: Decimal) -> Light:
    """Return the light of a unit; ``late``: every vehicle had to be proved by now, ``ended``: every seal may be lifted."""
    if count.moved or count.outside or count.odd or count.missed or (late and count.to_seal):
        return Light.RED
    if count.to_seal or count.asked or (ended and count.sealed) or (not ended and too_many_exempt(count, share)):
        return Light.AMBER
    return Light.GREEN
