"""Reading of cases: the queue, one case, who is told next, who may handle it."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from fleetapp.accounts.models import Organisation, RoleGrant, UserAccount
from fleetapp.findings import queries
from fleetapp.findings.models import CaseEvent, Finding, FindingCase
from fleetapp.findings.workflow import ASIDE, GROUPS, FindingState
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound
from fleetapp.orders.models import TravelOrder
from fleetapp.vehicles.models import Vehicle

Cases = Select[FindingCase]


def inside(actor: Actor, action: str) -> ColumnElement[bool]:
    """Return the condition on ``Organisation`` that the actor's grants for an action reach."""
    paths = actor.paths({*permits.table()[action].roles, Role.SYSTEM})
    return or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths))


def visible_to(actor: Actor) -> Cases:
    """Return the cases that the permission table opens to the actor, the gravest colour and nearest deadline first."""
    scopes = permits.table()["findings.read"].roles
    me = actor.user_id
    reach: list[ColumnElement[bool]] = [
        FindingCase.id.is_not(None) if actor.has(Role.SYSTEM) else FindingCase.id.is_(None)
    ]
    for grant in actor.grants:
        match scopes.get(grant.role):
            case "own":
                mine = exists().where(Finding.case_id == FindingCase.id, Finding.concerned_id == me)
                reach += [FindingCase.concerned_id == me, FindingCase.escalated_to_id == me, mine]
            case "subtree":
                reach.append(Organisation.path.startswith(grant.org_path, autoescape=True))
    rank = case({"red": 0, "orange": 1, "yellow": 2}, value=FindingCase.severity, else_=3)
    return (
        select(FindingCase)
        .join(Vehicle, Vehicle.id == FindingCase.vehicle_id)
        .join(Organisation, Organisation.id == FindingCase.org_id)
        .where(or_(*reach))
        .options(
            joinedload(FindingCase.org), joinedload(FindingCase.vehicle), joinedload(FindingCase.concerned),
            joinedload(FindingCase.handler), selectinload(FindingCase.findings),
        )
        .order_by(rank, FindingCase.due_at, FindingCase.id)
    )  # fmt: skip


def filtered(
    rows: Cases,
    *,
    group: str = "all",
    state: str | None = None,
    rule: str | None = None,
    severity: str | None = None,
    org_id: int | None = None,
    q: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    overdue_at: datetime | None = None,
    due_before: datetime | None = None,
    handler_id: int | None = None,
) -> Cases:
    """Narrow the queue: tab, state, rule, colour, unit with its sub-tree, number or plate, start in ``[start, end)``, and so on.

    ``overdue_at`` keeps those overdue at a moment, ``due_before`` the open ones due before one.
    """
    conditions = queries.narrowing(
        FindingCase, group=group, start=start, end=end, overdue_at=overdue_at, state=state, severity=severity,
        handler_id=handler_id,
    )  # fmt: skip
    if rule:
        conditions.append(
            exists().where(
                Finding.case_id == FindingCase.id, Finding.rule == rule, Finding.state != FindingState.WITHDRAWN
            )
        )
    if org_id is not None:
        top = select(Organisation.path).where(Organisation.id == org_id).scalar_subquery()
        conditions.append(func.starts_with(Organisation.path, top))
    if q:
        words = q.strip().upper()
        of_clue = exists().where(Finding.case_id == FindingCase.id, Finding.number.icontains(words, autoescape=True))
        conditions.append(
            or_(
                FindingCase.number.icontains(words, autoescape=True),
                Vehicle.plate.icontains(words, autoescape=True),
                of_clue,
            )
        )
    if due_before:
        conditions += [FindingCase.state.in_(GROUPS["open"]), FindingCase.due_at < due_before]
    return rows.where(and_(True, *conditions))


