"""Where the dots and the line of the consumption chart run, in the units of its drawing."""

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fleetapp.energy.rules import Interval
from fleetapp.kit import clock

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 220, 44, 16, 30
GRID_LINES = 4


def drawn(intervals: Sequence[Interval], usual: Decimal | None) -> dict[str, Any]:
    """Return a dot for every interval where it ends, the line through them and the height of the median."""
    if not intervals:
        return {}
    top = math.ceil(max(float(one.per_100km) for one in intervals) * 1.1 / GRID_LINES) * GRID_LINES
    first, last = intervals[0].end_at, intervals[-1].end_at
    span_s = (last - first).total_seconds() or 1.0
    inner = WIDTH - LEFT - 40

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top), 1)

    points = [
        {"x": round(LEFT + 20 + inner * ((one.end_at - first).total_seconds() / span_s if len(intervals) > 1 else 0.5), 1),
         "y": y(float(one.per_100km)), "value": one.per_100km, "on": clock.local_date(one.end_at)}
        for one in intervals
    ]  # fmt: skip
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "base": HEIGHT - BOTTOM, "points": points,
        "line": " ".join(f"{point['x']},{point['y']}" for point in points),
        "grid": [(y(top * share / GRID_LINES), f"{top * share // GRID_LINES}") for share in range(GRID_LINES + 1)],
        "usual": None if usual is None else y(float(usual)),
        "ends": [points[0], points[-1]] if len(points) > 1 else points,
    }  # fmt: skip
