"""One page of a list, with what a person needs to move on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

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
    total = session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
    result = session.execute(query.limit(size).offset((number - 1) * size))
    rows: Sequence[Any] = result.scalars().all() if len(query.column_descriptions) == 1 else result.all()
    return Page(rows, number, size, total)
