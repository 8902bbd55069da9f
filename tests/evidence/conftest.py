"""A real journey of an order, sealed and with its clue, so that every file of a package has something in it."""

import io
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from fleetapp.findings.models import Finding
from fleetapp.kit import signatures
from fleetapp.kit.actor import SYSTEM
from fleetapp.settings import Settings
from fleetapp.tracking import keeping
from fleetapp.trips import jobs as trips_jobs
from fleetapp.trips.models import Trip
from telematics import store
from telematics.model import Fix
from tests.reports.conftest import build

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
import verify_evidence


@dataclass
class Answer:
    """What came back, read to its end."""

    status_code: int
    data: bytes
    headers: Any
    json: Any


KEYS = {key for key, _ in signatures.of(Settings(secret_key="only for tests")).public}


def there_and_back(start) -> list[Fix]:
    """Return a fix every 10 s: to a place 3 km east, eight minutes there, and back; with a little noise."""
    fixes = []
    for k in range(0, 60 * 20, 10):
        along = k / 420 if k < 420 else 1.0 if k < 900 else max(0.0, 1 - (k - 900) / 300)
        speed = 0.0 if 420 <= k < 900 else 25.7
        fixes.append(Fix(at=start + timedelta(seconds=k), lat=30.2640 + 0.00002 * (k // 10 % 3), lon=120.1260 + 0.031 * along,
                         speed_kmh=speed, acc=True, odometer_m=10_000_000 + int(3000 * along), direction_deg=90))  # fmt: skip
    return fixes


@pytest.fixture
def made(database, now):
    """Yesterday's facts with one more drive whose trip is computed from its positions, and which the clue is about."""
    found = build(database, now)
    start = now - timedelta(hours=20)
    with database.transaction(SYSTEM) as session:
        finding = session.scalars(select(Finding)).one()
        phones = dict(session.execute(text("SELECT phone, id FROM gps_terminal")).all())
        fixes = [(phones["13900000001"], fix, f"raw {fix.at}".encode()) for fix in there_and_back(start)]
        received = start + timedelta(hours=1)
        store.save(session.connection().connection.driver_connection, fixes, received)
    trips_jobs.derive(database, now)
    with database.transaction(SYSTEM) as session:
        trip = session.scalars(
            select(Trip).where(
                Trip.superseded_at.is_(None),
                Trip.start_at >= start - timedelta(minutes=5),
                Trip.start_at < start + timedelta(hours=1),
            )
        ).first()
        assert trip is not None
        finding = session.scalars(select(Finding)).one()
        finding.trip_id, finding.order_id = trip.id, found.order_id
        finding.start_at, finding.end_at = trip.start_at, trip.end_at
        finding.facts = {**finding.facts, "trip_ids": [trip.id, found.matched_trip]}
        for day in (start.date(), now.date() - timedelta(days=1)):
            keeping.seal_day(session, day=day, actor=SYSTEM, now=now + timedelta(days=2))
    return found


@pytest.fixture
def package(api, made):
    """Make a package as a username; returns the answer."""

    def run(username="auditor.city", reason="核实群众反映"):
        answer = api(username)("POST", f"/findings/{made.finding_id}/evidence", json={"reason": reason})
        data = answer.data
        answer.close()
        return Answer(answer.status_code, data, answer.headers, answer.json if answer.is_json else None)

    return run


@pytest.fixture
def verify():
    """Check a package with the published keys; returns (status, lines)."""

    def run(data, keys=KEYS, heads=()):
        said = io.StringIO()
        status = verify_evidence.check(data, keys, heads, say=lambda line: print(line, file=said))
        return status, said.getvalue()

    return run
