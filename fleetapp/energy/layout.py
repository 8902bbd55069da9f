"""Columns of fuel companies' and charging operators' files by their many names, and a row's cells as values. Pure.

A cell is what a reader gives: text, number, moment or nothing. Problems are codes with the cell's name, such as ``F17``.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from fleetapp.energy.rules import EntryKind
from fleetapp.kit.clock import OFFICE_ZONE
from fleetapp.kit.errors import RuleBroken

Cell = str | int | float | bool | datetime | date | None

NAMES: Mapping[str, tuple[str, ...]] = {
    "plate": ("车牌号", "车牌号码", "车牌", "车号", "车辆号牌", "号牌号码", "车辆", "plate"),
    "card": ("卡号", "加油卡号", "充电卡号", "油卡号", "副卡号", "卡片编号", "card"),
    "at": ("交易时间", "加油时间", "消费时间", "充电时间", "交易日期", "加油日期", "消费日期", "结束时间", "充电结束时间", "时间", "time"),
    "kind": ("类型", "能源类型", "业务类型", "交易类型", "kind"),
    "product": ("油品", "油品名称", "品名", "商品名称", "油品型号", "品种", "燃油标号", "product"),
    "fuel": ("加油量", "加油升数", "升数", "加油数量", "litres"),
    "charge": ("充电量", "充电电量", "充电度数", "电量", "度数", "kwh"),
    "quantity": ("数量", "交易数量", "消费数量", "quantity"),
    "unit_price": ("单价", "油价", "电价", "成交单价", "交易单价", "price"),
    "amount": ("金额", "交易金额", "消费金额", "实付金额", "总金额", "加油金额", "充电金额", "费用", "充电费用", "amount"),
    "odometer": ("里程", "里程表", "里程数", "里程表读数", "行驶里程", "加油时里程", "odometer"),
    "full": ("是否加满", "加满", "是否充满", "full"),
    "soc": ("soc", "结束soc", "充电后电量", "结束电量", "充电后soc"),
    "station": ("站点", "加油站", "油站", "油站名称", "加油站名称", "充电站", "充电站名称", "网点", "网点名称", "交易地点", "站点名称", "station"),
}  # fmt: skip
"""Our name of a column and what files call it; units in brackets do not count."""
ERROR_HEAD = "错误说明"
FIELD_OF = {name: field for field, names in NAMES.items() for name in names}
QUANTITIES = ("quantity", "fuel", "charge")
KIND_WORDS = {
    EntryKind.FUEL: ("加油", "汽油", "柴油", "燃油", "fuel", "92", "95", "98"),
    EntryKind.CHARGE: ("充电", "电", "charge"),
}
YES = frozenset(["是", "满", "加满", "充满", "y", "yes", "true", "1"])
NO = frozenset(["", "否", "未满", "n", "no", "false", "0"])
MOMENTS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y%m%d%H%M%S", "%Y%m%d %H%M%S", "%Y%m%d %H:%M:%S")
HEAD_WITHIN = 10
"""Files have titles above their table; the head is looked for in this many lines."""


def normal(head: Cell) -> str:
    """Return a column's name without width, case, blanks and what stands in brackets."""
    text = unicodedata.normalize("NFKC", str(head or "")).lower()
    return re.sub(r"[\s*:]|\(.*?\)|\[.*?\]", "", text)


def cell_name(line: int, column: int) -> str:
    """Return a cell's name as spreadsheets show it; ``line`` counts from 1, ``column`` from 0."""
    letters, rest = "", column + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        letters = chr(65 + letter) + letters
    return f"{letters}{line}"


@dataclass(frozen=True, slots=True)
class Head:
    """Where the head stands, counted from 1, which column holds which field, how many columns there are."""

    line: int
    columns: Mapping[str, int]
    width: int
    kind: EntryKind | None


def find_head(rows: Sequence[Sequence[Cell]]) -> Head:
    """Find the head among the first lines.

    :raises RuleBroken: ``energy.file_head`` naming what is missing, ``energy.file_twice`` for two columns of one meaning.
    """
    best: tuple[int, int] = (0, 0)
    for line, row in enumerate(rows[:HEAD_WITHIN]):
        best = max(best, (sum(normal(cell) in FIELD_OF for cell in row), -line))
    line = -best[1]
    columns: dict[str, int] = {}
    row = rows[line] if rows else ()
    for number, cell in enumerate(row):
        field = FIELD_OF.get(normal(cell))
        if field is None:
            continue
        if field in columns:
            raise RuleBroken("energy.file_twice", cell=cell_name(line + 1, number), head=str(cell))
        columns[field] = number
    quantities = [field for field in QUANTITIES if field in columns]
    missing = [words for there, words in (("at" in columns, "交易时间"), (quantities, "数量"), ("amount" in columns, "金额"),
               ("plate" in columns or "card" in columns, "车牌号")) if not there]  # fmt: skip
    if missing:
        raise RuleBroken("energy.file_head", missing="、".join(missing))
    width = max(number for number, cell in enumerate(row) if cell not in (None, "")) + 1
    only = quantities[0] if len(quantities) == 1 and quantities[0] != "quantity" else None
    return Head(line + 1, columns, width, EntryKind(only) if only else None)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row, as a text key with its parameters."""

    code: str
    params: Mapping[str, Any]


@dataclass(slots=True)
class Row:
    """A row's values; ``problems`` says why it cannot go in."""

    line: int
    problems: list[Problem]
    plate: str = ""
    card: str = ""
    at: datetime | None = None
    kind: EntryKind | None = None
    product: str | None = None
    quantity: Decimal = Decimal(0)
    unit_price: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)
    odometer_m: int | None = None
    full: bool = False
    soc_percent: int | None = None
    station: str | None = None


