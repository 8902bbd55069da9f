"""A year's costs as XLSX: units with purchase and running costs, then every row."""

import io
from collections.abc import Callable, Mapping, Sequence

from fleetapp.costs.figures import UnitYear
from fleetapp.costs.rules import GROUPS
from fleetapp.kit import sheets
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import CostKind, CostRow

Say = Callable[[str], str]


def year_xlsx(
    *,
    title: str,
    total: UnitYear,
    units: Sequence[UnitYear],
    rows: Sequence[CostRow],
    cars: Mapping[int, Vehicle],
    names: Mapping[int, str],
    tasks: Mapping[int, str],
    say: Say,
    mark: str,
) -> bytes:
    """Return the bytes of the workbook; ``say`` gives a text of this slice, ``names`` the units and ``tasks`` the orders by id, ``mark`` who takes it out."""
    out = io.BytesIO()
    with sheets.workbook(out, mark=mark, constant_memory=False) as book:
        head = book.add_format(
            {
                "bold": True,
                "border": 1,
                "align": "center",
                "valign": "vcenter",
                "text_wrap": True,
                "bg_color": "#E9EEF5",
            }
        )
        bold = book.add_format({"bold": True, "font_size": 14})
        money, day, text = (
            book.add_format({"num_format": form, "border": 1}) for form in ("#,##0.00", "yyyy-mm-dd", "@")
        )
        quoted = book.add_format({"num_format": "@", "quote_prefix": True})
        sheet = book.add_worksheet(say("costs.units"))
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.repeat_rows(1)
        sheet.write_string(0, 0, title, bold)
        kinds = list(GROUPS)
        heads = [
            "costs.unit",
            "costs.vehicles",
            "costs.purchase",
            "costs.running",
            *(f"costs.kind.{kind}" for kind in kinds),
            "costs.total",
        ]
        for column, key in enumerate(heads):
            sheet.write_string(1, column, say(key), head)
        sheet.set_column(0, 0, 26)
        sheet.set_column(1, len(heads) - 1, 13)
        for line, unit in enumerate([total, *units], start=2):
            sheets.put(sheet, line, 0, names[unit.org.id] if unit.org else say("costs.all"), form=text, quoted=quoted)
            sheet.write_number(line, 1, unit.vehicles, text)
            amounts = [
                unit.sum.purchase,
                unit.sum.running,
                *(unit.sum.by_kind.get(kind, 0) for kind in kinds),
                unit.sum.total,
            ]
            for column, amount in enumerate(amounts, start=2):
                sheet.write_number(line, column, float(amount), money)
        sheet.freeze_panes(2, 1)
        sheet = book.add_worksheet(say("costs.rows"))
        for column, (key, width) in enumerate((("costs.on", 12), ("costs.vehicle", 12), ("costs.unit", 26), ("costs.kind", 14),
                                               ("costs.amount", 14), ("costs.order", 18), ("costs.explanation", 30), ("costs.source", 16))):  # fmt: skip
            sheet.write_string(0, column, say(key), head)
            sheet.set_column(column, column, width)
        for line, row in enumerate(rows, start=1):
            sheet.write_datetime(line, 0, row.on, day)
            car = cars.get(row.vehicle_id)
            for column, value in ((1, car.plate if car else ""), (2, names.get(row.org_id, "")), (3, say(f"costs.kind.{CostKind(row.kind)}")),
                                  (5, tasks.get(row.order_id or 0, "")), (6, row.note or ""), (7, row.source)):  # fmt: skip
                sheets.put(sheet, line, column, value, form=text, quoted=quoted)
            sheet.write_number(line, 4, float(row.amount), money)
        sheet.freeze_panes(1, 0)
        sheet.autofilter(0, 0, max(len(rows), 1), 7)
    return out.getvalue()
