"""Where the bars of a vehicle's life run, in the units of their drawing."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fleetapp.dossier.rules import Happening, Stretch
from fleetapp.kit import clock

WIDTH, LEFT, BAR_TOP, BAR_HEIGHT, HEIGHT = 960, 8, 34, 22, 84
MILESTONES = frozenset([
    ("acquisition", "submitted"), ("acquisition", "approved"), ("acquisition", "contracted"), ("acquisition", "accepted"),
    ("acquisition", "registered"), ("vehicle", "vehicles.registered"), ("vehicle", "vehicles.transferred"), ("renewal", "approved"),
    ("disposal", "requested"), ("disposal", "approved"), ("disposal", "deregistered"), ("disposal", "archived"),
])  # fmt: skip
NEAR = 9.0
"""Marks nearer than this are lifted above each other."""


def timeline(
    stretches: Sequence[Stretch], life: Sequence[Happening], *, born: datetime, until: datetime
) -> dict[str, Any]:
    """Return bars by state, marks of the milestones and ticks of the years over ``[first event, until)``."""
    marks = sorted((one for one in life if (one.part, one.text) in MILESTONES), key=lambda one: one.at)
    first = min([born, *(one.at for one in marks), *(one.start for one in stretches)])
    span = max((until - first).total_seconds(), 86_400.0)

    def x(at: datetime) -> float:
        return round(LEFT + (WIDTH - 2 * LEFT) * (at - first).total_seconds() / span, 1)

    years = range(clock.local(first).year + 1, clock.local(until).year + 1)
    bars = [{"x": x(one.start), "width": max(round(x(one.end) - x(one.start), 1), 1.5), "state": one.state, "start": one.start, "end": one.end}
            for one in stretches]  # fmt: skip
    placed: list[dict[str, Any]] = []
    for one in marks:
        at = x(one.at)
        row = placed[-1]["row"] + 1 if placed and at - placed[-1]["x"] < NEAR else 0
        placed.append({"x": at, "row": row % 3, "what": one})
    ticks = [(x(clock.start_of(clock.local_date(first).replace(year=year, month=1, day=1))), year) for year in years]
    known = (
        [{"x": x(born), "width": round(x(stretches[0].start) - x(born), 1)}]
        if stretches and stretches[0].start > born
        else []
    )
    return {"width": WIDTH, "height": HEIGHT, "bar_top": BAR_TOP, "bar_height": BAR_HEIGHT, "bars": bars, "before": known, "marks": placed,
            "ticks": ticks, "first": first}  # fmt: skip
