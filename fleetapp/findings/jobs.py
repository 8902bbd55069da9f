"""Keeping clues in step with trips, orders and the clock."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.findings import cases, judge, oversight, queries, rule_queries, service
from fleetapp.findings.look import AFTER_EVENING
from fleetapp.findings.rules import FigureRow
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.trips import queries as trips
from fleetapp.trips import service as trip_service
from fleetapp.trips.roads import Roads

CURSOR = "findings"
OVERLAP = timedelta(minutes=10)
"""Re-read for derivations that were still running when the cursor last moved; judging twice changes nothing."""


def scan(database: Database, now: datetime, *, osrm_url: str = "") -> dict[str, int]:
    """Judge every vehicle with new trips or matches, and every evening that has passed; one transaction a vehicle."""
    roads = Roads(osrm_url)
    with database.transaction(SYSTEM) as session:
        since = trips.cursor_at(session, name=CURSOR)
        figure_rows = queries.figure_rows(session)
        seen_from = since - OVERLAP if since else None
        spans = {
            vehicle_id: (clock.local_date(start), clock.local_date(min(end, now)))
            for vehicle_id, start, end in queries.changed(session, since=seen_from, before=now)
        }
        for vehicle_id, first_at, last_at in rule_queries.ledger_changes(session, since=seen_from, before=now):
            own = spans.get(vehicle_id, (clock.local_date(first_at), clock.local_date(last_at)))
            spans[vehicle_id] = min(own[0], clock.local_date(first_at)), max(own[1], clock.local_date(last_at))
        if since is not None and clock.local_date(since) < clock.local_date(now):
            # Once a day every vehicle: silences, ledgers and papers change without any trip.
            yesterday = clock.local_date(now) - timedelta(days=1)
            for vehicle_id in rule_queries.watched(session):
                first_on, last_on = spans.get(vehicle_id, (yesterday, yesterday))
                spans[vehicle_id] = min(first_on, yesterday), max(last_on, yesterday)
        for on, vehicle_ids in _evenings(session, seen_from, now, figure_rows):
            for vehicle_id in vehicle_ids:
                first, last = spans.get(vehicle_id, (on, on))
                spans[vehicle_id] = min(first, on), max(last, on)
    done: Counter[str] = Counter(vehicles=len(spans))
    for vehicle_id, (first_on, last_on) in sorted(spans.items()):
        with database.transaction(SYSTEM) as session:
            # The day before too: an incident that began then may have grown into this one.
            done += service.scan_vehicle(session, vehicle_id=vehicle_id, first_on=first_on - timedelta(days=1),
                                         last_on=last_on, now=now, figure_rows=figure_rows, roads=roads)  # fmt: skip
    with database.transaction(SYSTEM) as session:
        trip_service.move_cursor(session, name=CURSOR, at=now)
    return dict(done)


def keep_up(database: Database, now: datetime) -> dict[str, int]:
    """Remind of cases due soon, carry overdue ones up; on the first days of a month draw the sample of the one before."""
    with database.transaction(SYSTEM) as session:
        done = cases.escalate(session, now=now)
    today = clock.local_date(now)
    with database.transaction(SYSTEM) as session:
        run = oversight.draw(session, month=(today.replace(day=1) - timedelta(days=1)).replace(day=1), now=now)
        done["drawn"] = 0 if run is None else 1
    return dict(done)


def _evenings(
    session: Session, since: datetime | None, now: datetime, figure_rows: Sequence[FigureRow]
) -> list[tuple[date, list[int]]]:
    """Return (local day, vehicles away then) of the evenings since the last run; the first run looks at everything."""
    if since is None:
        return []
    hours = {row.figure.value for row in figure_rows if row.code == "E-02.at_h"}
    found: list[tuple[date, list[int]]] = []
    on = clock.local_date(since) - timedelta(days=1)
    while on <= clock.local_date(now):
        for hour in sorted(hours):
            at = clock.start_of(on) + timedelta(hours=hour)
            if since < at + AFTER_EVENING <= now:
                found.append((on, queries.last_trips_away(session, at=at, reach_m=judge.HOME_REACH_M)))
        on += timedelta(days=1)
    return found
