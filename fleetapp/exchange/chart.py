"""Where the bars of the last thirty days stand, in the units of their drawing."""

import math
from collections.abc import Mapping
from datetime import date
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 180, 44, 12, 26
PARTS = ("accepted", "rejected", "failed")
GRID_LINES = 4


def drawn(days: Mapping[date, Mapping[str, int]]) -> dict[str, Any]:
    """Return a bar for every day with a part for each outcome; nothing where no day has any."""
    highest = max((sum(one.values()) for one in days.values()), default=0)
    if not highest:
        return {}
    power = 10 ** max(0, len(str(highest)) - 2)
    top = max(GRID_LINES, GRID_LINES * power * math.ceil(highest / (GRID_LINES * power)))
    step, inner = (WIDTH - LEFT) / len(days), HEIGHT - TOP - BOTTOM
    parts, labels = [], []
    for number, (on, counts) in enumerate(days.items()):
        x, base = LEFT + step * (number + 0.15), float(HEIGHT - BOTTOM)
        for part in PARTS:
            if count := counts.get(part, 0):
                height = max(inner * count / top, 1.5)  # one rejection among thousands is still seen
                base -= height
                parts.append({"x": round(x, 1), "y": round(base, 1), "width": round(step * 0.7, 1), "height": round(height, 1),
                              "part": part, "on": on, "count": count})  # fmt: skip
        if number % 5 == 4:
            labels.append((round(x + step * 0.35, 1), on))
    grid = [
        (round(TOP + inner * (1 - share / GRID_LINES), 1), f"{top * share // GRID_LINES:,}")
        for share in range(GRID_LINES + 1)
    ]
    totals = {part: sum(one.get(part, 0) for one in days.values()) for part in PARTS}
    return {"width": WIDTH, "height": HEIGHT, "left": LEFT, "base": HEIGHT - BOTTOM, "parts": parts, "labels": labels, "grid": grid,
            "totals": totals}  # fmt: skip
