"""Plates, identification numbers, bodies and the states of a vehicle: values in, values or ``RuleBroken`` out."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken


class Category(StrEnum):
    """Legal classes of official vehicles (中办发〔2017〕71号, Art. 3)."""

    JYTX = "JYTX"
    YJBZ = "YJBZ"
    ZFZQ = "ZFZQ"
    TZZY = "TZZY"
    QT = "QT"


class Body(StrEnum):
    """Body types; also what an applicant may ask for."""

    SEDAN = "sedan"
    SUV = "suv"
    MPV = "mpv"
    MINIBUS = "minibus"
    COACH = "coach"
    OFFROAD = "offroad"
    PICKUP = "pickup"
    SPECIAL = "special"


class Energy(StrEnum):
    """Energy types; BEV, PHEV and FCEV count as NEV, HEV does not."""

    PETROL = "petrol"
    DIESEL = "diesel"
    HEV = "hev"
    BEV = "bev"
    PHEV = "phev"
    FCEV = "fcev"


class VehicleState(StrEnum):
    """Only IN_SERVICE can be dispatched. PREPARING: accepted, papers and terminal not complete yet."""

    PREPARING = "PREPARING"
    IN_SERVICE = "IN_SERVICE"
    MAINTENANCE = "MAINTENANCE"
    SEALED = "SEALED"
    SUSPENDED = "SUSPENDED"
    DISPOSING = "DISPOSING"
    RETIRED = "RETIRED"


class ManagementMode(StrEnum):
    """Kept by its unit, given to the common pool, or rented."""

    RETAINED = "retained"
    PLATFORM = "platform"
    RENTED = "rented"


class Acquired(StrEnum):
    """How a vehicle came into the fleet."""

    PURCHASE = "purchase"
    TRANSFER = "transfer"
    RENTAL = "rental"
    DONATION = "donation"
    OTHER = "other"


class CostKind(StrEnum):
    """What money was spent on; the first two are purchase (购置费), the rest running costs (运行费) of 三公 accounting."""

    PURCHASE = "purchase"
    PURCHASE_TAX = "purchase_tax"
    FUEL = "fuel"
    CHARGING = "charging"
    MAINTENANCE = "maintenance"
    REPAIR = "repair"
    TYRES = "tyres"
    INSURANCE = "insurance"
    INSPECTION = "inspection"
    TOLL = "toll"
    PARKING_FEE = "parking_fee"
    WASH = "wash"
    RENTAL = "rental"
    ACCIDENT = "accident"
    OTHER = "other"


PURCHASE_COSTS = frozenset([CostKind.PURCHASE, CostKind.PURCHASE_TAX])


@dataclass(frozen=True, slots=True)
class CostRow:
    """One cost of a vehicle as the slice that knows it reports it: CNY, local date; ``source`` is "slice:id"."""

    vehicle_id: int
    org_id: int
    on: date
    kind: CostKind
    amount: Decimal
    source: str
    order_id: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class CostSum:
    """What one organisation's costs of a kind come to in the month that begins on ``month``: CNY."""

    org_id: int
    month: date
    kind: CostKind
    amount: Decimal


class ReadingSource(StrEnum):
    """Where a reading of the odometer comes from; ``import`` is also the first one of a vehicle."""

    MANUAL = "manual"
    CHECK_OUT = "check_out"
    CHECK_IN = "check_in"
    WORK_ORDER = "work_order"
    FUELLING = "fuelling"
    METER_CHANGE = "meter_change"
    IMPORT = "import"


class DocumentKind(StrEnum):
    """Papers and marks of a vehicle that have a number, an issuer and a period."""

    REGISTRATION = "registration"
    COMPULSORY_INSURANCE = "compulsory_insurance"
    COMMERCIAL_INSURANCE = "commercial_insurance"
    INSPECTION = "inspection"
    MARKING = "marking"
    ETC = "etc"
    TERMINAL = "terminal"
    PARKING = "parking"


NEEDED = (
    DocumentKind.REGISTRATION, DocumentKind.COMPULSORY_INSURANCE, DocumentKind.INSPECTION, DocumentKind.MARKING,
    DocumentKind.TERMINAL, DocumentKind.PARKING,
)  # fmt: skip
"""What a vehicle has, or is exempted from, before it goes into service; the last two are no papers but facts of its row."""
EXEMPTIBLE = frozenset([DocumentKind.INSPECTION, DocumentKind.MARKING, DocumentKind.TERMINAL, DocumentKind.PARKING])
"""A new car needs no inspection yet, a confidential one no marking; registration and compulsory insurance are for all."""
WITH_PERIOD = frozenset([DocumentKind.COMPULSORY_INSURANCE, DocumentKind.COMMERCIAL_INSURANCE, DocumentKind.INSPECTION])
BLOCKING = (DocumentKind.COMPULSORY_INSURANCE, DocumentKind.INSPECTION)
"""Papers that must last to the end of a journey (道路交通安全法 Art. 13, 17, 98)."""


