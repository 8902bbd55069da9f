"""Writing of price books: a draft is written by one person and published by another; what is published stays."""

import tomllib
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.pricing import queries, rules
from fleetapp.pricing.models import PriceBook, PriceRate
from fleetapp.pricing.rules import BookState, Rate, Terms
from fleetapp.vehicles.rules import Body

BOOK_FILE = Path(__file__).parents[2] / "config" / "price_book.toml"
Rates = Mapping[Body, Rate]


def draft(
    session: Session, *, org_id: int, title: str, source: str, valid_from: date, terms: Terms, rates: Rates, actor: Actor, now: datetime,
    note: str | None = None,
) -> PriceBook:  # fmt: skip
    """Write the next version of an organisation's book; a body type without a rate is not offered."""
    org = accounts.get_org(session, org_id=org_id)
    permits.require("pricing.edit", actor, org_path=org.path)
    number = queries.last_version(session, org_id=org.id) + 1
    book = PriceBook(
        org_id=org.id, version_no=number, state=BookState.DRAFT, created_by=actor.user_id, created_at=now, org=org
    )
    _fill(book, title=title, source=source, valid_from=valid_from, terms=terms, rates=rates, note=note)
    session.add(book)
    session.flush()
    _record(session, book, "drafted", actor=actor, now=now)
    return book


def copy(session: Session, *, book_id: int, actor: Actor, now: datetime) -> PriceBook:
    """Write a draft with the prices of another version, to begin tomorrow unless it is changed."""
    old = queries.get_book(session, book_id=book_id, actor=actor)
    return draft(
        session, org_id=old.org_id, title=old.title, source=old.source, valid_from=clock.local_date(now) + rules.DAY, terms=old.terms,
        rates={Body(rate.body): rate.prices for rate in old.rates}, note=None, actor=actor, now=now,
    )  # fmt: skip


def edit(
    session: Session, *, book_id: int, title: str, source: str, valid_from: date, terms: Terms, rates: Rates, actor: Actor, now: datetime,
    note: str | None = None,
) -> PriceBook:  # fmt: skip
    """Change a draft.

    :raises RuleBroken: ``pricing.frozen``: it is published or discarded.
    """
    book = _draft(session, book_id, "pricing.edit", actor)
    book.rates.clear()
    session.flush()
    _fill(book, title=title, source=source, valid_from=valid_from, terms=terms, rates=rates, note=note)
    session.flush()
    _record(session, book, "edited", actor=actor, now=now)
    return book


def publish(session: Session, *, book_id: int, actor: Actor, now: datetime) -> PriceBook:
    """Publish a draft written by somebody else; from then on nothing in it changes.

    :raises NotAllowed: one's own draft.
    :raises RuleBroken: ``pricing.frozen``, ``empty``, ``too_late``.
    :raises Conflict: at the end, ``pricing.same_day``: another version of the book begins on that day.
    """
    book = _draft(session, book_id, "pricing.publish", actor)
    rules.check_publish(valid_from=book.valid_from, today=clock.local_date(now), rates=len(book.rates))
    book.state, book.published_by, book.published_at = BookState.PUBLISHED, actor.user_id, now
    session.flush()
    _record(session, book, "published", actor=actor, now=now)
    return book


def discard(session: Session, *, book_id: int, actor: Actor, now: datetime) -> PriceBook:
    """Give a draft up; its version number stays taken.

    :raises RuleBroken: ``pricing.frozen``.
    """
    book = _draft(session, book_id, "pricing.edit", actor)
    book.state = BookState.DISCARDED
    session.flush()
    _record(session, book, "discarded", actor=actor, now=now)
    return book


def load_file(session: Session, *, actor: Actor, now: datetime, path: Path = BOOK_FILE) -> PriceBook | None:
    """Publish the system's own default as the city's first book; None where a book is there already."""
    permits.require("pricing.load", actor)
    with path.open("rb") as file:
        told = tomllib.load(file)
    city = accounts.get_top(session)
    if city is None or queries.last_version(session, org_id=city.id):
        return None
    book = draft(
        session, org_id=city.id, title=told["title"], source=told["source"], valid_from=told["valid_from"], terms=Terms(**_exact(told["terms"])),
        rates={Body(body): Rate(**_exact(row)) for body, row in told["rates"].items()}, actor=actor, now=now,
    )  # fmt: skip
    book.state, book.published_at = BookState.PUBLISHED, now
    session.flush()
    _record(session, book, "published", actor=actor, now=now)
    return book


def _exact(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of the file with its quoted figures as decimals."""
    return {name: Decimal(value) if isinstance(value, str) else value for name, value in row.items()}


def _draft(session: Session, book_id: int, action: str, actor: Actor) -> PriceBook:
    book = queries.get_book(session, book_id=book_id, actor=actor, lock=True)
    permits.require(action, actor, org_path=book.org.path, owner_id=book.created_by)
    if book.state != BookState.DRAFT:
        raise RuleBroken("pricing.frozen", title=book.title, version=book.version_no)
    return book


def _fill(
    book: PriceBook, *, title: str, source: str, valid_from: date, terms: Terms, rates: Rates, note: str | None
) -> None:
    book.title, book.source, book.valid_from, book.note = title, source, valid_from, note
    book.half_day_h, book.night_from_h, book.night_to_h = terms.half_day_h, terms.night_from_h, terms.night_to_h
    book.rounding, book.cap_share = terms.rounding, terms.cap_share
    for body in Body:
        if (rate := rates.get(body)) is not None:
            book.rates.append(PriceRate(body=body, **{name: getattr(rate, name) for name in Rate.__dataclass_fields__}))


def _record(session: Session, book: PriceBook, what: str, *, actor: Actor, now: datetime) -> None:
    audit.record(session, actor=actor, now=now, action=f"pricing.{what}", subject_type="price_book", subject_id=book.id, org_id=book.org_id,
                 title=book.title, version_no=book.version_no, valid_from=book.valid_from, state=book.state, note=book.note,
                 rates={rate.body: {name: str(getattr(rate, name)) for name in Rate.__dataclass_fields__} for rate in book.rates})  # fmt: skip
