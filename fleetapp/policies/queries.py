"""Reading of policy figures as they were in force on a day."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import ColumnElement, Select, func, literal, or_, select
from sqlalchemy.orm import Session, contains_eager

from fleetapp.accounts.models import Organisation
from fleetapp.kit.errors import RuleBroken
from fleetapp.policies.models import PolicyValue


def in_force(on: date, org_path: str | None = None) -> Select[PolicyValue]:
    """Return the rows in force on a local day that apply to an organisation, by code, the most specific scope first.

    Without ``org_path`` only those that apply everywhere. Policy is a directory: everybody may read all of it.
    """
    applies: ColumnElement[bool] = PolicyValue.org_id.is_(None)
    if org_path is not None:
        applies = or_(applies, func.starts_with(literal(org_path), Organisation.path))
    return (
        select(PolicyValue)
        .outerjoin(Organisation, Organisation.id == PolicyValue.org_id)
        .where(PolicyValue.valid_from <= on, or_(PolicyValue.valid_to.is_(None), PolicyValue.valid_to > on), applies)
        .order_by(PolicyValue.code, func.coalesce(func.length(Organisation.path), 0).desc())
    )


def listed(on: date, q: str = "") -> Select[PolicyValue]:
    """Return every row in force on a day with the organisation it is for loaded, by code."""
    query = (
        select(PolicyValue)
        .outerjoin(PolicyValue.org)
        .options(contains_eager(PolicyValue.org))
        .where(PolicyValue.valid_from <= on, or_(PolicyValue.valid_to.is_(None), PolicyValue.valid_to > on))
        .order_by(PolicyValue.code, Organisation.path)
    )
    if q:
        columns = (PolicyValue.code, PolicyValue.source, PolicyValue.article)
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    return query


def every(session: Session, prefix: str) -> Sequence[PolicyValue]:
    """Return all rows of all times whose code starts with ``prefix``, their organisation loaded, the most specific scope first."""
    return session.scalars(
        select(PolicyValue)
        .outerjoin(PolicyValue.org)
        .options(contains_eager(PolicyValue.org))
        .where(PolicyValue.code.startswith(prefix, autoescape=True))
        .order_by(PolicyValue.code, func.coalesce(func.length(Organisation.path), 0).desc())
    ).all()


def values(session: Session, prefix: str, on: date, org_path: str | None = None) -> dict[str, Decimal]:
    """Return all figures whose code starts with ``prefix`` by full code, the most specific scope winning."""
    found: dict[str, Decimal] = {}
    for row in session.scalars(in_force(on, org_path).where(PolicyValue.code.startswith(prefix, autoescape=True))):
        found.setdefault(row.code, row.value)
    return found


def value(session: Session, code: str, on: date, org_path: str | None = None) -> Decimal:
    """Return one figure.

    :raises RuleBroken: ``policies.missing``, none is in force on that day.
    """
    row = session.scalars(in_force(on, org_path).where(PolicyValue.code == code).limit(1)).first()
    if row is None:
        raise RuleBroken("policies.missing", figure=code, on=on.isoformat())
    return row.value
