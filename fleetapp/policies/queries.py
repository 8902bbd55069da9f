"""Reading of policy figures as they were in force on a day. Policy is a directory: everybody may read all of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.policies import rules
from fleetapp.policies.models import PolicyValue
from fleetapp.policies.rules import Scope

RANK = case(rules.RANK, value=PolicyValue.scope)
"""The level of a row's scope, 0 for the nation."""


def _on(day: date) -> ColumnElement[bool]:
    ends = or_(PolicyValue.valid_to.is_(None), PolicyValue.valid_to > day)
    return and_(PolicyValue.withdrawn_at.is_(None), PolicyValue.valid_from <= day, ends)


def in_force(on: date, org_path: str | None = None, *, starts: Sequence[str] = ()) -> Select[PolicyValue]:
    """Return the rows in force on a local day that apply to an organisation, by code, from the highest scope down.

    Without ``org_path`` only those that apply everywhere; ``starts`` keeps the codes that begin so.
    """
    applies: ColumnElement[bool] = PolicyValue.org_id.is_(None)
    if org_path is not None:
        applies = or_(applies, func.starts_with(literal(org_path), Organisation.path))
    query = (
        select(PolicyValue).outerjoin(PolicyValue.org).options(contains_eager(PolicyValue.org)).where(_on(on), applies)
    )
    if starts:
        query = query.where(or_(*(PolicyValue.code.startswith(start, autoescape=True) for start in starts)))
    return query.order_by(PolicyValue.code, RANK, func.coalesce(func.length(Organisation.path), 0))


def standing(session: Session, *starts: str, on: date, org_path: str | None = None) -> dict[str, PolicyValue]:
    """Return the rows that stand for an organisation on a local day by code: the stricter scope wins unless it may relax."""
    return rules.standing(session.scalars(in_force(on, org_path, starts=starts)))


def every(session: Session, *prefixes: str) -> Sequence[PolicyValue]:
    """Return the rows of all days whose code starts with one of ``prefixes``, withdrawn ones aside, from the highest scope down."""
    return session.scalars(
        select(PolicyValue)
        .outerjoin(PolicyValue.org)
        .options(contains_eager(PolicyValue.org))
        .where(
            or_(*(PolicyValue.code.startswith(one, autoescape=True) for one in prefixes)),
            PolicyValue.withdrawn_at.is_(None),
        )
        .order_by(PolicyValue.code, RANK, func.coalesce(func.length(Organisation.path), 0))
    ).all()


class Figures(dict[str, Decimal]):
    """Values by code. :raises RuleBroken: ``policies.missing``, asked with ``[]`` for one that is not in force."""

    def __init__(self, found: Mapping[str, Decimal], on: date) -> None:
        super().__init__(found)
        self._on = on

    def __missing__(self, code: str) -> Decimal:
        raise RuleBroken("policies.missing", figure=code, on=self._on.isoformat())


def values(session: Session, prefix: str, on: date, org_path: str | None = None) -> Figures:
    """Return the values that stand of all codes beginning with ``prefix``, by full code."""
    rows = standing(session, prefix, on=on, org_path=org_path)
    return Figures({code: row.value for code, row in rows.items()}, on)


def value(session: Session, code: str, on: date, org_path: str | None = None) -> Decimal:
    """Return one figure.

    :raises RuleBroken: ``policies.missing``, none is in force on that day.
    """
    row = rules.standing(session.scalars(in_force(on, org_path).where(PolicyValue.code == code))).get(code)
    if row is None:
        raise RuleBroken("policies.missing", figure=code, on=on.isoformat())
    return row.value


def by_day(session: Session, code: str, *, days: Collection[date], org_path: str) -> dict[date, Decimal]:
    """Return the value of one code on each of many days, in one statement.

    :raises RuleBroken: ``policies.missing``, none is in force on one of the days.
    """
    rows = [
        row
        for row in every(session, code)
        if row.code == code and (row.org is None or org_path.startswith(row.org.path))
    ]
    found = {}
    for day in days:
        there = (row for row in rows if row.valid_from <= day and (row.valid_to is None or row.valid_to > day))
        row = rules.standing(there).get(code)
        if row is None:
            raise RuleBroken("policies.missing", figure=code, on=day.isoformat())
        found[day] = row.value
    return found


