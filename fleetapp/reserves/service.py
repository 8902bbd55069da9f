"""Writing of floors and of the level of emergency in force."""

from datetime import date, datetime, timedelta

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict
from fleetapp.reserves import queries, rules
from fleetapp.reserves.models import ReserveAlert, ReserveFloor
from fleetapp.reserves.rules import Level


def set_floor(
    session: Session, *, org_id: int, body: str, level: Level, from_min: int, until_min: int, start_on: date,
    end_on: date | None = None, vehicles: int, reason: str, actor: Actor, now: datetime,
) -> ReserveFloor:  # fmt: skip
    """Keep ``vehicles`` of a pool free from ``start_on`` to before ``end_on``, at minutes ``[from_min, until_min)`` of the local day.

    What is booked already stays booked: the floor stops what would come on top.

    :raises NotAllowed: not the office of the pool.
    :raises RuleBroken: ``reserves.no_pool``, ``reserves.bad_hours``, ``reserves.bad_period``.
    :raises Conflict: ``reserves.floor_there``, another floor of this pool, body and level holds then: end that one first.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("reserves.set", actor, org_path=org.path)
    rules.check_pool(org.kind, has_parent=org.parent_id is not None)
    rules.check_hours(from_min, until_min)
    rules.check_period(start_on, end_on, today=clock.local_date(now))
    made = ReserveFloor(
        org_id=org.id, body=body, level=level, minutes=Range(from_min, until_min), during=queries.span_of(start_on, end_on),
        vehicles=vehicles, reason=reason, made_by=actor.user_id, made_at=now,
    )  # fmt: skip
    made.org = org
    session.add(made)
    try:
        session.flush()
    except IntegrityError as error:
        if getattr(getattr(error.orig, "diag", None), "constraint_name", None) == "ex_reserve_floor_one":
            raise Conflict("reserves.floor_there") from error
        raise
    audit.record(session, actor=actor, now=now, action="reserves.floor_set", subject_type="reserve_floor", subject_id=made.id,
                 org_id=org.id, body=body, level=level, vehicles=vehicles, from_min=from_min, until_min=until_min,
                 start_on=start_on, end_on=end_on, reason=reason)  # fmt: skip
    return made


def end_floor(session: Session, *, floor_id: int, reason: str, actor: Actor, now: datetime) -> ReserveFloor:
    """Let a floor hold for the last time today; one that has not begun never does. A second time changes nothing."""
    floor = queries.get_floor(session, floor_id=floor_id, actor=actor)
    permits.require("reserves.set", actor, org_path=floor.org.path)
    tomorrow = clock.local_date(now) + timedelta(days=1)
    start_on, end_on = floor.during.lower, floor.during.upper
    if floor.during.isempty or (end_on is not None and end_on <= tomorrow):
        return floor
    floor.during = Range(empty=True) if start_on is None or start_on >= tomorrow else Range(start_on, tomorrow)
    audit.record(session, actor=actor, now=now, action="reserves.floor_ended", subject_type="reserve_floor",
                 subject_id=floor.id, org_id=floor.org_id, reason=reason)  # fmt: skip
    return floor


def declare(
    session: Session, *, org: Organisation, level: Level | None, cause: str, actor: Actor, now: datetime
) -> None:
    """Put a level in force from now on for an organisation and the pools below it, or none: the one before ends.

    The caller (emergency) has checked the permission; the same level for the same cause again changes nothing.
    """
    standing = queries.alert_of(session, org_id=org.id, at=now, lock=True)
    if standing is not None:
        if (standing.level, standing.cause) == (level, cause):
            return
        start = standing.during.lower
        standing.during = Range(start, now) if start is not None and start < now else Range(empty=True)
        session.flush()
    elif level is None:
        return
    if level is not None:
        session.add(
            ReserveAlert(
                org_id=org.id, level=level, during=Range(now, None), cause=cause, made_by=actor.user_id, made_at=now
            )
        )
        session.flush()
    audit.record(session, actor=actor, now=now, action="reserves.alert", subject_type="organisation", subject_id=org.id,
                 org_id=org.id, level=level, cause=cause)  # fmt: skip
