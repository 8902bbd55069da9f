"""The attributes of a vehicle's file, what a value of each looks like, and how complete a file is."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import Energy


class Kind(StrEnum):
    """What a value is."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    FLAG = "flag"


class Applies(StrEnum):
    """For which vehicles an attribute has a meaning."""

    ALL = "all"
    ENGINE = "engine"
    PLUG = "plug"


WITH_ENGINE = frozenset([Energy.PETROL, Energy.DIESEL, Energy.HEV, Energy.PHEV])
WITH_PLUG = frozenset([Energy.BEV, Energy.PHEV])


@dataclass(frozen=True, slots=True)
class Attribute:
    """One line of the file. ``source`` names where its value comes from; "fact" is typed in by hand.

    "vehicle.x", "paper.kind.x", "acquisition.x" and "terminal.phone" are read from there, so they cannot differ from it;
    a vehicle from before the system has no acquisition, so those may be typed in as well.
    """

    key: str
    group: str
    source: str = "fact"
    kind: Kind = Kind.TEXT
    mandatory: bool = True
    applies: Applies = Applies.ALL

    @property
    def by_hand(self) -> bool:
        """Tell whether somebody may type it in."""
        return self.source == "fact" or self.source.startswith("acquisition.")


def _rows(group: str, *rows: tuple[str, str] | tuple[str, str, str]) -> tuple[Attribute, ...]:
    """Return attributes from (key, source[, marks]); marks: o optional, n number, d date, f flag, e engine, p plug."""
    kinds = {"n": Kind.NUMBER, "d": Kind.DATE, "f": Kind.FLAG}
    reach = {"e": Applies.ENGINE, "p": Applies.PLUG}
    made = []
    for key, source, *rest in rows:
        marks = rest[0] if rest else ""
        kind = next((kinds[mark] for mark in marks if mark in kinds), Kind.TEXT)
        applies = next((reach[mark] for mark in marks if mark in reach), Applies.ALL)
        made.append(Attribute(key, group, source, kind, "o" not in marks, applies))
    return tuple(made)


ATTRIBUTES: tuple[Attribute, ...] = (
    *_rows(
        "identity",
        ("plate", "vehicle.plate"), ("plate_form", "vehicle.plate_form"), ("vin", "vehicle.vin"),
        ("engine_no", "vehicle.engine_no", "e"), ("motor_no", "fact", "p"), ("brand", "fact"), ("model", "vehicle.model"),
        ("manufacturer", "fact"), ("made_on", "vehicle.made_on", "d"), ("domestic", "vehicle.domestic", "f"),
        ("certificate_no", "fact"), ("announcement_batch", "fact", "o"), ("colour", "vehicle.colour"),
    ),
    *_rows(
        "class",
        ("category", "vehicle.category"), ("body", "vehicle.body"), ("size_class", "fact"), ("seats", "vehicle.seats", "n"),
        ("management_mode", "vehicle.management_mode"), ("secrecy", "vehicle.secrecy"), ("purpose", "fact", "o"),
    ),
    *_rows(
        "power",
        ("energy", "vehicle.energy"), ("displacement_ml", "vehicle.displacement_ml", "ne"), ("engine_power_kw", "fact", "ne"),
        ("emission_standard", "fact", "e"), ("label_l_100km", "fact", "ne"), ("tank_l", "vehicle.tank_l", "ne"),
        ("fuel_grade", "vehicle.fuel_grade", "e"), ("gearbox", "fact", "o"), ("battery_kwh", "vehicle.battery_kwh", "np"),
        ("range_km", "vehicle.range_km", "np"), ("motor_power_kw", "fact", "np"), ("battery_type", "fact", "p"),
        ("battery_maker", "fact", "op"), ("charging_port", "fact", "p"), ("battery_warranty_until", "fact", "dop"),
    ),
    *_rows(
        "size",
        ("length_mm", "fact", "n"), ("width_mm", "fact", "n"), ("height_mm", "fact", "n"), ("wheelbase_mm", "fact", "n"),
        ("kerb_mass_kg", "fact", "n"), ("total_mass_kg", "fact", "n"), ("axles", "fact", "no"), ("tyre_size", "fact"),
        ("tyre_count", "fact", "no"), ("drive", "fact", "o"),
    ),
    *_rows(
        "holder",
        ("unit", "vehicle.unit"), ("unit_code", "vehicle.unit_code"), ("owner", "paper.registration.holder_name"),
        ("office", "fact", "o"), ("custodian_post", "fact"), ("key_place", "fact", "o"), ("parking", "vehicle.parking"),
        ("fixed_driver_post", "fact", "o"),
    ),
    *_rows(
        "acquisition",
        ("acquired_by", "vehicle.acquired_by"), ("acquired_on", "vehicle.acquired_on", "d"), ("indicator_no", "acquisition.number"),
        ("budget_no", "acquisition.budget_no"), ("fund_source", "fact"), ("contract_no", "acquisition.contract_no"),
        ("supplier", "acquisition.supplier"), ("price_ex_tax", "vehicle.price_ex_tax", "n"),
        ("purchase_tax", "vehicle.purchase_tax", "n"), ("invoice_no", "fact"), ("invoice_on", "fact", "d"),
        ("accepted_on", "acquisition.accepted_on", "d"), ("asset_card_no", "fact"), ("archive_no", "fact", "o"),
    ),
    *_rows(
        "papers",
        ("registered_on", "vehicle.registered_on", "d"), ("licence_no", "paper.registration.number"),
        ("registration_certificate_no", "fact"), ("compulsory_no", "paper.compulsory_insurance.number"),
        ("compulsory_until", "paper.compulsory_insurance.valid_to", "d"), ("insurer", "paper.compulsory_insurance.issuer"),
        ("commercial_no", "paper.commercial_insurance.number", "o"),
        ("commercial_until", "paper.commercial_insurance.valid_to", "do"), ("inspection_no", "paper.inspection.number"),
        ("inspection_until", "paper.inspection.valid_to", "d"), ("marking_no", "paper.marking.number"), ("etc_no", "paper.etc.number", "o"),
    ),
    *_rows(
        "equipment",
        ("terminal", "terminal.phone"), ("terminal_model", "fact", "o"), ("sim_no", "fact", "o"), ("dashcam", "fact", "fo"),
        ("extinguisher_until", "fact", "do"),
    ),
)  # fmt: skip
"""The usual statistical forms ask for some sixty mandatory and sixteen optional facts of a vehicle."""
BY_KEY: Mapping[str, Attribute] = {one.key: one for one in ATTRIBUTES}
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(one.group for one in ATTRIBUTES))

