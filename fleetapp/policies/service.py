"""Entering and withdrawing policy figures; a figure that was in force is history and is never overwritten."""

import tomllib
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.policies import queries, rules
from fleetapp.policies.models import PolicyValue
from fleetapp.policies.rules import Scope

POLICY_FILE = Path(__file__).parents[2] / "config" / "policy.toml"


def add(
    session: Session, *, code: str, scope: Scope, value: Decimal, unit: str, valid_from: date, source: str, article: str | None,
    reason: str, actor: Actor, now: datetime, org_id: int | None = None, valid_to: date | None = None, may_relax: bool = False,
    correction: bool = False,
) -> PolicyValue:  # fmt: skip
    """Add a row of a known code; the database ends the period of the one it replaces. For ``enter`` and the preview.

    :raises NotAllowed: the scope, or for a row that may relax the one above it, is not the actor's.
    :raises NotFound: no such code or organisation.
    :raises RuleBroken: ``policies.scope_org``, ``unit``, ``value_range``, ``past``, ``correction_odd``, ``period_order``, ``open_end``,
        ``looser``, ``not_free``, ``same_day``.
    """
    org = accounts.get_org(session, org_id=org_id) if org_id is not None else None
    if (scope is Scope.ORG) != (org is not None) or (org is not None and org.parent_id is None):
        raise RuleBroken("policies.scope_org")
    permits.require("policies.edit", actor, org_path=_path(session, org))
    if may_relax:
        _check_may_relax(session, scope, org, actor)
    known = queries.history(session, code=code)
    if unit != known[0].unit:
        raise RuleBroken("policies.unit", unit=known[0].unit)
    rules.check_value(value, unit)
    rules.check_period(
        valid_from=valid_from, valid_to=valid_to, today=clock.local_date(now), correction=correction, scope=scope
    )
    row = PolicyValue(
        code=code, scope=scope, org_id=org_id, value=value, unit=unit, stricter=known[0].stricter, may_relax=may_relax,
        valid_from=valid_from, valid_to=valid_to, source=source, article=article, correction=correction, reason=reason,
        created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    rules.check_above(row, queries.above(session, code=code, scope=scope, org=org, on=valid_from))
    if not correction and any(
        (one.scope, one.org_id, one.valid_from, one.withdrawn_at) == (scope, org_id, valid_from, None) for one in known
    ):
        raise RuleBroken("policies.same_day", on=valid_from.isoformat())
    session.add(row)
    session.flush()
    queries.history(session, code=code)  # periods are the database's: read them again
    return row


def _path(session: Session, org: Organisation | None) -> str:
    return queries.city_path(session) if org is None else org.path


def _check_may_relax(session: Session, scope: Scope, org: Organisation | None, actor: Actor) -> None:
    if scope is Scope.NATIONAL:
        raise RuleBroken("policies.nothing_above")
    if org is not None and org.parent_id is not None:
        permits.require("policies.edit", actor, org_path=accounts.get_org(session, org_id=org.parent_id).path)


def enter(
    session: Session, *, code: str, scope: Scope, value: Decimal, unit: str, valid_from: date, source: str, article: str | None,
    reason: str, actor: Actor, now: datetime, org_id: int | None = None, valid_to: date | None = None, may_relax: bool = False,
    correction: bool = False,
) -> PolicyValue:  # fmt: skip
    """Enter a new row; raises what ``add`` does."""
    row = add(
        session, code=code, scope=scope, value=value, unit=unit, valid_from=valid_from, source=source, article=article, reason=reason,
        actor=actor, now=now, org_id=org_id, valid_to=valid_to, may_relax=may_relax, correction=correction,
    )  # fmt: skip
    audit.record(session, actor=actor, now=now, action="policies.entered", subject_type="policy_value", subject_id=row.id,
                 org_id=row.org_id, code=code, scope=scope, value=value, unit=unit, valid_from=valid_from, valid_to=row.valid_to,
                 may_relax=may_relax, source=source, article=article, correction=correction, reason=reason,
                 replaces=row.replaces_id)  # fmt: skip
    return row


def withdraw(session: Session, *, policy_id: int, reason: str, actor: Actor, now: datetime) -> PolicyValue:
    """Withdraw a row that is not in force yet; the one before it gets its period back.

    :raises NotAllowed: the scope is not the actor's.
    :raises RuleBroken: ``policies.withdrawn_already``, ``policies.in_force_already``.
    """
    permits.require("policies.edit", actor, org_path=_path(session, queries.get_row(session, policy_id=policy_id).org))
    row = queries.get_row(session, policy_id=policy_id, lock=True)
    if row.withdrawn_at is not None:
        raise RuleBroken("policies.withdrawn_already")
    if row.valid_from <= clock.local_date(now):
        raise RuleBroken("policies.in_force_already", on=row.valid_from.isoformat())
    row.withdrawn_at, row.withdrawn_by, row.withdrawn_reason = now, actor.user_id, reason
    session.flush()
    queries.history(session, code=row.code)
    audit.record(session, actor=actor, now=now, action="policies.withdrawn", subject_type="policy_value", subject_id=row.id,
                 org_id=row.org_id, code=row.code, scope=row.scope, value=row.value, valid_from=row.valid_from, reason=reason)  # fmt: skip
    return row


def load_file(session: Session, *, actor: Actor, now: datetime, path: Path = POLICY_FILE) -> int:
    """Add the figures of a file that are not there yet, ending the period of those they replace; returns how many.

    :raises RuleBroken: ``policies.row`` for a faulty row; ``policies.changed`` when a figure differs from the one
        already loaded for the same first day, ``policies.backdated`` when it starts before the newest one.
    """
    permits.require("policies.load", actor, org_path="/")
    rows = session.scalars(select(PolicyValue).where(PolicyValue.org_id.is_(None)).order_by(PolicyValue.id))
    present = {(row.code, row.scope, row.valid_from): row for row in rows}
    newest: dict[tuple[str, str], date] = {}
    for code, scope, valid_from in present:
        newest[code, scope] = max(valid_from, newest.get((code, scope), valid_from))
    added = []
    for figure in rules.figures(tomllib.loads(path.read_text(encoding="utf-8"))):
        same = present.get((figure.code, figure.scope, figure.valid_from))
        if same is not None:
            if same.created_by is None and (same.value, same.unit) != (figure.value, figure.unit):
                raise RuleBroken("policies.changed", figure=figure.code, on=figure.valid_from.isoformat())
            continue
        last = newest.get((figure.code, figure.scope))
        if last is not None and last > figure.valid_from:
            raise RuleBroken("policies.backdated", figure=figure.code, on=last.isoformat())
        session.add(
            PolicyValue(code=figure.code, scope=figure.scope, value=figure.value, unit=figure.unit, stricter=figure.stricter,
                        valid_from=figure.valid_from, source=figure.source, article=figure.article, created_at=now)
        )  # fmt: skip
        session.flush()  # one by one: the database ends the older period as the newer one comes
        newest[figure.code, figure.scope] = figure.valid_from
        added.append(figure.code)
    if added:
        audit.record(session, actor=actor, now=now, action="policies.loaded", subject_type="policy_value",
                     subject_id=None, org_id=None, codes=added)  # fmt: skip
    return len(added)
