"""Which licence may drive what, and for how long: values in, values or ``RuleBroken`` out."""

from datetime import date, timedelta
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken


class Licence(StrEnum):
    """Permitted classes (准驾车型) that official vehicles need: A1 coach, B1 minibus, C1 car, C2 automatic car."""

    A1 = "A1"
    B1 = "B1"
    C1 = "C1"
    C2 = "C2"


class AbsenceState(StrEnum):
    """A wish to be away: asked, then granted, refused or taken back."""

    REQUESTED = "REQUESTED"
    GRANTED = "GRANTED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"


LONGEST_LEAVE = timedelta(days=60)
"""A longer absence is for the office of personnel, not for the roster."""


def check_leave(from_on: date, until_on: date, today: date) -> None:
    """Refuse days that are over, the wrong way round or too many.

    :raises RuleBroken: ``drivers.leave_days``.
    """
    if not today <= from_on <= until_on or until_on - from_on > LONGEST_LEAVE:
        raise RuleBroken("drivers.leave_days")


MOST_SEATS: dict[Licence, int | None] = {Licence.A1: None, Licence.B1: 19, Licence.C1: 9, Licence.C2: 9}
"""Largest passenger vehicle by seats, driver included; None has no limit (公安部令第 162 号, annex 1, with GA 802-2019)."""


class Validity(StrEnum):
    """Whether a licence still counts on a day."""

    VALID = "valid"
    SOON = "soon"
    EXPIRED = "expired"


def validity(valid_to: date, on: date, soon_days: int = 0) -> Validity:
    """Return the validity on a local day; ``valid_to`` is the last day that counts, ``soon_days`` before it a reminder is due."""
    if on > valid_to:
        return Validity.EXPIRED
    return Validity.SOON if valid_to - on <= timedelta(days=soon_days) else Validity.VALID


def may_drive(licence: Licence, seats: int) -> bool:
    """Tell whether a licence covers a vehicle of so many seats, driver included."""
    most = MOST_SEATS[licence]
    return most is None or seats <= most


def licences_for(seats: int) -> list[Licence]:
    """Return the licences that cover a vehicle of so many seats."""
    return [licence for licence in Licence if may_drive(licence, seats)]


def check_fit(licence: Licence, valid_to: date, *, seats: int, on: date) -> None:
    """Refuse a driver whose licence is of the wrong class or expired on the last day of a trip.

    :raises RuleBroken: ``drivers.licence_class`` or ``drivers.licence_expired``.
    """
    if not may_drive(licence, seats):
        raise RuleBroken("drivers.licence_class", licence=licence.value, seats=seats)
    if validity(valid_to, on) is Validity.EXPIRED:
        raise RuleBroken("drivers.licence_expired", on=valid_to.isoformat())


def check_renewal(valid_to: date, on: date) -> None:
    """Refuse to enter a licence that has already expired.

    :raises RuleBroken: ``drivers.licence_expired``.
    """
    if valid_to < on:
        raise RuleBroken("drivers.licence_expired", on=valid_to.isoformat())
