"""What a cell may say, by the kind of its column, and how an import goes on: values in, values or ``RuleBroken`` out."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from fleetapp.kit.errors import RuleBroken

MOST_UNPACKED_BYTES = 150 * 1024 * 1024
"""What a workbook may unpack to; beyond it is no ledger of so many rows."""
BEYOND = Decimal(10) ** 15
"""No number of a ledger is as large; a spreadsheet keeps no more digits."""
EARLIEST = date(1980, 1, 1)
TRUE, FALSE = frozenset(["是", "yes", "true", "1", "y"]), frozenset(["否", "no", "false", "0", "n"])


class LedgerKind(StrEnum):
    """Ledgers that can be filled in as spreadsheets."""

    VEHICLES = "vehicles"
    QUOTAS = "quotas"


class ImportState(StrEnum):
    """Where an import stands; the second and fourth are work of the scheduler."""

    UPLOADED = "UPLOADED"
    CHECKING = "CHECKING"
    CHECKED = "CHECKED"
    COMMITTING = "COMMITTING"
    DONE = "DONE"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    DISCARDED = "DISCARDED"


_S = ImportState
TRANSITIONS: Mapping[ImportState, frozenset[ImportState]] = {
    _S.UPLOADED: frozenset([_S.CHECKING, _S.REFUSED, _S.FAILED, _S.DISCARDED]),
    _S.CHECKING: frozenset([_S.CHECKED, _S.REFUSED, _S.FAILED]),
    _S.CHECKED: frozenset([_S.UPLOADED, _S.COMMITTING, _S.DISCARDED]),
    _S.COMMITTING: frozenset([_S.CHECKED, _S.DONE, _S.FAILED]),
    _S.DONE: frozenset(),
    _S.REFUSED: frozenset(),
    _S.FAILED: frozenset(),
    _S.DISCARDED: frozenset(),
}
"""A check may be repeated (UPLOADED again); a commit that finds the ledger changed goes back to CHECKED."""
AT_WORK = frozenset([_S.UPLOADED, _S.CHECKING, _S.COMMITTING])
LIVING = AT_WORK | {_S.CHECKED}


def next_state(state: str, to: ImportState) -> ImportState:
    """Return the state to go to.

    :raises RuleBroken: ``ledgers.wrong_step``.
    """
    if to not in TRANSITIONS[ImportState(state)]:
        raise RuleBroken("ledgers.wrong_step", state=state)
    return to


def check_commit(*, new: int, changed: int, rejected: int, partial: bool) -> None:
    """Refuse to commit nothing, and a file with refused rows unless the right ones alone are wanted.

    :raises RuleBroken: ``ledgers.nothing_to_do``, ``ledgers.has_rejected``.
    """
    if rejected and not partial:
        raise RuleBroken("ledgers.has_rejected", n=rejected)
    if not new + changed:
        raise RuleBroken("ledgers.nothing_to_do")


# ---- columns and cells ------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What the cells of a column hold."""

    TEXT = "text"
    CODE = "code"
    WHOLE = "whole"
    DISPLACEMENT = "displacement"
    KM = "km"
    TENTHS = "tenths"
    MONEY = "money"
    DATE = "date"
    CHOICE = "choice"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Formula:
    """A cell that computes or failed to; it is refused, because what it shows depends on who opens it."""

    text: str

    def __str__(self) -> str:
        """Return what the cell computes."""
        return self.text


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a ledger; its head is the text ``ledgers.col.<key>``, its note ``ledgers.note.<key>`` where there is one.

    ``choices`` are the codes of a CHOICE with their words at ``prefix``. ``told`` columns are filled in by the export and
    not read. ``most`` limits the length of a text or the size of a number.
    """

    key: str
    kind: Kind
    width: float
    required: bool = False
    choices: tuple[str, ...] = ()
    prefix: str = ""
    told: bool = False
    least: Decimal | int = 0
    most: int = 80


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a cell, as the code of a text with its parameters."""

    column: str
    code: str
    params: dict[str, Any] = field(default_factory=dict)


Choices = Mapping[str, Mapping[str, str]]
"""By column: the code of each word that may stand in it, in any language, small letters."""


def half_width(text: str) -> str:
    """Return a text with full-width digits, letters and signs as ordinary ones, blanks at the ends removed."""
    return unicodedata.normalize("NFKC", text).strip()


def letters(index: int) -> str:
    """Return a column's letters by its index from 0: A, B, …, Z, AA."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def shown(value: Any) -> str:
    """Return a cell's value as a message quotes it."""
    text = value.isoformat() if isinstance(value, date) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value.isoformat() if isinstance(value, date) else str(value).strip()


