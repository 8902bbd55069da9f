"""The figures by code: which tile they stand in, the rows behind them, who may see these, where a row leads.

What each means stands in ``texts.toml`` under ``define.<code>``, in one place.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetapp.dashboard import queries
from fleetapp.dashboard.queries import Row, Rows
from fleetapp.dashboard.scope import Scope
from fleetapp.findings.rules import Severity
from fleetapp.orders.rules import DRIVEN, GROUPS, OrderState
from fleetapp.planning.rules import OUT

Counted = Callable[[Session, Scope], Rows | list[Row]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure. ``rows`` add up to it; ``drill`` opens the rows, ``to`` is (endpoint, argument) of a row's own page.

    ``note`` is the prefix of the texts of the rows' notes; ``unit``: count, cny or km.
    ``total`` adds up what would be too many rows to add up here; a ``grouped`` one is shown by organisation too.
    ``part`` says that the rows are those of other rows with one of some notes: figures of the same rows are added up at once.
    """

    code: str
    tile: str
    rows: Counted
    drill: str
    to: tuple[str, str]
    note: str = ""
    unit: str = "count"
    total: Callable[[Session, Scope], Decimal] | None = None
    grouped: bool = False
    part: tuple[Counted, frozenset[str]] | None = None

    @property
    def sums(self) -> bool:
        """Whether rows add more or less than one each."""
        return self.unit != "count" or self.code in {"quota", "over", "reserve_free", "reserve_floor"}


CAR = ("vehicles.show", "vehicle_id")
UNIT = ("acquisitions.history", "org_id")
ORDER = ("orders.show", "order_id")


def _orders(code: str, states: frozenset[OrderState]) -> Measure:
    return Measure(
        code, "orders", lambda _session, scope: queries.orders_in(scope, states), "orders.read", ORDER, "orders.state.",
        part=(queries.orders_today, frozenset(states)),
    )  # fmt: skip


def _clues(severity: str) -> Counted:
    return lambda _session, scope: queries.clues(scope, severity)


STAGES: Mapping[str, frozenset[OrderState]] = {
    "orders_to_approve": GROUPS["to_approve"],
    "orders_to_dispatch": GROUPS["to_dispatch"],
    "orders_ready": frozenset({OrderState.DISPATCHED, OrderState.DRIVER_ACCEPTED}),
    "orders_out": frozenset(OUT),
    "orders_done": frozenset(DRIVEN),
    "orders_other": frozenset({OrderState.OUTSOURCED, OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.CANCELLED, OrderState.NO_SHOW}),
}  # fmt: skip
"""Where today's orders are; each state is in exactly one."""

_ALL = (
    Measure("stock", "quota", queries.stock, "vehicles.read", CAR, "vehicles.state.", grouped=True),
    Measure("quota", "quota", queries.quota, "quota.read", UNIT, "vehicles.category.", grouped=True),
    Measure("over", "quota", queries.over_quota, "quota.read", UNIT, "vehicles.category."),
    Measure("nev", "nev", queries.nev, "vehicles.read", CAR, "vehicles.energy."),
    Measure("counted", "nev", queries.counted, "vehicles.read", CAR, "vehicles.energy."),
    *(
        Measure(f"live_{which}", "live", partial(queries.live, which=which), "vehicles.read", CAR, "dashboard.row.live.",
                part=(queries.live, frozenset([which])))
        for which in queries.LIVE
    ),
    Measure("orders_today", "orders", queries.orders_today, "orders.read", ORDER, "orders.state."),
    *(_orders(code, states) for code, states in STAGES.items()),
    _orders("orders_served", queries.SERVED),
    Measure("orders_missed", "orders", queries.orders_missed, "orders.read", ORDER, "orders.state."),
    *(
        Measure(f"reserve_{which}", "reserve", partial(queries.reserve_rows, which=which), "reserves.read", ("reserves.index", ""), "reserves.body.")
        for which in ("free", "floor", "low")
    ),
    Measure("cost_year", "cost", queries.running_costs, "costs.read", ("costs.vehicle", "vehicle_id"), "costs.kind.", unit="cny",
            total=queries.cost_year),
    *(
        Measure(f"clues_{severity.value}", "clues", _clues(severity.value), "findings.read", ("findings.show", "finding_id"))
        for severity in Severity
    ),
    Measure("shared", "sharing", queries.shared, "planning.read", ORDER, grouped=True),
    Measure("shared_rental", "sharing", queries.shared_rental, "planning.read", ORDER, unit="cny"),
    Measure("pooled", "sharing", queries.pooled, "planning.read", ORDER, grouped=True),
    Measure("pooled_km", "sharing", queries.pooled_km, "planning.read", ORDER, unit="km"),
    Measure("terminals", "terminals", queries.terminals, "tracking.health", ("terminals.show", "terminal_id")),
    *(
        Measure(f"terminals_{which}", "terminals", partial(queries.terminals, which=which), "tracking.health", ("terminals.show", "terminal_id"))
        for which in ("online", "offline", "clock", "alarm")
    ),
)  # fmt: skip
MEASURES: Mapping[str, Measure] = {one.code: one for one in _ALL}


