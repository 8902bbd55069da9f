"""Where the bars of the months stand, in the units of their drawing."""

from collections.abc import Sequence
from typing import Any

from fleetapp.costs.chart import round_top
from fleetapp.settlement.queries import Month

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 220, 60, 12, 28
PARTS = ("paid", "agreed", "open")
GRID_LINES = 4


def drawn(months: Sequence[Month]) -> dict[str, Any]:
    """Return a bar for every month, one part for how far its statements are; empty where nothing was charged."""
    highest = float(max((one.total for one in months), default=0))
    if not highest:
        return {}
    top = round_top(highest)
    step, inner = (WIDTH - LEFT) / max(len(months), 12), HEIGHT - TOP - BOTTOM
    bars, labels = [], []
    for number, one in enumerate(months):
        x, base = LEFT + step * (number + 0.2), float(HEIGHT - BOTTOM)
        for part in PARTS:
            amount = getattr(one, part)
            height = inner * float(amount) / top
            if height > 0:
                base -= height
                bars.append({"x": round(x, 1), "y": round(base, 1), "width": round(step * 0.6, 1), "height": round(height, 1), "part": part,
                             "period": one.period, "amount": amount})  # fmt: skip
        labels.append((round(x + step * 0.3, 1), one.period))
    grid = [
        (round(TOP + inner * (1 - share / GRID_LINES), 1), f"{top * share / GRID_LINES:,.0f}")
        for share in range(GRID_LINES + 1)
    ]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": LEFT,
        "base": HEIGHT - BOTTOM,
        "bars": bars,
        "labels": labels,
        "grid": grid,
        "parts": PARTS,
    }
