"""The nine tiles: figures with their lists, what a chart draws, the same as a table, and what may be said of them in one line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.costs import rules as cost_rules
from fleetapp.dashboard import measures, queries, rules
from fleetapp.dashboard.measures import MEASURES, STAGES
from fleetapp.dashboard.scope import Scope, grouped
from fleetapp.findings.rules import Severity
from fleetapp.kit import permits
from fleetapp.kit.errors import FleetError
from fleetapp.policies import queries as policies
from fleetapp.renewal import queries as renewal
from fleetapp.renewal import rules as renewal_rules

YEARS_BACK = 6


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a tile; ``unit``: count, share, cny or km; ``list_code`` names its list where the viewer may open it."""

    code: str
    value: Decimal | float | None
    unit: str = "count"
    list_code: str | None = None


@dataclass(slots=True)
class Tile:
    """A tile; ``state``: filled, empty, denied (with the action needed) or failed (with the error).

    ``rows`` are what the chart shows, as (name or group, numbers in the order of ``heads``); ``data`` what else it needs.
    """

    code: str
    state: str = "filled"
    figures: list[Figure] = field(default_factory=list)
    heads: tuple[str, ...] = ()
    rows: list[tuple[Any, tuple[Any, ...]]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    why: FleetError | str | None = None


Maker = Callable[[Session, Scope, Tile], None]


def _figure(session: Session, scope: Scope, tile: Tile, code: str) -> Decimal:
    """Add a figure of the tile, with its list for whoever may see the rows; returns its value."""
    measure = MEASURES[code]
    value = measures.figure(session, scope, code)
    opens = permits.may(measure.drill, scope.actor, org_path=scope.org.path)
    tile.figures.append(Figure(code, value, measure.unit, code if opens else None))
    return value


def _quota(session: Session, scope: Scope, tile: Tile) -> None:
    stock, quota = (_figure(session, scope, tile, code) for code in ("stock", "quota"))
    _figure(session, scope, tile, "over")
    tile.figures.append(Figure("quota_used", float(stock / quota) if quota else None, "share"))
    held = grouped(scope, {key: int(value) for key, value in measures.by_org(session, scope, "stock").items()})
    allowed = grouped(scope, {key: int(value) for key, value in measures.by_org(session, scope, "quota").items()})
    tile.heads = ("quota", "stock", "free")
    tile.rows = [
        (group, (allowed[group], held[group], allowed[group] - held[group]))
        for group in held
        if held[group] or allowed[group]
    ]
    tile.state = "filled" if stock or quota else "empty"


def _nev(session: Session, scope: Scope, tile: Tile) -> None:
    nev, counted = (_figure(session, scope, tile, code) for code in ("nev", "counted"))
    target = policies.value(session, "plan.stock_share", scope.today, scope.org.path)
    share = float(nev / counted) if counted else None
    tile.figures.insert(0, Figure("nev_share", share, "share"))
    # The years are those of a whole sub-tree: of the own level alone there is no history.
    held = [] if scope.own else renewal.held(session, org_path=scope.org.path)
    first_year = scope.today.year if scope.own else scope.today.year - YEARS_BACK
    years = renewal_rules.shares(held, first_year=first_year, today=scope.today) if held else []
    tile.heads = ("nev_share", "bought_share", "nev_target")
    tile.rows = [(one.year, (one.stock_share, one.bought_share, float(target))) for one in years]
    tile.data = {"target": float(target)}
    tile.state = "filled" if counted else "empty"


def _live(session: Session, scope: Scope, tile: Tile) -> None:
    counts = {code: int(_figure(session, scope, tile, f"live_{code}")) for code in queries.LIVE}
    tile.heads = ("vehicles",)
    tile.rows = [(code, (number,)) for code, number in counts.items()]
    tile.data = {"total": sum(counts.values())}
    tile.state = "filled" if sum(counts.values()) else "empty"


def _orders(session: Session, scope: Scope, tile: Tile) -> None:
    every = _figure(session, scope, tile, "orders_today")
    served, missed = (int(_figure(session, scope, tile, code)) for code in ("orders_served", "orders_missed"))
    tile.figures.insert(1, Figure("fulfilment", rules.fulfilment(served, missed), "share"))
    tile.heads = ("orders_today",)
    tile.rows = [(code, (int(_figure(session, scope, tile, code)),)) for code in STAGES]
    tile.state = "filled" if every else "empty"


def _reserve(session: Session, scope: Scope, tile: Tile) -> None:
    free, floor, low = (int(_figure(session, scope, tile, f"reserve_{which}")) for which in ("free", "floor", "low"))
    found = queries.reserve(session, scope)
    tile.heads = ("reserve_free", "reserve_floor", "reserve_total")
    tile.rows = [((one.org, one.body), (one.free, one.floor, one.total)) for one in found]
    tile.data = {"free": free, "floor": floor, "low": low}
    tile.state = "filled" if found else "empty"


def _cost(session: Session, scope: Scope, tile: Tile) -> None:
    spent = _figure(session, scope, tile, "cost_year")
    each = policies.value(session, "costs.norm_year_cny", scope.today, scope.org.path)
    held = int(measures.figure(session, scope, "stock"))
    norm = (each * held * rules.share_of_year(scope.today)).quantize(Decimal("0.01"))
    tile.figures += [
        Figure("cost_norm", norm, "cny"),
        Figure("cost_share", float(spent / norm) if norm else None, "share"),
    ]
    monthly = (each * held / 12).quantize(Decimal("0.01"))
    by_month = dict.fromkeys(
        cost_rules.months_between(queries.year_start(scope), scope.today + timedelta(days=1)), Decimal(0)
    )
    by_month |= queries.cost_by_month(session, scope)
    tile.heads = ("cost_month", "cost_norm_month")
    tile.rows = [(month, (amount, monthly)) for month, amount in sorted(by_month.items())]
    tile.state = "filled" if spent else "empty"


def _clues(session: Session, scope: Scope, tile: Tile) -> None:
    colours = [Severity.RED, Severity.ORANGE, Severity.YELLOW, Severity.GREEN]
    tile.heads = ("clues",)
    tile.rows = [(one.value, (int(_figure(session, scope, tile, f"clues_{one.value}")),)) for one in colours]
    tile.data = {"total": sum(row[1][0] for row in tile.rows)}


def _sharing(session: Session, scope: Scope, tile: Tile) -> None:
    shared, _, pooled, _ = (
        _figure(session, scope, tile, code) for code in ("shared", "shared_rental", "pooled", "pooled_km")
    )
    by_unit = {
        code: grouped(scope, {key: int(value) for key, value in measures.by_org(session, scope, code).items()})
        for code in ("shared", "pooled")
    }
    tile.heads = ("shared", "pooled")
    tile.rows = [
        (group, (number, by_unit["pooled"][group]))
        for group, number in by_unit["shared"].items()
        if number or by_unit["pooled"][group]
    ]
    tile.state = "filled" if shared or pooled else "empty"


def _terminals(session: Session, scope: Scope, tile: Tile) -> None:
    every, online = (_figure(session, scope, tile, code) for code in ("terminals", "terminals_online"))
    tile.figures.insert(0, Figure("online_share", float(online / every) if every else None, "share"))
    faults = {code: int(_figure(session, scope, tile, f"terminals_{code}")) for code in ("offline", "clock", "alarm")}
    tile.heads = ("terminals",)
    tile.rows = [(code, (number,)) for code, number in (("online", int(online)), *faults.items())]
    tile.state = "filled" if every else "empty"


TILES: Mapping[str, tuple[str, Maker]] = {
    "quota": ("quota.read", _quota),
    "live": ("tracking.live", _live),
    "orders": ("orders.read", _orders),
    "reserve": ("reserves.read", _reserve),
    "clues": ("dashboard.clues", _clues),
    "nev": ("renewal.read", _nev),
    "cost": ("costs.read", _cost),
    "sharing": ("pool.read", _sharing),
    "terminals": ("dashboard.terminals", _terminals),
}
"""In their order on the wall: what a viewer must be allowed to read, and who fills it in."""


def tiles(session: Session, scope: Scope) -> list[Tile]:
    """Return all tiles for a viewer; one that lacks a policy figure says so and leaves the others alone."""
    found = []
    for code, (action, fill) in TILES.items():
        tile = Tile(code)
        if not permits.may(action, scope.actor, org_path=scope.org.path):
            tile.state, tile.why = "denied", action
        else:
            try:
                measures.reckon(session, scope, measures.of_tile(code))
                fill(session, scope, tile)
            except FleetError as error:
                tile = Tile(code, "failed", why=error)
        found.append(tile)
    return found