def _number(value: Any, digits: int, code: str) -> Decimal:
    if isinstance(value, bool | date):
        raise RuleBroken(code, value=shown(value))
    try:
        number = Decimal(re.sub(r"[,\s¥]", "", half_width(str(value))))
    except InvalidOperation:
        raise RuleBroken(code, value=shown(value)) from None
    if not number.is_finite() or abs(number) >= BEYOND or number != round(number, digits):
        raise RuleBroken(code, value=shown(value))
    return round(number, digits)


def _in_range(number: Decimal, column: Column, value: Any) -> Decimal:
    if not column.least <= number <= column.most:
        raise RuleBroken("ledgers.cell_range", value=shown(value), least=column.least, most=column.most)
    return number


DATE_FORMS = re.compile(
    r"(\d{4})(?:[-/.](\d{1,2})[-/.](\d{1,2})|年(\d{1,2})月(\d{1,2})日?|(\d{2})(\d{2}))(?: 00:00(?::00)?)?"
)
"""2022-03-01, 2022/3/1, 2022.3.1, 2022年3月1日, 20220301."""


def read_date(value: Any) -> date:
    """Return the day a cell means.

    :raises RuleBroken: ``ledgers.cell_date``.
    """
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    found = DATE_FORMS.fullmatch(half_width(_text(value)))
    try:
        if found is not None:
            year, month, day = (int(part) for part in found.groups() if part)
            return date(year, month, day)
    except ValueError:
        pass
    raise RuleBroken("ledgers.cell_date", value=shown(value))


def read_cell(column: Column, value: Any, choices: Choices) -> Any:
    """Return what a filled cell means.

    :raises RuleBroken: ``ledgers.cell_*``, it is nothing of its column's kind.
    """
    if isinstance(value, Formula):
        raise RuleBroken("ledgers.cell_formula", value=shown(value))
    match column.kind:
        case Kind.TEXT | Kind.CODE:
            text = _text(value) if column.kind is Kind.TEXT else half_width(_text(value))
            if len(text) > column.most or any(unicodedata.category(char) == "Cc" for char in text):
                raise RuleBroken("ledgers.cell_text", value=shown(value), most=column.most)
            return text
        case Kind.DATE:
            on = read_date(value)
            if on < EARLIEST:
                raise RuleBroken("ledgers.cell_date", value=shown(value))
            return on
        case Kind.CHOICE:
            found = choices[column.key].get(half_width(_text(value)).lower())
            if found is None:
                raise RuleBroken("ledgers.cell_choice", value=shown(value))
            return found
        case Kind.FLAG:
            word = half_width(_text(value)).lower()
            if word not in TRUE | FALSE:
                raise RuleBroken("ledgers.cell_flag", value=shown(value))
            return word in TRUE
        case Kind.MONEY:
            return _in_range(_number(value, 2, "ledgers.cell_money"), column, value)
        case Kind.TENTHS:
            return _in_range(_number(value, 1, "ledgers.cell_tenths"), column, value)
        case Kind.KM:
            return int(_in_range(_number(value, 3, "ledgers.cell_km"), column, value) * 1000)
        case Kind.DISPLACEMENT if re.fullmatch(
            r"\d{1,2}\.\d{1,3}\s*[LT升]?|\d{1,2}\s*[LT升]", half_width(_text(value)).upper()
        ):
            raise RuleBroken("ledgers.cell_litres", value=shown(value))
    return int(_in_range(_number(value, 0, "ledgers.cell_whole"), column, value))


def read_row(columns: Sequence[Column], cells: Sequence[Any], choices: Choices) -> tuple[dict[str, Any], list[Fault]]:
    """Return what a row says by column (None for an empty cell) and what is wrong with its cells."""
    values: dict[str, Any] = {}
    faults = []
    for column, value in zip(columns, cells, strict=True):
        values[column.key] = None
        if column.told:
            continue
        if value is None or (isinstance(value, str) and not value.strip()):
            if column.required:
                faults.append(Fault(column.key, "ledgers.cell_missing"))
            continue
        try:
            values[column.key] = read_cell(column, value, choices)
        except RuleBroken as broken:
            faults.append(Fault(column.key, broken.code, broken.params))
    return values, faults


# ---- results ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Row:
    """A row of a file by its number in the sheet: what it says and what is wrong with it."""

    number: int
    values: dict[str, Any]
    faults: list[Fault]

    def fault(self, column: str, code: str, /, **params: Any) -> None:
        """Note what is wrong with a cell."""
        self.faults.append(Fault(column, code, params))

    def broken(self, column: str, error: RuleBroken) -> None:
        """Note the rule that a cell breaks."""
        self.faults.append(Fault(column, error.code, error.params))
