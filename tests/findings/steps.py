"""What people do with cases, one call each."""

from sqlalchemy import select

from fleetapp.findings import casework, jobs
from fleetapp.findings.models import Finding, FindingCase
from fleetapp.findings.workflow import ClearReason, FindingState
from fleetapp.kit.actor import SYSTEM
from fleetapp.trips import jobs as trip_jobs
from tests import world


def derive_and_scan(database, now):
    trip_jobs.derive(database, now)
    return jobs.scan(database, now)


def clues(database):
    with database.transaction(SYSTEM) as session:
        return list(session.scalars(select(Finding).order_by(Finding.id)))


def all_cases(database):
    with database.transaction(SYSTEM) as session:
        return list(session.scalars(select(FindingCase).order_by(FindingCase.id)))


def done(step, database, case_id, username, now, **given):
    """Take a step as somebody; returns the case."""
    who = world.actor(database, username)
    with database.transaction(who) as session:
        return step(session, case_id=case_id, actor=who, now=now, **given)


def explain(database, case_id, username, now, text="临时送材料，未及时申请", papers=()):
    return done(casework.explain, database, case_id, username, now, text=text, papers=papers)


def verify(database, case_id, username, now, agrees=True):
    return done(casework.verify, database, case_id, username, now, text="已核对，情况属实", agrees=agrees)


def review(database, case_id, username, now, outcome=FindingState.PROCEDURAL, reason=None):
    return done(casework.review, database, case_id, username, now, note="补办手续", outcome=outcome, reason=reason)


def verified(database, case_id, now):
    """Explained by the unit's administrator and verified by the fleet manager."""
    explain(database, case_id, "unit_admin.xhedu", now)
    return verify(database, case_id, "fleet_manager.xihu", now)


CLEARED = {"outcome": FindingState.CLEARED, "reason": ClearReason.URGENT_DUTY}