class Secrecy(StrEnum):
    """Restricted vehicles stay out of normal track views; secret ones have no track at all."""

    NORMAL = "normal"
    RESTRICTED = "restricted"
    SECRET = "secret"  # noqa: S105 -- a class of vehicle


_S = VehicleState
TRANSITIONS: dict[VehicleState, frozenset[VehicleState]] = {
    _S.PREPARING: frozenset([_S.IN_SERVICE, _S.RETIRED]),
    _S.IN_SERVICE: frozenset([_S.MAINTENANCE, _S.SEALED, _S.SUSPENDED, _S.DISPOSING, _S.RETIRED]),
    _S.MAINTENANCE: frozenset([_S.IN_SERVICE, _S.SEALED, _S.SUSPENDED, _S.DISPOSING, _S.RETIRED]),
    _S.SEALED: frozenset([_S.IN_SERVICE, _S.MAINTENANCE, _S.SUSPENDED, _S.DISPOSING, _S.RETIRED]),
    _S.SUSPENDED: frozenset([_S.IN_SERVICE, _S.MAINTENANCE, _S.SEALED, _S.DISPOSING, _S.RETIRED]),
    _S.DISPOSING: frozenset([_S.IN_SERVICE, _S.SUSPENDED, _S.RETIRED]),
    _S.RETIRED: frozenset(),
}
"""Where a vehicle may go from each state; a retired one stays in the registry for good."""

BY_HAND = frozenset([_S.IN_SERVICE, _S.MAINTENANCE, _S.SEALED, _S.SUSPENDED])
"""Where a fleet manager moves a vehicle; out of the fleet it goes by its disposal only."""

NEV = frozenset([Energy.BEV, Energy.PHEV, Energy.FCEV])

SEATS: dict[Body, tuple[int, int]] = {
    Body.MINIBUS: (10, 19),
    Body.COACH: (20, 60),
    Body.SPECIAL: (1, 60),
}
"""Seats, driver included, of bodies larger than a car (GA 802-2019); every other body has at most nine."""
CAR_SEATS = (2, 9)


class PlateForm(StrEnum):
    """Forms of GA 36-2018 that official vehicles carry."""

    ORDINARY = "ordinary"
    NEV_SMALL = "nev_small"
    NEV_LARGE = "nev_large"
    POLICE = "police"


PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
LETTER = "A-HJ-NP-Z"  # I and O are never used: they look like 1 and 0
BEV_LETTERS, OTHER_NEV_LETTERS = "DABCE", "FGHJK"
_NEV_LETTER = f"[{BEV_LETTERS}{OTHER_NEV_LETTERS}]"
_AREA = f"[{PROVINCES}][{LETTER}]"
PLATE_FORMS: dict[PlateForm, re.Pattern[str]] = {
    # at most two letters among the five
    PlateForm.ORDINARY: re.compile(rf"{_AREA}(?=[0-9]*(?:[{LETTER}][0-9]*){{0,2}}$)[{LETTER}0-9]{{5}}"),
    PlateForm.NEV_SMALL: re.compile(rf"{_AREA}{_NEV_LETTER}[{LETTER}0-9][0-9]{{4}}"),
    PlateForm.NEV_LARGE: re.compile(rf"{_AREA}[0-9]{{5}}{_NEV_LETTER}"),
    PlateForm.POLICE: re.compile(rf"{_AREA}[{LETTER}0-9][0-9]{{3}}警"),
}
NEV_PLATES_SINCE = date(2018, 7, 1)
"""From the middle of 2018 the new-energy plate is issued in every city; older vehicles may keep an ordinary one."""