def words(cell: Cell) -> str:
    """Return a cell as text; a number without its needless decimals, as card numbers come out of spreadsheets."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else unicodedata.normalize("NFKC", str(cell)).strip()


def number(cell: Cell) -> Decimal | None:
    """Return a number, None for an empty cell.

    :raises ValueError: it is none.
    """
    text = re.sub(r"[,\s¥￥元升度l]|kwh|km|公里|%", "", words(cell).lower())
    if not text:
        if words(cell):
            raise ValueError(text)
        return None
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error
    if not found.is_finite() or abs(found) >= Decimal("1e9"):
        raise ValueError(text)
    return found


def moment(cell: Cell) -> datetime:
    """Return the UTC moment of an office time to the minute or second.

    :raises ValueError: it is none, or a day without a time.
    """
    if isinstance(cell, datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=OFFICE_ZONE)).astimezone(UTC)
    text = (
        re.sub(r"[年月/.]", "-", words(cell)).replace("日", " ").replace("时", ":").replace("分", ":").replace("秒", "")
    )
    text = re.sub(r"\s+", " ", text.replace("T", " ")).strip().rstrip(":")
    text = re.sub(r"\b(\d)\b(?=[-: ]|$)", r"0\1", text)
    for form in MOMENTS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=OFFICE_ZONE).astimezone(UTC)
        except ValueError:
            continue
    raise ValueError(text)


def kind_of(*texts: str) -> EntryKind | None:
    """Return what words like 加油, 92号汽油 or 充电 mean, if they mean anything."""
    for text in texts:
        for kind, hints in KIND_WORDS.items():
            if any(hint in text.lower() for hint in hints):
                return kind
    return None


def parse(head: Head, line: int, cells: Sequence[Cell]) -> Row:
    """Return a row's values and problems; ``line`` is the line in the file."""
    row = Row(line, [])

    def cell(field: str) -> Cell:
        column = head.columns.get(field)
        return cells[column] if column is not None and column < len(cells) else None

    def problem(field: str, code: str) -> None:
        row.problems.append(Problem(code, {"cell": cell_name(line, head.columns[field])}))

    def read(field: str, least: Decimal, *, needed: bool) -> Decimal | None:
        try:
            found = number(cell(field))
        except ValueError:
            problem(field, "energy.row_number")
            return None
        if (found is None and needed) or (found is not None and found < least):
            problem(field, "energy.row_number")
        return found

    row.plate, row.card = words(cell("plate")), words(cell("card"))
    row.product, row.station = words(cell("product"))[:100] or None, words(cell("station"))[:100] or None
    try:
        row.at = moment(cell("at"))
    except (ValueError, OverflowError):
        problem("at", "energy.row_time")
    given = next((field for field in ("fuel", "charge", "quantity") if words(cell(field))), None)
    row.kind = (
        kind_of(words(cell("kind")), row.product or "")
        or head.kind
        or (EntryKind(given) if given in {"fuel", "charge"} else None)
    )
    quantity_in = given or next(field for field in QUANTITIES if field in head.columns)
    row.quantity = (read(quantity_in, Decimal("0.001"), needed=True) or Decimal(0)).quantize(Decimal("0.001"))
    row.amount = (read("amount", Decimal(0), needed=True) or Decimal(0)).quantize(Decimal("0.01"))
    price = read("unit_price", Decimal(0), needed=False) if "unit_price" in head.columns else None
    if price is None and row.quantity:
        price = row.amount / row.quantity
    row.unit_price = (price or Decimal(0)).quantize(Decimal("0.000001"))
    if "odometer" in head.columns and (reading := read("odometer", Decimal(0), needed=False)) is not None:
        row.odometer_m = int(reading * 1000)
    if "soc" in head.columns and (soc := read("soc", Decimal(0), needed=False)) is not None:
        row.soc_percent = int(soc)
        if soc > 100:
            problem("soc", "energy.row_number")
    mark = words(cell("full")).lower()
    if mark not in YES | NO:
        problem("full", "energy.row_yes")
    row.full = mark in YES
    return row