def by_org(session: Session, code: str, *, on: date, org_paths: Iterable[str]) -> dict[str, Decimal]:
    """Return the value of one code that stands for each of many organisations, by path; one without any is left out."""
    rows = session.execute(
        select(PolicyValue, func.coalesce(Organisation.path, ""))
        .outerjoin(PolicyValue.org)
        .where(PolicyValue.code == code, _on(on))
        .order_by(RANK, func.coalesce(func.length(Organisation.path), 0))
    ).all()
    found = {}
    for org_path in org_paths:
        row = rules.standing(row for row, path in rows if org_path.startswith(path)).get(code)
        if row is not None:
            found[org_path] = row.value
    return found


def above(session: Session, *, code: str, scope: Scope, org: Organisation | None, on: date) -> PolicyValue | None:
    """Return the row that stands on a day over a scope without its own row."""
    higher: ColumnElement[bool] = and_(PolicyValue.org_id.is_(None), rules.RANK[scope] > RANK)
    if org is not None:
        higher = or_(higher, and_(func.starts_with(literal(org.path), Organisation.path), PolicyValue.org_id != org.id))
    rows = in_force(on, None if org is None else org.path).where(PolicyValue.code == code, higher)
    return rules.standing(session.scalars(rows)).get(code)


def below(
    session: Session, *, code: str, scope: Scope, org: Organisation | None, on: date
) -> list[tuple[PolicyValue, Decimal]]:
    """Return the rows in force on a day of the scopes below a scope, each with the value that stands in its own place."""
    if org is None:
        lower: ColumnElement[bool] = rules.RANK[scope] < RANK
    else:
        lower = and_(Organisation.path.startswith(org.path, autoescape=True), PolicyValue.org_id != org.id)
    rows = session.scalars(listed(on).where(PolicyValue.code == code, lower)).all()
    return [(row, value(session, code, on, row.org.path if row.org else None)) for row in rows]


def listed(on: date, q: str = "", *, org_path: str | None = None, subject: str | None = None) -> Select[PolicyValue]:
    """Return every row in force on a day, by code from the highest scope down; with ``org_path`` those that apply there."""
    query = in_force(on, org_path) if org_path else (
        select(PolicyValue).outerjoin(PolicyValue.org).options(contains_eager(PolicyValue.org)).where(_on(on))
        .order_by(PolicyValue.code, RANK, Organisation.path)
    )  # fmt: skip
    starts = rules.SUBJECTS.get(subject or "") or [start for group in rules.SUBJECTS.values() for start in group]
    if subject:
        within = or_(*(PolicyValue.code.startswith(start, autoescape=True) for start in starts))
        query = query.where(within if subject in rules.SUBJECTS else ~within)
    if q:
        columns = (PolicyValue.code, PolicyValue.source, PolicyValue.article)
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    return query


def history(session: Session, *, code: str) -> Sequence[PolicyValue]:
    """Return every row a code ever had, withdrawn ones too, the newest period first.

    :raises NotFound: no such code.
    """
    rows = session.scalars(
        select(PolicyValue)
        .where(PolicyValue.code == code)
        .options(joinedload(PolicyValue.org), joinedload(PolicyValue.author), joinedload(PolicyValue.withdrawer))
        .order_by(PolicyValue.valid_from.desc(), RANK, PolicyValue.id.desc())
        .execution_options(populate_existing=True)
    ).all()
    if not rows:
        raise NotFound("kit.not_found")
    return rows


def get_row(session: Session, *, policy_id: int, lock: bool = False) -> PolicyValue:
    """Return one row; only who maintains its scope can lock it.

    :raises NotFound: no such row.
    """
    row = session.get(PolicyValue, policy_id, with_for_update=lock, populate_existing=True)
    if row is None:
        raise NotFound("kit.not_found")
    return row


def maintained_by(session: Session, actor: Actor) -> tuple[bool, Sequence[Organisation]]:
    """Return whether the actor maintains nation, province and city, and the districts and units maintained, in tree order."""
    orgs = session.scalars(select(Organisation).order_by(Organisation.path)).all()
    mine = [org for org in orgs if permits.may("policies.edit", actor, org_path=org.path)]
    return any(org.parent_id is None for org in mine), [org for org in mine if org.parent_id is not None]


def city_path(session: Session) -> str:
    """Return the path of the top organisation: nation, province and city are maintained there."""
    return session.scalar(select(Organisation.path).where(Organisation.parent_id.is_(None))) or "/"
