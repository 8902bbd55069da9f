"""Policy figures: what each must state, which of several scopes stands, what may be entered. Values in, values or ``RuleBroken`` out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from fleetapp.kit.errors import RuleBroken

KEYS = frozenset(["value", "unit", "source", "article", "valid_from"])
OPTIONAL_KEYS = frozenset(["article", "scope", "stricter"])


class Scope(StrEnum):
    """Whose figure it is, from the highest down; ``org`` is a district or unit with all below it."""

    NATIONAL = "national"
    PROVINCE = "province"
    CITY = "city"
    ORG = "org"


class Stricter(StrEnum):
    """Which of two values is the stricter one; of some figures (weights, reference prices) none is."""

    LOWER = "lower"
    HIGHER = "higher"
    NONE = "none"


RANK: Mapping[str, int] = {scope.value: rank for rank, scope in enumerate(Scope)}

SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "caps": ("cap.",),
    "nev": ("nev.",),
    "renewal": ("renewal.", "plan.", "idle.", "rental."),
    "upkeep": ("inspection.", "scrap.", "insurance.", "reminder."),
    "travel": ("order.", "dispatch.", "driver.", "expense.", "confirm.", "rating.", "sharing."),
    "supervision": (*(f"{family}-" for family in "ABCDEFGHIJK"), "pattern.", "match.", "finding.", "tracking."),
}
"""What the pages group figures by, with the beginnings of their codes; whatever fits none is ``other``."""


def subject_of(code: str) -> str:
    """Return the subject of a code."""
    return next((subject for subject, starts in SUBJECTS.items() if code.startswith(starts)), "other")


# ---- which scope stands -------------------------------------------------------------------------------------------------


class Ruling(Protocol):
    """What decides between two rows of one code; the higher scope's comes first."""

    @property
    def code(self) -> str: ...
    @property
    def value(self) -> Any: ...
    @property
    def stricter(self) -> str: ...
    @property
    def may_relax(self) -> bool: ...


R = TypeVar("R", bound=Ruling)


def prevails(lower: Ruling, higher: Ruling) -> bool:
    """Tell whether a lower scope's row stands before a higher one's: it is stricter, or marked as one that may relax."""
    if lower.may_relax:
        return True
    if lower.stricter == Stricter.LOWER:
        return bool(lower.value < higher.value)
    return bool(lower.stricter == Stricter.HIGHER and lower.value > higher.value)


def standing(rows: Iterable[R]) -> dict[str, R]:
    """Return the row that stands by code, of rows in force on one day in one place, from the highest scope down."""
    found: dict[str, R] = {}
    for row in rows:
        if row.code not in found or prevails(row, found[row.code]):
            found[row.code] = row
    return found


# ---- what may be entered ------------------------------------------------------------------------------------------------


def check_value(value: Decimal, unit: str) -> None:
    """Refuse a value that the unit cannot have.

    :raises RuleBroken: ``policies.value_range``.
    """
    if value < 0 or (unit == "share" and value > 1) or (unit == "flag" and value not in {0, 1}):
        raise RuleBroken("policies.value_range")


def check_period(*, valid_from: date, valid_to: date | None, today: date, correction: bool, scope: Scope) -> None:
    """Refuse to touch the past unless that is said, a reversed period, and a figure of a whole city that would leave a hole.

    :raises RuleBroken: ``policies.past``, ``correction_odd``, ``period_order``, ``open_end``.
    """
    if valid_from < today and not correction:
        raise RuleBroken("policies.past", today=today.isoformat())
    if correction and valid_from > today:
        raise RuleBroken("policies.correction_odd")
    if valid_to is not None and valid_to <= valid_from:
        raise RuleBroken("policies.period_order")
    if valid_to is not None and scope is not Scope.ORG:
        raise RuleBroken("policies.open_end")


def check_above(new: Ruling, above: Ruling | None) -> None:
    """Refuse a row that would not stand before what is in force above it.

    :raises RuleBroken: ``policies.not_free`` where no value is the stricter one, ``policies.looser`` else.
    """
    if above is None or prevails(new, above):
        return
    if new.stricter == Stricter.NONE:
        raise RuleBroken("policies.not_free")
    raise RuleBroken("policies.looser", above=plain(above.value))


def plain(value: Decimal) -> str:
    """Return a figure without zeros at its end."""
    return f"{value.normalize():f}"


# ---- the file -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in force from ``valid_from`` until a later one of the same code and scope replaces it."""

    code: str
    scope: Scope
    value: Decimal
    unit: str
    stricter: Stricter
    valid_from: date
    source: str
    article: str | None


def figures(rows: Mapping[str, Any]) -> list[Figure]:
    """Return the figures of a file: code -> row, or list of rows for several periods; in order of time per code.

    :raises RuleBroken: ``policies.row``, naming the code and what is wrong.
    """
    found = []
    for code, given in rows.items():
        for row in given if isinstance(given, list) else [given]:
            wrong = KEYS.symmetric_difference(row) - OPTIONAL_KEYS
            if wrong:
                raise RuleBroken("policies.row", figure=code, problem=", ".join(sorted(wrong)))
            try:
                value = Decimal(str(row["value"]))
                scope, stricter = Scope(row.get("scope", Scope.CITY)), Stricter(row.get("stricter", Stricter.NONE))
            except (InvalidOperation, ValueError):
                raise RuleBroken("policies.row", figure=code, problem="value, scope, stricter") from None
            if not isinstance(row["valid_from"], date) or scope is Scope.ORG:
                raise RuleBroken("policies.row", figure=code, problem="valid_from, scope")
            found.append(
                Figure(code, scope, value, row["unit"], stricter, row["valid_from"], row["source"], row.get("article"))
            )
    return sorted(found, key=lambda figure: (figure.code, RANK[figure.scope], figure.valid_from))
