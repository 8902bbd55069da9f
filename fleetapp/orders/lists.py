"""Pages of long lists of orders: nothing is counted or read beyond what a person looks at."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, ColumnElement, cast, func, literal, select
from sqlalchemy.orm import Session

from fleetapp.kit.paging import LARGEST_PAGE, Page
from fleetapp.orders import rules
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.queries import Orders, filtered

MOST = 1000
"""Rows that a tab counts and pages through, and that a text finds; beyond it people narrow the dates."""
SHORTEST_TEXT = 2
"""Letters from which a text is found by its index."""


def with_text(
    session: Session, rows: Orders, *, q: str, start: datetime | None = None, end: datetime | None = None
) -> Orders:
    """Narrow a list to the newest ``MOST`` orders that have a text, as ``filtered`` finds it, by the index of the database."""
    if len(q) < SHORTEST_TEXT:
        return filtered(rows, q=q)
    ids = session.scalars(select(func.fleet_orders_with(q, start, end, None, MOST))).all()
    return rows.where(_among(ids))


def _among(ids: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition of being one of some ids; one value for the database however many there are."""
    return TravelOrder.id == func.any(cast(ids, ARRAY(BigInteger)))


def counts(session: Session, rows: Orders) -> dict[str, int]:
    """Return how many of the rows are in each tab and in ``all``, at most one more than ``MOST``; one statement."""

    def counted(group: str) -> object:
        inside = filtered(rows, group=group).order_by(None).with_only_columns(literal(1)).limit(MOST + 1).subquery()
        return select(func.count()).select_from(inside).scalar_subquery().label(group)

    found = session.execute(select(*(counted(group) for group in [*rules.GROUPS, "all"]))).mappings().one()  # type: ignore[call-overload]
    return {name: int(number) for name, number in found.items()}


def page(session: Session, rows: Orders, *, number: int, size: int, total: int) -> Page[TravelOrder]:
    """Return one page of a list whose tab was counted: its ids first, then these rows alone with what lists show."""
    size = min(max(1, size), LARGEST_PAGE)
    ids: Sequence[int] = session.scalars(
        rows.with_only_columns(TravelOrder.id).limit(size).offset((max(1, number) - 1) * size)
    ).all()
    items = session.scalars(rows.where(_among(ids))).all() if ids else []
    return Page(items, max(1, number), size, min(total, MOST), capped=total > MOST)
