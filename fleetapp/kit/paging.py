"""One page of a list, with what a person needs to move on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, inspect, select
from sqlalchemy.orm import Session
from sqlalchemy.orm.util import AliasedInsp

PAGE_SIZE = 25
LARGEST_PAGE = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``number`` counts from 1; ``total`` is the number of rows over all pages, or the most that was counted if ``capped``."""

    items: Sequence[T]
    number: int
    size: int
    total: int
    capped: bool = False

    @property
    def pages(self) -> int:
        """Number of pages, at least one."""
        return max(1, -(-self.total // self.size))


def paginate(session: Session, query: Select[Any], *, number: int = 1, size: int = PAGE_SIZE) -> Page[Any]:
    """Run an ordered query for one page. Whole entities are returned where the query selects one, else rows."""
    number, size = max(1, number), min(max(1, size), LARGEST_PAGE)
    # Whole entities are counted by their keys: what is not read is not counted through either.
    columns = [key for one in query.column_descriptions for key in _keys(one["expr"])]
    counted = query.order_by(None).with_only_columns(*columns)
    total = session.scalar(select(func.count()).select_from(counted.subquery())) or 0
    result = session.execute(query.limit(size).offset((number - 1) * size))
    rows: Sequence[Any] = result.scalars().all() if len(query.column_descriptions) == 1 else result.all()
    return Page(rows, number, size, total)


def _keys(selected: Any) -> Sequence[Any]:
    """Return the key columns of an entity, also of one under another name; a column is its own."""
    if isinstance(selected, type):
        return inspect(selected).primary_key
    found = inspect(selected, raiseerr=False)
    if isinstance(found, AliasedInsp):
        mapper = found.mapper
        return [getattr(selected, mapper.get_property_by_column(key).key) for key in mapper.primary_key]
    return (selected,)