def counts(session: Session, rows: Cases, *, now: datetime, me: int | None) -> dict[str, int]:
    """Return how many of the rows are in each tab, ``all``, ``overdue``, and ``mine``: open and assigned to somebody."""
    found_rows = (
        rows.with_only_columns(FindingCase.state, FindingCase.due_at, FindingCase.handler_id).order_by(None).subquery()
    )
    is_open = found_rows.c.state.in_(GROUPS["open"])
    found = {
        str(state): int(number)
        for state, number in session.execute(select(found_rows.c.state, func.count()).group_by(found_rows.c.state))
    }
    overdue, mine = session.execute(
        select(
            func.count().filter(found_rows.c.state.in_(GROUPS["to_explain"]), found_rows.c.due_at < now),
            func.count().filter(is_open, found_rows.c.handler_id == me),
        ).select_from(found_rows)
    ).one()
    tabs = {name: sum(found.get(state, 0) for state in states) for name, states in GROUPS.items()}
    return {**tabs, "all": sum(found.values()), "overdue": overdue, "mine": mine}


def _whole(case_id: int, actor: Actor) -> Cases:
    return (
        visible_to(actor)
        .where(FindingCase.id == case_id)
        .options(
            joinedload(FindingCase.reviewer), joinedload(FindingCase.escalated_to),
            joinedload(FindingCase.vehicle).joinedload(Vehicle.parking),
            selectinload(FindingCase.findings).joinedload(Finding.order).selectinload(TravelOrder.stops),
            selectinload(FindingCase.findings).joinedload(Finding.concerned),
            selectinload(FindingCase.events).joinedload(CaseEvent.actor),
        )
    )  # fmt: skip


def get_case(session: Session, *, case_id: int, actor: Actor) -> FindingCase:
    """Return one case with its clues, people, orders and history.

    :raises NotFound: none, or out of reach.
    """
    found = session.scalar(_whole(case_id, actor))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def lock_case(session: Session, *, case_id: int, actor: Actor) -> FindingCase:
    """Return a case as everybody ahead has left it; nobody else changes it until the end.

    :raises NotFound: none, or out of reach.
    """
    session.scalar(select(FindingCase.id).where(FindingCase.id == case_id).with_for_update())
    found = session.scalar(_whole(case_id, actor).execution_options(populate_existing=True))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def head(one: FindingCase) -> Finding | None:
    """Return the clue a case is named after: of those not aside the gravest, then the first."""
    rank = {"red": 0, "orange": 1, "yellow": 2, "green": 3}
    live = [clue for clue in one.findings if clue.state not in ASIDE] or list(one.findings)
    return min(live, key=lambda clue: (rank[clue.severity], clue.start_at, clue.id), default=None)


def waiting(*, now: datetime) -> Cases:
    """Return the cases that wait for an explanation and are due within two days or overdue, for the job."""
    soon = func.make_interval(0, 0, 0, 2)
    return (
        select(FindingCase)
        .where(FindingCase.state.in_(GROUPS["to_explain"]), FindingCase.due_at < now + soon)
        .options(joinedload(FindingCase.org), joinedload(FindingCase.vehicle))
        .order_by(FindingCase.id)
    )


LEVELS = ((Role.UNIT_ADMIN,), (Role.FLEET_MANAGER,), (Role.VEHICLE_OFFICE,))
"""Who is told when a case is overdue, level by level."""


def person_above(session: Session, *, org: Organisation, level: int, barred: Collection[int | None]) -> int | None:
    """Return the account told at a level: the nearest holder of its role at or above a unit, else of a later level."""
    for roles in LEVELS[level - 1 :]:
        found = session.scalar(
            select(UserAccount.id)
            .join(RoleGrant, RoleGrant.user_id == UserAccount.id)
            .join(Organisation, Organisation.id == RoleGrant.org_id)
            .where(
                UserAccount.closed_at.is_(None), RoleGrant.role.in_(roles),
                UserAccount.id.not_in([one for one in barred if one is not None]),
                func.starts_with(org.path, Organisation.path),
            )
            .order_by(func.length(Organisation.path).desc(), UserAccount.id)
            .limit(1)
        )  # fmt: skip
        if found is not None:
            return found
    return None


def handlers(session: Session, *, actor: Actor) -> Sequence[UserAccount]:
    """Return those who may review cases within the actor's reach, for assigning."""
    roles = permits.table()["findings.review"].roles
    return session.scalars(
        select(UserAccount)
        .join(RoleGrant, RoleGrant.user_id == UserAccount.id)
        .join(Organisation, Organisation.id == RoleGrant.org_id)
        .where(UserAccount.closed_at.is_(None), RoleGrant.role.in_(roles), inside(actor, "findings.assign"))
        .distinct()
        .order_by(UserAccount.id)
    ).all()
