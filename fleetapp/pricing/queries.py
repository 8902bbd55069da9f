"""Reading of price books; what is published is a directory that everybody reads."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Select, func, literal, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.accounts.queries import within_reach
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.pricing import rules
from fleetapp.pricing.models import PriceBook, PriceRate
from fleetapp.pricing.rules import BookState, Fee, Use
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import DayKind


@dataclass(frozen=True, slots=True)
class Quote:
    """What a use costs by a book; ``distance_known`` is false where only what the base holds could be counted."""

    book_id: int
    title: str
    fee: Fee
    distance_known: bool = True

    @property
    def total(self) -> Decimal:
        """The sum, CNY."""
        return self.fee.total


@dataclass(frozen=True, slots=True)
class Gap:
    """Why the book has no price: the code of a text and its values."""

    code: str
    params: dict[str, str] = field(default_factory=dict)


def visible_to(actor: Actor) -> Select[PriceBook]:
    """Return the books: published ones for everybody, drafts within reach of who keeps them; the newest first."""
    return (
        select(PriceBook)
        .join(PriceBook.org)
        .where(or_(PriceBook.state == BookState.PUBLISHED, within_reach(actor, "pricing.edit")))
        .options(contains_eager(PriceBook.org), selectinload(PriceBook.rates))
        .order_by(Organisation.path, PriceBook.valid_from.desc(), PriceBook.version_no.desc())
    )


def get_book(session: Session, *, book_id: int, actor: Actor, lock: bool = False) -> PriceBook:
    """Return a book that the actor may read.

    :raises NotFound: no such book, or a draft of others.
    """
    query = visible_to(actor).where(PriceBook.id == book_id)
    query = query.options(joinedload(PriceBook.author), joinedload(PriceBook.publisher))
    if lock:
        query = query.with_for_update(of=PriceBook).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def last_version(session: Session, *, org_id: int) -> int:
    """Return the highest version number of an organisation's book, 0 without any."""
    return session.scalar(select(func.max(PriceBook.version_no)).where(PriceBook.org_id == org_id)) or 0


def find_book(session: Session, *, on: date, org_path: str | None = None) -> PriceBook | None:
    """Return the version in force on a local day: of the nearest organisation above ``org_path``, without one the city's."""
    query = (
        select(PriceBook)
        .join(PriceBook.org)
        .where(PriceBook.state == BookState.PUBLISHED, PriceBook.valid_from <= on)
        .options(contains_eager(PriceBook.org), selectinload(PriceBook.rates))
        .order_by(func.length(Organisation.path).desc(), PriceBook.valid_from.desc())
        .limit(1)
    )
    if org_path is None:
        return session.scalar(query.where(Organisation.parent_id.is_(None)))
    return session.scalar(query.where(func.starts_with(literal(org_path), Organisation.path)))


def find_rate(
    session: Session, *, body: str, on: date, org_path: str | None = None
) -> tuple[PriceBook, PriceRate] | Gap:
    """Return the book in force and its prices of a body type, or why there are none.

    A district's book that leaves a body type out is a gap: the city's prices are not a district's to charge.
    """
    book = find_book(session, on=on, org_path=org_path)
    if book is None:
        return Gap("pricing.gap.no_book", {"on": on.isoformat()})
    for rate in book.rates:
        if rate.body == body:
            return book, rate
    return Gap("pricing.gap.no_rate", {"book": book.title})


def holidays(session: Session, start_at: datetime, end_at: datetime) -> frozenset[date]:
    """Return the statutory holidays that a use touches; ordinary weekends earn no allowance."""
    found = rules.dates(start_at, end_at)
    kinds = workdays.day_kinds(session, found[0], found[-1] + rules.DAY)
    return frozenset(day.on for day in kinds if day.kind is DayKind.HOLIDAY)


def price(session: Session, *, use: Use, body: str, on: date, org_path: str | None = None) -> Quote | Gap:
    """Return the fee of a use by the book in force on a local day, or why the book has no price for it."""
    found = find_rate(session, body=body, on=on, org_path=org_path)
    if isinstance(found, Gap):
        return found
    book, rate = found
    try:
        made = rules.fee(use, rate.prices, book.terms, holidays=holidays(session, use.start_at, use.end_at))
    except RuleBroken as error:
        return Gap(error.code, {"book": book.title, **error.params})
    return Quote(book.id, book.title, made)


def estimate(
    session: Session, *, body: str, start_at: datetime, end_at: datetime, route_m: int | None, on: date, org_path: str | None = None,
    cross_level: bool = False,
) -> Quote | None:  # fmt: skip
    """Return what a journey of ``route_m`` metres there and back would cost, CNY, without toll and parking; None at a gap.

    ``org_path`` is the unit whose vehicle would come: the nearest book above it counts. ``gap`` says why there is no price.
    """
    use = Use(start_at=start_at, end_at=end_at, distance_m=route_m or 0, cross_level=cross_level)
    found = price(session, use=use, body=body, on=on, org_path=org_path)
    if isinstance(found, Gap):
        return None
    return Quote(found.book_id, found.title, found.fee, distance_known=route_m is not None)


def gap(session: Session, *, body: str, on: date, org_path: str | None = None) -> Gap | None:
    """Return why the book has no price for a body type on a local day; None where it has one."""
    found = find_rate(session, body=body, on=on, org_path=org_path)
    return found if isinstance(found, Gap) else None


def keepers_of(session: Session, actor: Actor) -> Sequence[Organisation]:
    """Return the city and the districts whose book the actor may write, in tree order."""
    levels = Organisation.kind.in_([OrgKind.CITY, OrgKind.DISTRICT])
    orgs = session.scalars(select(Organisation).where(levels).order_by(Organisation.path))
    return [org for org in orgs if permits.may("pricing.edit", actor, org_path=org.path)]
