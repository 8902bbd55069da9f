"""Where the stacked bars of a vehicle's months stand, in the units of their drawing."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

from fleetapp.costs.rules import Group, Sum

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 240, 56, 16, 30
GRID_LINES = 4


def drawn(months: Mapping[date, Sum]) -> dict[str, Any]:
    """Return a bar of running costs for every month, one part for each group."""
    highest = float(max((one.running for one in months.values()), default=0))
    if not highest:
        return {}
    top = round_top(highest)
    step, inner = (WIDTH - LEFT) / len(months), HEIGHT - TOP - BOTTOM
    parts, labels = [], []
    for number, (month, one) in enumerate(months.items()):
        x, base = LEFT + step * (number + 0.2), float(HEIGHT - BOTTOM)
        for group in Group:
            height = inner * float(one.of(group)) / top
            if height:
                base -= height
                parts.append({"x": round(x, 1), "y": round(base, 1), "width": round(step * 0.6, 1), "height": round(height, 1),
                              "group": group, "month": month, "amount": one.of(group)})  # fmt: skip
        labels.append((round(x + step * 0.3, 1), month))
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "base": HEIGHT - BOTTOM, "parts": parts, "labels": labels,
        "grid": [(round(TOP + inner * (1 - share / GRID_LINES), 1), f"{top * share / GRID_LINES:,.0f}") for share in range(GRID_LINES + 1)],
        "groups": [group for group in Group if any(one.of(group) for one in months.values())],
    }  # fmt: skip


def round_top(value: float) -> float:
    """Return the least of 1, 2, 4, 8 times a power of ten that is not below a value: it divides into round grid lines."""
    size: float = 10 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 2, 4, 8, 10, 20) if step * size >= value)
