"""Whose figures are shown: a part of the tree as one viewer sees it at a moment, and the groups that it falls into."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.accounts.queries import within_reach
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed

ACTION = "dashboard.read"


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a scope: ``key`` is an organisation's id; ``own`` what belongs to none of the districts below it."""

    org: Organisation
    own: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """A viewer, a part of the tree (or of it only what no district holds), a moment.

    ``known`` keeps what several figures of one page need, so that it is asked once.
    """

    actor: Actor
    org: Organisation
    now: datetime
    districts: Sequence[Organisation] = ()
    own: bool = False
    known: dict[str, Any] = field(default_factory=dict)

    @property
    def today(self) -> date:
        """The local day."""
        return clock.local_date(self.now)

    def holds(self) -> ColumnElement[bool]:
        """Return the condition that a joined ``Organisation`` lies in the scope and in the viewer's reach."""
        inside = Organisation.path.startswith(self.org.path, autoescape=True)
        if self.own and self.districts:
            below = or_(*(Organisation.path.startswith(one.path, autoescape=True) for one in self.districts))
            inside = and_(inside, not_(below))
        return and_(inside, within_reach(self.actor, ACTION))

    def covers(self, path: str) -> bool:
        """Tell the same of a tree path."""
        below = any(path.startswith(one.path) for one in self.districts)
        return path.startswith(self.org.path) and not (self.own and below)


def choices(session: Session, actor: Actor) -> Sequence[Organisation]:
    """Return the organisations that the viewer may look at the dashboard of, in tree order."""
    return session.scalars(select(Organisation).where(within_reach(actor, ACTION)).order_by(Organisation.path)).all()


def scope_of(session: Session, *, actor: Actor, now: datetime, org_id: int | None = None, own: bool = False) -> Scope:
    """Return the scope asked for, by default the highest that the viewer reaches.

    :raises NotAllowed: outside the viewer's reach.
    """
    permits.require(ACTION, actor)
    reach = choices(session, actor)
    org = next((one for one in reach if org_id in {None, one.id}), None)
    if org is None:
        raise NotAllowed("kit.not_allowed", action=ACTION)
    districts = [
        one for one in reach if one.kind == OrgKind.DISTRICT and one.path != org.path and one.path.startswith(org.path)
    ]
    return Scope(actor, org, now, districts, own and bool(districts), {"reach": reach})


def groups(scope: Scope) -> Sequence[Group]:
    """Return the parts of a scope: its districts with what is above them, or the organisations right below it."""
    if scope.own:
        return ()
    if scope.districts:
        return (Group(scope.org, own=True), *(Group(one) for one in scope.districts))
    reach: Sequence[Organisation] = scope.known.get("reach", ())
    return tuple(Group(one) for one in reach if one.parent_id == scope.org.id)


def grouped(scope: Scope, by_org: Mapping[int, int]) -> dict[Group, int]:
    """Return numbers by organisation as numbers by group of the scope."""
    paths = {one.id: one.path for one in scope.known.get("reach", ())}
    found = dict.fromkeys(groups(scope), 0)
    for org_id, number in by_org.items():
        path = paths.get(org_id, "")
        for group in found:
            if group.own != any(path.startswith(one.path) for one in scope.districts) and path.startswith(
                group.org.path
            ):
                found[group] += number
                break
    return found
