"""Where the lines of the share chart run, in the units of its drawing."""

from collections.abc import Mapping, Sequence
from typing import Any

from fleetapp.renewal.rules import YearShare

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 260, 44, 16, 30


def path(years: Sequence[YearShare], planned: Sequence[Mapping[str, Any]], target: float) -> dict[str, Any]:
    """Return points of the stock line, bars of the purchases, the planned line and the target's height."""
    past = {one.year: one.stock_share for one in years if one.stock_share is not None}
    ahead = {int(one["year"]): float(one["share"]) for one in planned}
    span = sorted({*past, *ahead, *(one.year for one in years)})
    if not span:
        return {"width": WIDTH, "height": HEIGHT, "years": []}
    step = (WIDTH - LEFT) / len(span)
    x = {year: LEFT + step * (k + 0.5) for k, year in enumerate(span)}

    def y(share: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - share), 1)

    def line(shares: Mapping[int, float]) -> str:
        return " ".join(f"{x[year]:.1f},{y(share)}" for year, share in sorted(shares.items()))

    bars = [
        {"x": round(x[one.year] - step * 0.22, 1), "y": y(one.bought_share), "width": round(step * 0.44, 1),
         "height": round(HEIGHT - BOTTOM - y(one.bought_share), 1), "share": one.bought_share, "year": one.year}
        for one in years if one.bought_share is not None
    ]  # fmt: skip
    points = [
        {"x": round(x[year], 1), "y": y(share), "share": share, "planned": year not in past}
        for year, share in sorted((ahead | past).items())
    ]
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "base": HEIGHT - BOTTOM, "years": [(round(x[year], 1), year) for year in span],
        "grid": [(y(share / 4), f"{share * 25} %") for share in range(5)], "bars": bars, "past": line(past), "ahead": line(ahead),
        "points": points, "target": y(target),
    }  # fmt: skip
