"""Where the bars of the weeks stand, in the units of their drawing."""

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

from fleetapp.pool.queries import Missed
from fleetapp.pool.rules import Unmet

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 200, 32, 12, 28


def drawn(missed: Sequence[Missed], weeks: Sequence[date]) -> dict[str, Any]:
    """Return a bar for every week, one part for each way an order went without a vehicle; nothing without any."""
    counts = {
        (week, how): sum(one.week == week and one.how is how for one in missed) for week in weeks for how in Unmet
    }
    highest = max((sum(counts[week, how] for how in Unmet) for week in weeks), default=0)
    if not highest:
        return {}
    top = max(4, 4 * math.ceil(highest / 4))
    step, inner = (WIDTH - LEFT) / len(weeks), HEIGHT - TOP - BOTTOM
    parts, labels = [], []
    for number, week in enumerate(weeks):
        x, base = LEFT + step * (number + 0.25), float(HEIGHT - BOTTOM)
        for how in Unmet:
            height = inner * counts[week, how] / top
            if height:
                base -= height
                parts.append({"x": round(x, 1), "y": round(base, 1), "width": round(step * 0.5, 1), "height": round(height, 1),
                              "how": how.value, "week": week, "orders": counts[week, how]})  # fmt: skip
        labels.append((round(x + step * 0.25, 1), week))
    grid = [(round(TOP + inner * (1 - share / 4), 1), top * share // 4) for share in range(5)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "base": HEIGHT - BOTTOM,
        "parts": parts,
        "labels": labels,
        "grid": grid,
    }
