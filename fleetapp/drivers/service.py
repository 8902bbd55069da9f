"""Writing of drivers."""

from datetime import date, datetime

from sqlalchemy.orm import Session

from fleetapp.accounts.models import UserAccount
from fleetapp.audit import service as audit
from fleetapp.drivers import queries, rules
from fleetapp.drivers.models import Driver
from fleetapp.drivers.rules import Licence
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken


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