LONGEST = 120
YES, NO = frozenset(["true", "yes", "1", "是", "有"]), frozenset(["false", "no", "0", "否", "无"])


def applies(attribute: Attribute, energy: str) -> bool:
    """Tell whether an attribute has a meaning for a vehicle of this energy."""
    match attribute.applies:
        case Applies.ENGINE:
            return energy in WITH_ENGINE
        case Applies.PLUG:
            return energy in WITH_PLUG
    return True


def parse(key: str, text: str) -> str:
    """Return the canonical text of a value typed in; full-width digits are read as digits.

    :raises RuleBroken: ``dossier.unknown``, ``not_by_hand``, ``number``, ``date``, ``flag``, ``long``.
    """
    attribute = BY_KEY.get(key)
    if attribute is None:
        raise RuleBroken("dossier.unknown")
    if not attribute.by_hand:
        raise RuleBroken("dossier.not_by_hand")
    value = unicodedata.normalize("NFKC", text).strip()
    if len(value) > LONGEST:
        raise RuleBroken("dossier.long")
    match attribute.kind:
        case Kind.NUMBER:
            return _number(value)
        case Kind.DATE:
            return _date(value)
        case Kind.FLAG:
            if value.lower() not in YES | NO:
                raise RuleBroken("dossier.flag")
            return "true" if value.lower() in YES else "false"
    if not value:
        raise RuleBroken("dossier.empty")
    return value


def _number(value: str) -> str:
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise RuleBroken("dossier.number") from error
    if not number.is_finite() or not 0 < number < 10**8:
        raise RuleBroken("dossier.number")
    return f"{number:f}"


def _date(value: str) -> str:
    found = re.fullmatch(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?", value)
    try:
        return (
            date(*(int(part) for part in found.groups())).isoformat()
            if found
            else date.fromisoformat(value).isoformat()
        )
    except ValueError as error:
        raise RuleBroken("dossier.date") from error


@dataclass(frozen=True, slots=True)
class Completeness:
    """How many of the mandatory attributes that apply are filled, and which are not."""

    filled: int
    wanted: int
    missing: tuple[str, ...]

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.filled / self.wanted if self.wanted else 1.0


def completeness(values: Mapping[str, object], energy: str) -> Completeness:
    """Return how complete a file is: filled mandatory attributes over those that apply (数据完整率)."""
    wanted = [one.key for one in ATTRIBUTES if one.mandatory and applies(one, energy)]
    missing = tuple(key for key in wanted if values.get(key) in (None, ""))
    return Completeness(len(wanted) - len(missing), len(wanted), missing)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something in a vehicle's life: when, of which part, a text key with its state or detail, and who."""

    at: datetime
    part: str
    text: str
    detail: str = ""
    who: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in one state, ``[start, end)``."""

    state: str
    start: datetime
    end: datetime


def stretches(changes: list[tuple[datetime, str]], *, until: datetime) -> list[Stretch]:
    """Return the times in each state from its changes, (moment, state from then on); equal neighbours are one."""
    found: list[Stretch] = []
    for at, state in sorted(changes):
        if found and found[-1].state == state:
            continue
        if found:
            found[-1] = Stretch(found[-1].state, found[-1].start, at)
        found.append(Stretch(state, at, until))
    return [one for one in found if one.start < one.end]


def plain(value: object) -> str | None:
    """Return a value as the text a program reads: ISO dates, true or false, an organisation or place by its name."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return str(getattr(value, "name_zh", value))
