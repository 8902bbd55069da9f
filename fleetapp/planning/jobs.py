"""Telling dispatchers of drivers who have not accepted in time; plans in the background."""

from datetime import datetime, timedelta

from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.planning import again, tell
from fleetapp.policies import queries as policies


def remind_unaccepted(database: Database, now: datetime) -> dict[str, int]:
    """Tell whoever assigned an order that its driver has not accepted within the policy's minutes; once for each assignment."""
    told, limits = 0, dict[str, timedelta]()
    with database.transaction(SYSTEM) as session:
        for held in tell.waiting(session, now=now):
            unit = held.order.org.path
            if unit not in limits:
                limit_min = policies.value(session, "dispatch.accept_min", clock.local_date(now), unit)
                limits[unit] = timedelta(minutes=float(limit_min))
            if held.assigned_at + limits[unit] > now:
                continue
            tell.unaccepted(session, held=held, now=now)
            told += 1
    return {"unaccepted": told}


def plan_waiting(database: Database, now: datetime) -> dict[str, int]:  # noqa: ARG001 -- a run lasts, so it looks at the clock itself
    """Make the plans that dispatchers asked for."""
    return {"plans": again.work(database, tick=clock.now)}