def by_org(session: Session, scope: Scope, code: str) -> dict[int, Decimal]:
    """Return a figure by organisation; asked once a page."""
    known: dict[str, dict[int, Decimal]] = scope.known.setdefault("by_org", {})
    if code not in known:
        known[code] = _by_org(session, scope, code)
    return known[code]


def _by_org(session: Session, scope: Scope, code: str) -> dict[int, Decimal]:
    rows = MEASURES[code].rows(session, scope)
    found: dict[int, Decimal] = {}
    if isinstance(rows, list):
        for row in rows:
            found[row.org_id] = found.get(row.org_id, Decimal(0)) + row.amount
        return found
    inner = rows.order_by(None).subquery()
    grouped = session.execute(select(inner.c.org_id, func.sum(inner.c.amount)).group_by(inner.c.org_id))
    return {org_id: Decimal(amount) for org_id, amount in grouped}


def _by_note(session: Session, scope: Scope, base: Counted) -> dict[str, Decimal]:
    known: dict[Counted, dict[str, Decimal]] = scope.known.setdefault("by_note", {})
    if base not in known:
        rows = base(session, scope)
        assert not isinstance(rows, list)
        inner = rows.order_by(None).subquery()
        sums = session.execute(select(inner.c.note, func.sum(inner.c.amount)).group_by(inner.c.note))
        known[base] = {note: Decimal(amount) for note, amount in sums}
    return known[base]


def figure(session: Session, scope: Scope, code: str) -> Decimal:
    """Return a figure: what its rows add up to."""
    if code not in scope.known.setdefault("figures", {}):
        reckon(session, scope, [MEASURES[code]])
    value: Decimal = scope.known["figures"][code]
    return value


def reckon(session: Session, scope: Scope, wanted: Iterable[Measure]) -> None:
    """Make figures known to the scope: what the database adds up in one statement for all of them."""
    found, asked = {}, {}
    for one in wanted:
        if one.total is not None:
            found[one.code] = one.total(session, scope)
            continue
        if one.part is not None:
            base, notes = one.part
            found[one.code] = sum((_by_note(session, scope, base).get(note, Decimal(0)) for note in notes), Decimal(0))
            continue
        if one.grouped:
            found[one.code] = sum(by_org(session, scope, one.code).values(), Decimal(0))
            continue
        rows = one.rows(session, scope)
        if isinstance(rows, list):
            found[one.code] = sum((row.amount for row in rows), Decimal(0))
        else:
            inner = rows.order_by(None).subquery()
            asked[one.code] = select(func.coalesce(func.sum(inner.c.amount), 0)).scalar_subquery()
    if asked:
        sums = session.execute(select(*asked.values())).one()
        found |= {code: Decimal(value) for code, value in zip(asked, sums, strict=True)}
    scope.known.setdefault("figures", {}).update(found)


def of_tile(tile: str) -> list[Measure]:
    """Return the figures that stand in a tile."""
    return [one for one in _ALL if one.tile == tile]


def listed(session: Session, scope: Scope, code: str, *, number: int, size: int) -> tuple[Sequence[Any], int]:
    """Return one page of the rows behind a figure, and how many there are."""
    rows, first = MEASURES[code].rows(session, scope), (number - 1) * size
    if isinstance(rows, list):
        return rows[first : first + size], len(rows)
    count = session.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0
    return session.execute(rows.limit(size).offset(first)).all(), count