VIN_VALUES: dict[str, int] = {
    **{str(digit): digit for digit in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    "P": 7,
    "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)

TERMINAL_PHONE = re.compile(r"[1-9A-Za-z][0-9A-Za-z_-]{3,19}")


def normal_plate(text: str) -> str:
    """Return a plate as it is kept: capitals, without blanks and the dot after the area."""
    return re.sub(r"[\s·•.\-]", "", text).upper()


def plate_form(plate: str) -> PlateForm:
    """Return the form of a normal plate.

    :raises RuleBroken: ``vehicles.plate_form``, it fits none.
    """
    for form, pattern in PLATE_FORMS.items():
        if pattern.fullmatch(plate):
            return form
    raise RuleBroken("vehicles.plate_form", plate=plate)


def nev_letter(plate: str, form: PlateForm) -> str:
    """Return the letter of a new-energy plate that names its energy: third character, or last on large vehicles."""
    return plate[2] if form is PlateForm.NEV_SMALL else plate[-1]


def check_plate(plate: str, *, energy: Energy, category: Category, registered_on: date) -> None:
    """Refuse a plate that does not fit the vehicle's energy or class (GA 36-2018).

    :raises RuleBroken: ``vehicles.plate_form``, ``plate_energy`` or ``plate_police``.
    """
    form = plate_form(plate)
    if form is PlateForm.POLICE:
        if category is not Category.ZFZQ:
            raise RuleBroken("vehicles.plate_police", plate=plate)
        return
    if form is PlateForm.ORDINARY:
        fits = energy not in NEV or registered_on < NEV_PLATES_SINCE
    else:
        fits = energy in NEV and (nev_letter(plate, form) in BEV_LETTERS) == (energy is Energy.BEV)
    if not fits:
        raise RuleBroken("vehicles.plate_energy", plate=plate)


def vin_check_digit(vin: str) -> str:
    """Return the check digit (position 9) that 17 characters must have, GB 16735-2019."""
    rest = sum(VIN_VALUES[char] * weight for char, weight in zip(vin, VIN_WEIGHTS, strict=True)) % 11
    return "X" if rest == 10 else str(rest)


def check_vin(vin: str) -> None:
    """Refuse an identification number of the wrong form.

    :raises RuleBroken: ``vehicles.vin_form`` for length or letters (I, O, Q are never used), ``vehicles.vin_check``
        when a character was mistyped.
    """
    if len(vin) != 17 or any(char not in VIN_VALUES for char in vin):
        raise RuleBroken("vehicles.vin_form", vin=vin)
    if vin[8] != vin_check_digit(vin):
        raise RuleBroken("vehicles.vin_check", vin=vin)


def check_seats(body: Body, seats: int) -> None:
    """Refuse a number of seats, driver included, that the body cannot have.

    :raises RuleBroken: ``vehicles.seats``.
    """
    least, most = SEATS.get(body, CAR_SEATS)
    if not least <= seats <= most:
        raise RuleBroken("vehicles.seats", least=least, most=most)


def check_range(energy: Energy, range_km: int | None) -> None:
    """Refuse an electric vehicle without its range (dispatch needs it) and a range on one that has no battery to charge.

    :raises RuleBroken: ``vehicles.range_needed`` or ``vehicles.range_odd``.
    """
    if energy is Energy.BEV and range_km is None:
        raise RuleBroken("vehicles.range_needed")
    if energy not in NEV and range_km is not None:
        raise RuleBroken("vehicles.range_odd")


def check_facts(
    *,
    plate: str,
    vin: str,
    category: Category,
    body: Body,
    energy: Energy,
    seats: int,
    range_km: int | None,
    registered_on: date,
) -> None:
    """Refuse facts of a vehicle that do not fit together: plate, VIN, seats, range.

    :raises RuleBroken: as the four checks above.
    """
    check_plate(plate, energy=energy, category=category, registered_on=registered_on)
    check_vin(vin)
    check_seats(body, seats)
    check_range(energy, range_km)


def check_move(state: VehicleState, to: VehicleState, reason: str) -> None:
    """Refuse a change of state that the table does not have, or one without a reason.

    :raises RuleBroken: ``vehicles.state_move`` or ``vehicles.state_reason``.
    """
    if to not in TRANSITIONS[state]:
        raise RuleBroken("vehicles.state_move", state=state.value, to=to.value)
    if len(reason.strip()) < 2:
        raise RuleBroken("vehicles.state_reason")


def check_document(
    kind: DocumentKind, *, number: str | None, exempt_reason: str | None, valid_from: date, valid_to: date | None
) -> None:
    """Refuse a paper that says nothing, an exemption that the law does not have, and a period that is missing or reversed.

    :raises RuleBroken: ``vehicles.document_content``, ``document_exempt``, ``document_period``.
    """
    if bool(number) == bool(exempt_reason):
        raise RuleBroken("vehicles.document_content")
    if (exempt_reason and kind not in EXEMPTIBLE) or (number and kind in {DocumentKind.TERMINAL, DocumentKind.PARKING}):
        raise RuleBroken("vehicles.document_exempt")
    if (number and kind in WITH_PERIOD and valid_to is None) or (valid_to is not None and valid_to <= valid_from):
        raise RuleBroken("vehicles.document_period")


def readiness(in_force: frozenset[str], *, has_terminal: bool, has_parking: bool) -> dict[DocumentKind, bool]:
    """Return for everything that is needed before service whether it is there, by the kinds in force today."""
    there = (
        set(in_force)
        | ({DocumentKind.TERMINAL} if has_terminal else set())
        | ({DocumentKind.PARKING} if has_parking else set())
    )
    return {kind: kind in there for kind in NEEDED}


def fits_between(reading_m: int, before_m: int | None, after_m: int | None) -> bool:
    """Tell whether a reading lies between its neighbours in time on the same meter; none on a side is no limit."""
    return (before_m is None or before_m <= reading_m) and (after_m is None or reading_m <= after_m)


def lifetime_m(reading_m: int, changes: Iterable[tuple[int, int]]) -> int:
    """Return how far a vehicle has run in all: its reading and what earlier meters counted, given as (end, next start)."""
    return reading_m + sum(end_m - start_m for end_m, start_m in changes)


def terminal_phone(text: str) -> str:
    """Return a terminal's identity as the gateway keeps it: blanks and leading zeros removed.

    :raises RuleBroken: ``vehicles.terminal_form``.
    """
    phone = re.sub(r"\s", "", text).lstrip("0")
    if not TERMINAL_PHONE.fullmatch(phone):
        raise RuleBroken("vehicles.terminal_form", phone=text)
    return phone
