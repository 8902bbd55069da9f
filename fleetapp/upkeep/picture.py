"""Where the bars of the due picture stand, and the weeks of a month with what comes due on each day."""

import calendar
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

from fleetapp.upkeep.due import DueRow
from fleetapp.upkeep.rules import LEADS, add_months

GROUPS = ("maintenance", "inspection", "insurance")
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 780, 230, 32, 22, 34
MONTHS = 12


def months(today: date) -> list[date]:
    """Return the first days of this month and the eleven that follow."""
    return [add_months(today.replace(day=1), number) for number in range(MONTHS)]


def column(row: DueRow, today: date) -> str:
    """Return the column something stands in: ``overdue``, or its month as ``2026-11``."""
    return "overdue" if row.due.overdue(today) else f"{row.due.on:%Y-%m}"


def bars(rows: Sequence[DueRow], today: date) -> dict[str, Any]:
    """Return a column for what is overdue and one a month, each stacked by group, in the units of the drawing."""
    counts = Counter((column(row, today), LEADS[row.due.kind]) for row in rows)
    keys = ["overdue", *(f"{first:%Y-%m}" for first in months(today))]
    most = max([sum(counts[key, group] for group in GROUPS) for key in keys], default=0)
    step = (WIDTH - LEFT) / len(keys)
    scale = (HEIGHT - TOP - BOTTOM) / max(most, 4)
    columns = []
    for number, key in enumerate(keys):
        top = float(HEIGHT - BOTTOM)
        parts: list[dict[str, Any]] = []
        for group in GROUPS:
            if counts[key, group]:
                height = counts[key, group] * scale
                top -= height
                parts.append(
                    {"group": group, "y": round(top, 1), "height": round(height, 1), "count": counts[key, group]}
                )
        columns.append({"key": key, "x": round(LEFT + step * number, 1), "middle": round(LEFT + step * (number + 0.5), 1), "parts": parts,
                        "total": sum(counts[key, group] for group in GROUPS), "top": round(top, 1)})  # fmt: skip
    return {"width": WIDTH, "height": HEIGHT, "left": LEFT, "base": HEIGHT - BOTTOM, "step": round(step, 1), "bar": round(step * 0.62, 1),
            "columns": columns, "total": sum(counts.values())}  # fmt: skip


def weeks(rows: Sequence[DueRow], first: date) -> list[list[tuple[date, list[DueRow]]]]:
    """Return a month's weeks from Monday to Sunday, each day with what comes due on it; days of other months are empty."""
    found: dict[date, list[DueRow]] = {}
    for row in rows:
        found.setdefault(row.due.on, []).append(row)
    return [
        [(on, found.get(on, []) if on.month == first.month else []) for on in week]
        for week in calendar.Calendar().monthdatescalendar(first.year, first.month)
    ]
