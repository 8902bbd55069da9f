"""Studies are asked for by people, made by the scheduler with progress, given up at any time, kept as they came out."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.queries import within_reach
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.kit.errors import FleetError, NotAllowed, NotFound, RuleBroken
from fleetapp.lab import bridge, history, rules, studies
from fleetapp.lab.models import LabStudy
from fleetapp.lab.rules import OPEN, StudyKind, StudyState
from fleetapp.renewal import rules as renewal_rules


class Cancelled(Exception):
    """Nobody wants the study any more."""


def visible_to(actor: Actor) -> Select[LabStudy]:
    """Return the studies of organisations within reach, the newest first."""
    return (
        select(LabStudy)
        .join(LabStudy.org)
        .where(within_reach(actor, "lab.read"))
        .options(contains_eager(LabStudy.org), joinedload(LabStudy.requester))
        .order_by(LabStudy.id.desc())
    )


def get_study(session: Session, *, study_id: int, actor: Actor, lock: bool = False) -> LabStudy:
    """Return a study that the actor may read.

    :raises NotFound: no such study, or out of reach.
    """
    query = visible_to(actor).where(LabStudy.id == study_id)
    found = session.scalar(query.with_for_update(of=LabStudy) if lock else query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def get_done(session: Session, *, study_id: int, actor: Actor) -> LabStudy:
    """Return a study whose result is there.

    :raises NotFound: no such study within reach, or not done.
    """
    found = get_study(session, study_id=study_id, actor=actor)
    if found.state != StudyState.DONE:
        raise NotFound("lab.not_done")
    return found


def ask(
    session: Session, *, kind: StudyKind, org_id: int, start_on: date, end_on: date, days: int, seed: int, share: Decimal, years: int,
    budget: Decimal, bought_share: Decimal, actor: Actor, now: datetime,
) -> LabStudy:  # fmt: skip
    """Ask for a study over an organisation's sub-tree; both days are included, ``budget`` is CNY a year.

    :raises NotAllowed: not for this organisation.
    :raises RuleBroken: a period, sample, share, number of years or budget that cannot be meant.
    """
    today = clock.local_date(now)
    org = accounts.get_org(session, org_id=org_id)
    permits.require("lab.run", actor, org_path=org.path)
    if actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action="lab.run")
    asked: dict[str, Any] = {"seed": seed, "figures": studies.figures(session, kind=kind, org=org, today=today)}
    if kind is StudyKind.NEV:
        renewal_rules.check_asked(years=years, budget=budget, stock_share=Decimal(1), bought_share=bought_share)
        asked |= {"years": years, "budget": str(budget), "bought_share": str(bought_share)}
    else:
        rules.check_days(start_on, end_on, today=today, days=days)
        rules.check_share(share)
        asked |= {"start_on": start_on.isoformat(), "end_on": end_on.isoformat(), "days": days, "share": str(share)}
    made = LabStudy(
        org_id=org.id,
        kind=kind,
        asked=asked,
        requested_by=actor.user_id,
        requested_at=now,
        state=StudyState.QUEUED,
        org=org,
    )
    session.add(made)
    session.flush()
    _record(session, made, "requested", actor=actor, now=now, kind=kind, asked=asked)
    return made


def cancel(session: Session, *, study_id: int, actor: Actor, now: datetime) -> LabStudy:
    """Give a study up; one that is being made stops at its next step.

    :raises RuleBroken: ``lab.over``, it has ended.
    """
    one = get_study(session, study_id=study_id, actor=actor, lock=True)
    permits.require("lab.run", actor, org_path=one.org.path)
    if one.state not in OPEN:
        raise RuleBroken("lab.over")
    one.state, one.ended_at = StudyState.CANCELLED, now
    _record(session, one, "cancelled", actor=actor, now=now)
    return one


def exported(session: Session, *, study: LabStudy, sha256: str, actor: Actor, now: datetime) -> None:
    """Note that a report left the system, and which file it was."""
    _record(session, study, "exported", actor=actor, now=now, sha256=sha256)


def _record(session: Session, one: LabStudy, what: str, *, actor: Actor, now: datetime, **data: object) -> None:
    audit.record(
        session,
        actor=actor,
        now=now,
        action=f"lab.{what}",
        subject_type="lab_study",
        subject_id=one.id,
        org_id=one.org_id,
        **data,
    )


# ---- what the scheduler does --------------------------------------------------------------------------------------------------


def work(database: Database, *, now: datetime) -> int:
    """Make what was asked for; returns how many studies ended. Broken off at any point, the next call begins that one anew."""
    ended = 0
    while (study_id := _next(database)) is not None:
        try:
            _make(database, study_id, now=now)
        except Cancelled:
            pass
        except FleetError as refused:
            _fail(database, study_id, refused, now=now)
        except Exception:
            _fail(database, study_id, RuleBroken("lab.broke"), now=now)
            raise
        ended += 1
    return ended


def _next(database: Database) -> int | None:
    with database.transaction(SYSTEM) as session:
        one = session.scalars(select(LabStudy).where(LabStudy.state.in_(OPEN)).order_by(LabStudy.id).limit(1)).first()
        if one is not None and one.state == StudyState.QUEUED:
            one.state = StudyState.RUNNING
        return None if one is None else one.id


def _make(database: Database, study_id: int, *, now: datetime) -> None:
    """Read as whoever asked, with the rights of now; no transaction waits for the optimizer."""
    with database.transaction(SYSTEM) as session:
        one = get_study(session, study_id=study_id, actor=SYSTEM)
        org, kind, asked, asker = one.org, StudyKind(one.kind), dict(one.asked), one.requested_by
        actor = accounts.actor_of(accounts.get_user(session, user_id=asker, actor=SYSTEM))
    permits.require("lab.run", actor, org_path=org.path)

    def tell(done: int, total: int) -> None:
        _note(database, study_id, done, total)

    if kind is StudyKind.NEV:
        with database.transaction(actor) as session:
            problems = studies.nev(session, org, asked, actor=actor, today=clock.local_date(now))
        tell(0, len(problems))
        result, sha256 = studies.nev_paths(problems, tell), bridge.digest_of([repr(one[1]) for one in problems], asked)
    else:
        with database.transaction(actor) as session:
            found = history.read(
                session, org=org, start_on=date.fromisoformat(asked["start_on"]), end_on=date.fromisoformat(asked["end_on"]),
                days=asked["days"], seed=asked["seed"], actor=actor, now=now,
            )  # fmt: skip
            days = bridge.days_of(found)
        sha256 = bridge.digest(days, asked)
        tell(0, 1)
        result = studies.HISTORICAL[kind](found, days, asked, tell)
        result |= {
            "days": [on.isoformat() for on in found.days],
            "candidates": found.candidates,
            "orders": sum(len(one.orders) for one in found.scenes),
        }
    with database.transaction(SYSTEM) as session:
        one = get_study(session, study_id=study_id, actor=SYSTEM, lock=True)
        if one.state != StudyState.RUNNING:
            raise Cancelled
        one.state, one.result, one.digest, one.ended_at = StudyState.DONE, result, sha256, now
        _record(session, one, "done", actor=SYSTEM, now=now, digest=sha256, facts=result["facts"])


def _note(database: Database, study_id: int, done: int, total: int) -> None:
    """Note how far it is: progress is no business fact, so the log does not tell it.

    :raises Cancelled: it is not wanted any more.
    """
    with database.transaction(SYSTEM) as session:
        one = session.scalars(select(LabStudy).where(LabStudy.id == study_id).with_for_update()).one()
        if one.state != StudyState.RUNNING:
            raise Cancelled
        one.done_steps, one.total_steps = done, max(done, total)


def _fail(database: Database, study_id: int, why: FleetError, *, now: datetime) -> None:
    with database.transaction(SYSTEM) as session:
        one = session.scalars(select(LabStudy).where(LabStudy.id == study_id).with_for_update()).one()
        if one.state in OPEN:
            one.state, one.failure, one.ended_at = StudyState.FAILED, {"code": why.code, "params": why.params}, now
            _record(session, one, "failed", actor=SYSTEM, now=now, code=why.code)
