"""Tiles as a page shows them: names in the page's language, numbers as people write them, and what the charts draw."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from flask import url_for

from fleetapp.dashboard import rules
from fleetapp.dashboard.scope import Group, Scope
from fleetapp.dashboard.tiles import Figure, Tile
from fleetapp.places.areas import load_outlines
from fleetapp.web.display import name
from fleetapp.web.texts import language, t, t_or

MAP_W, MAP_H, MARGIN, GAP = 640.0, 420.0, 26.0, 5.0
LEAST_R, MOST_R = 24.0, 44.0
WAN = 10_000
MOST_BARS = 14
MIDDLE = 0.9
"""From this share of the quota on a circle is drawn as nearly full."""
Seats = Mapping[str, tuple[float, float]]


def written(figure: Figure) -> str:
    """Return a figure as people write it; money in 10,000 CNY from there on."""
    value = figure.value
    if value is None:
        return "–"
    match figure.unit:
        case "share":
            return f"{float(value) * 100:.1f}%"
        case "cny":
            return (
                t("dashboard.wan", n=f"{float(value) / WAN:,.1f}")
                if abs(float(value)) >= WAN
                else t("dashboard.yuan", n=f"{value:,.0f}")
            )
        case "km":
            return t("dashboard.km", n=f"{float(value):,.0f}")
    return f"{value:,.0f}"


def row_name(tile: str, key: Any) -> str:
    """Return what a row of a tile's table is called."""
    match key:
        case Group():
            return t("dashboard.own", org=name(key.org)) if key.own else name(key.org)
        case (org, body):
            return f"{name(org)} · {t_or(f'reserves.body.{body}', t_or(f'vehicles.body.{body}', body))}"
        case date():
            return f"{key:%Y-%m}"
        case int():
            return str(key)
    return t(f"dashboard.row.{tile}.{key}") if tile in {"live", "clues", "terminals"} else t(f"dashboard.figure.{key}")


def short_name(group: Group) -> str:
    """Return a name that fits into a circle."""
    if group.own:
        return t("dashboard.own_short")
    if language() == "en":
        return (
            name(group.org)
            .removesuffix(" District")
            .removesuffix(" district")
            .removesuffix(" County")
            .removesuffix(" City")
        )
    full = name(group.org)
    return full[:-1] if len(full) > 2 and full[-1] in "区县市" else full


def cell(value: Any, head: str) -> str:
    """Return a number of a table."""
    if value is None:
        return "–"
    if head in {"nev_share", "bought_share", "nev_target"}:
        return f"{float(value) * 100:.1f}%"
    return f"{value:,.2f}" if isinstance(value, Decimal) else f"{value:,}"


def href(scope: Scope, code: str, group: Group | None = None) -> str:
    """Return the address of the list behind a figure, of a part of the scope if named."""
    org, own = (group.org, group.own) if group else (scope.org, scope.own)
    return url_for("dashboard.rows", code=code, org_id=org.id, own=1 if own else None)


def row_href(scope: Scope, tile: Tile, key: Any) -> str | None:
    """Return where a row of a tile's table leads, for whoever may see what it counts."""
    listed = {figure.list_code for figure in tile.figures}
    code = {"quota": "stock", "sharing": "shared"}.get(tile.code) if isinstance(key, Group) else None
    if isinstance(key, str):
        code = f"{tile.code}_{key}" if tile.code in {"live", "clues", "terminals"} else key
    group = key if isinstance(key, Group) else None
    return href(scope, code, group) if code and code in listed else None


