"""Writing of drivers."""

from datetime import date, datetime, timedelta

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import UserAccount
from fleetapp.audit import service as audit
from fleetapp.drivers import queries, rules
from fleetapp.drivers.models import Driver, DriverAbsence
from fleetapp.drivers.rules import AbsenceState, Licence
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.notices import service as notices


def create(
    session: Session, *, user_id: int, licence: Licence, licence_valid_to: date, actor: Actor, now: datetime
) -> Driver:
    """Make an account with the driver's role a driver of its own unit.

    :raises NotAllowed: the actor keeps no drivers.
    :raises RuleBroken: ``drivers.not_candidate`` for an account out of reach, closed, without the role or a driver
        already; ``drivers.licence_expired``.
    """
    permits.require("drivers.edit", actor)
    user = session.scalar(queries.candidates(actor).where(UserAccount.id == user_id))
    if user is None:
        raise RuleBroken("drivers.not_candidate")
    permits.require("drivers.edit", actor, org_path=user.org.path)
    rules.check_renewal(licence_valid_to, clock.local_date(now))
    driver = Driver(org_id=user.org_id, org=user.org, user_id=user.id, user=user, licence=licence,
                    licence_valid_to=licence_valid_to)  # fmt: skip
    session.add(driver)
    session.flush()
    audit.record(session, actor=actor, now=now, action="drivers.created", subject_type="driver", subject_id=driver.id,
                 org_id=driver.org_id, user_id=user.id, licence=licence, licence_valid_to=licence_valid_to)  # fmt: skip
    return driver


def edit_licence(
    session: Session, *, driver_id: int, licence: Licence, licence_valid_to: date, actor: Actor, now: datetime
) -> Driver:
    """Enter a renewed or another licence.

    :raises NotAllowed: out of reach, or the driver's own row.
    :raises RuleBroken: ``drivers.licence_expired``, or ``drivers.left``.
    """
    driver = queries.get_driver(session, driver_id=driver_id, actor=actor)
    permits.require("drivers.edit", actor, org_path=driver.org.path, owner_id=driver.user_id)
    if driver.left_at is not None:
        raise RuleBroken("drivers.left")
    rules.check_renewal(licence_valid_to, clock.local_date(now))
    before = [driver.licence, driver.licence_valid_to]
    if before != [licence, licence_valid_to]:
        driver.licence, driver.licence_valid_to = licence, licence_valid_to
        audit.record(session, actor=actor, now=now, action="drivers.licence_edited", subject_type="driver",
                     subject_id=driver.id, org_id=driver.org_id, before=before,
                     after=[licence, licence_valid_to])  # fmt: skip
    return driver


def leave(session: Session, *, driver_id: int, actor: Actor, now: datetime) -> Driver:
    """End a driver's service; a second time does nothing.

    :raises NotAllowed: out of reach.
    """
    driver = queries.get_driver(session, driver_id=driver_id, actor=actor)
    permits.require("drivers.edit", actor, org_path=driver.org.path, owner_id=driver.user_id)
    if driver.left_at is None:
        driver.left_at = now
        audit.record(session, actor=actor, now=now, action="drivers.left", subject_type="driver", subject_id=driver.id,
                     org_id=driver.org_id)  # fmt: skip
    return driver


def ask_leave(
    session: Session, *, from_on: date, until_on: date, reason: str, actor: Actor, now: datetime
) -> DriverAbsence:
    """Ask to be away from one local day to another, both included; dispatchers and fleet managers of the unit are told.

    :raises NotAllowed, NotFound: no driver.
    :raises RuleBroken: ``drivers.leave_days``.
    :raises Conflict: at the end, ``drivers.leave_there``: some of the days are asked for already.
    """
    permits.require("drivers.ask_leave", actor)
    driver = queries.driver_of_user(session, user_id=actor.user_id) if actor.user_id else None
    if driver is None:
        raise NotFound("kit.not_found")
    rules.check_leave(from_on, until_on, clock.local_date(now))
    made = DriverAbsence(org_id=driver.org_id, driver=driver, during=Range(from_on, until_on + timedelta(days=1)), reason=reason,
                         state=AbsenceState.REQUESTED, asked_at=now, asked_by=actor.user_id)  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="drivers.leave_asked", subject_type="driver_absence", subject_id=made.id,
                 org_id=made.org_id, from_on=from_on, until_on=until_on)  # fmt: skip
    to = {
        user_id for role in (Role.DISPATCHER, Role.FLEET_MANAGER)
        for user_id in accounts.holders(session, role=role, org_path=driver.org.path)
    } - {actor.user_id}  # fmt: skip
    notices.notify(session, to=to, code="drivers.notice.leave_asked", link="/roster", key=f"leave-{made.id}", now=now, urgent=False,
                   params={"name": actor.name, "from_on": from_on.isoformat(), "until_on": until_on.isoformat(), "reason": reason})  # fmt: skip
    return made


def decide_leave(
    session: Session, *, absence_id: int, grant: bool, actor: Actor, now: datetime, note: str | None = None
) -> DriverAbsence:
    """Grant or refuse a wish to be away; the driver is told. The same decision again changes nothing.

    :raises NotFound: out of reach.
    :raises NotAllowed: the actor's own wish, or not a dispatcher or fleet manager of the unit.
    :raises RuleBroken: ``drivers.leave_decided``.
    :raises Conflict: at the end, ``drivers.leave_booked``: orders stand on those days and have to be given to others first.
    """
    found = queries.get_absence(session, absence_id=absence_id, actor=actor, lock=True)
    permits.require("drivers.grant_leave", actor, org_path=found.org.path, owner_id=found.asked_by)
    wanted = AbsenceState.GRANTED if grant else AbsenceState.REFUSED
    if found.state == wanted:
        return found
    if found.state != AbsenceState.REQUESTED:
        raise RuleBroken("drivers.leave_decided")
    found.state, found.decided_at, found.decided_by, found.note = wanted, now, actor.user_id, note
    session.flush()
    audit.record(session, actor=actor, now=now, action=f"drivers.leave_{wanted.lower()}", subject_type="driver_absence",
                 subject_id=found.id, org_id=found.org_id, note=note)  # fmt: skip
    notices.notify(
        session, to={found.asked_by}, code=f"drivers.notice.leave_{wanted.lower()}", link="/duty", key=f"leave-{found.id}-{wanted}", now=now,
        urgent=False, params={"from_on": str(found.during.lower), "until_on": found.last_on.isoformat(), "note": note or "–"},
    )  # fmt: skip
    return found


def withdraw_leave(session: Session, *, absence_id: int, actor: Actor, now: datetime) -> DriverAbsence:
    """Take back one's own wish, granted or not; a second time does nothing.

    :raises NotFound: not the actor's.
    :raises RuleBroken: ``drivers.leave_decided``, it was refused.
    """
    found = queries.get_absence(session, absence_id=absence_id, actor=actor, lock=True)
    if found.asked_by != actor.user_id:
        raise NotFound("kit.not_found")
    if found.state == AbsenceState.REFUSED:
        raise RuleBroken("drivers.leave_decided")
    if found.state != AbsenceState.WITHDRAWN:
        found.state, found.decided_at, found.decided_by = AbsenceState.WITHDRAWN, None, None
        audit.record(session, actor=actor, now=now, action="drivers.leave_withdrawn", subject_type="driver_absence",
                     subject_id=found.id, org_id=found.org_id)  # fmt: skip
    return found