def chart(tile: Tile, scope: Scope, seats: Seats) -> dict[str, Any] | None:
    """Return what a tile's chart draws, in words and numbers; None without anything to draw."""
    if tile.state != "filled" or not tile.rows:
        return None
    names = [row_name(tile.code, key) for key, _ in tile.rows]
    series = [[_plain(values[number]) for _, values in tile.rows] for number in range(len(tile.heads))]
    found: dict[str, Any] = {
        "names": names, "series": series, "heads": [t(f"dashboard.figure.{head}") for head in tile.heads],
        "links": [row_href(scope, tile, key) for key, _ in tile.rows],
    }  # fmt: skip
    match tile.code:
        case "quota":
            return _map(tile, scope, seats) or found | {"kind": "units"}
        case "nev":
            return found | {
                "kind": "path",
                "target": tile.data["target"],
                "targetName": t("dashboard.figure.nev_target"),
            }
        case "live":
            return found | {
                "kind": "ring",
                "keys": [key for key, _ in tile.rows],
                "total": tile.data["total"],
                "totalName": t("dashboard.live_total"),
            }
        case "reserve":
            return {
                "kind": "gauge",
                **tile.data,
                "name": t("dashboard.figure.reserve_free"),
                "floorName": t("dashboard.figure.reserve_floor"),
            }
        case "clues" | "terminals":
            return found | {"kind": "bars", "keys": [key for key, _ in tile.rows]}
        case "cost":
            return found | {"kind": "months"}
        case "sharing":
            return _first(found) | {"kind": "units"}
    return found | {"kind": "bars"}


def _first(found: dict[str, Any]) -> dict[str, Any]:
    """Keep the bars that fit, the greatest first."""
    order = sorted(range(len(found["names"])), key=lambda n: -sum(values[n] or 0 for values in found["series"]))[
        :MOST_BARS
    ]
    return found | {
        "names": [found["names"][n] for n in order], "links": [found["links"][n] for n in order],
        "series": [[values[n] for n in order] for values in found["series"]],
    }  # fmt: skip


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _map(tile: Tile, scope: Scope, seats: Seats) -> dict[str, Any] | None:
    """Return circles at the seats of the districts, pushed apart, over the outline of the city; None where no district is in scope.

    Areas are as the stock; the middle of the city is drawn wider than its edge, where districts lie far apart. No border of a district is drawn: none is known well enough.
    """
    placed = {str(number): (group, numbers) for number, (group, numbers) in enumerate(tile.rows)
              if (group.org.adcode or "") in seats}  # fmt: skip
    if not scope.districts or not placed:
        return None
    centre = seats.get(scope.org.adcode or "", next(iter(seats.values())))
    outline = [rules.widened((lat, lon), centre) for lon, lat in load_outlines().city]
    x0, scale_x, y0, scale_y = rules.fitted(outline, width=MAP_W, height=MAP_H, margin=MARGIN)

    def drawn(at: tuple[float, float]) -> tuple[float, float]:
        return round(x0 + at[1] * scale_x, 1), round(y0 + at[0] * scale_y, 1)

    homes = {key: drawn(rules.widened(seats[group.org.adcode or ""], centre)) for key, (group, _) in placed.items()}
    sizes = rules.radii({key: float(numbers[1]) for key, (_, numbers) in placed.items()}, least=LEAST_R, most=MOST_R)
    circles = []
    for circle in rules.apart(homes, sizes, gap=GAP, width=MAP_W, height=MAP_H):
        group, (quota, stock, free) = placed[circle.key]
        level = "over" if free < 0 else "near" if stock >= MIDDLE * quota else "room"
        circles.append({
            "x": circle.at[0], "y": circle.at[1], "r": circle.radius, "homeX": circle.home[0], "homeY": circle.home[1], "level": level,
            "name": short_name(group), "value": f"{stock}/{quota}", "mark": t("dashboard.over_mark", n=-free) if free < 0 else "",
            "link": row_href(scope, tile, group),
        })  # fmt: skip
    levels = [(level, t(f"dashboard.level.{level}")) for level in ("room", "near", "over")]
    return {
        "kind": "map",
        "width": MAP_W,
        "height": MAP_H,
        "outline": [drawn(at) for at in outline],
        "circles": circles,
        "levels": levels,
    }
