"""Trips are the same whatever order the fixes came in; what changed is superseded, what did not stays."""

from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotFound
from fleetapp.trips import jobs, queries, service
from fleetapp.trips.models import Trip
from fleetapp.vehicles.models import Vehicle
from tests.trips.conftest import ORDERED, STRAY


def trips_of(database, plate, *, current=True):
    query = select(Trip).join(Vehicle).where(Vehicle.plate == plate).order_by(Trip.start_at, Trip.id)
    with database.transaction(SYSTEM) as session:
        return [trip for trip in session.scalars(query) if not current or trip.superseded_at is None]


def parts(database, trip):
    with database.transaction(SYSTEM) as session:
        found = session.get(Trip, trip.id)
        return [
            (part.kind, part.order.number if part.order else None) for part in found.matches if not part.superseded_at
        ]


def facts(trips):
    return [(trip.start_at, trip.end_at, trip.content_digest, trip.best_m, trip.best_source) for trip in trips]


def test_there_and_back_are_two_trips_of_the_order_with_every_part_of_the_score(furnished, journey, now):
    number, start, _ = journey
    done = jobs.derive(furnished, now)
    assert (done["added"], done["superseded"]) == (2, 0)
    found = trips_of(furnished, ORDERED)
    assert len(found) == 2
    for trip in found:
        assert start <= trip.start_at < trip.end_at
        assert trip.best_m == pytest.approx(trip.odometer_m, rel=0.05)
        assert parts(furnished, trip) == [("matched", number)]
        with furnished.transaction(SYSTEM) as session:
            [part] = session.get(Trip, trip.id).matches
        shown = {name: getattr(part, f"score_{name}") for name in ("time", "dest", "orig", "driver", "events")}
        weights = {"time": 0.40, "dest": 0.30, "orig": 0.10, "driver": 0.10, "events": 0.10}
        assert part.score == pytest.approx(sum(weights[name] * value for name, value in shown.items()), abs=1e-3)


def test_a_drive_without_order_is_unmatched(furnished, journey, stray, now):
    jobs.derive(furnished, now)
    found = trips_of(furnished, STRAY)
    assert found
    assert [parts(furnished, trip) for trip in found] == [[("unmatched", None)]] * len(found)


def test_deriving_again_changes_nothing(furnished, journey, now):
    jobs.derive(furnished, now)
    before = trips_of(furnished, ORDERED, current=False)
    again = jobs.derive(furnished, now + timedelta(minutes=2))
    assert (again["added"], again["superseded"], again["matches"]) == (0, 0, 0)
    assert [trip.id for trip in trips_of(furnished, ORDERED, current=False)] == [trip.id for trip in before]


@pytest.mark.parametrize("seed", range(4))
def test_late_pieces_in_any_order_lead_to_the_same_trips(furnished, save, stray, now, seed):
    """Two cars of one car park report the same drive: one at once, the other in pieces, some of them twice."""
    pieces = [stray[k : k + 25] for k in range(0, len(stray), 25)]
    Random(seed).shuffle(pieces)
    for number, piece in enumerate(pieces):
        save(ORDERED, [*piece, *pieces[number - 1][:3]], now + timedelta(seconds=number))
        jobs.derive(furnished, now + timedelta(seconds=number))
    whole, pieced = facts(trips_of(furnished, STRAY)), facts(trips_of(furnished, ORDERED))
    assert len(whole) == 2
    assert pieced == whole


def test_late_fixes_supersede_the_trip_they_change_and_leave_the_other_alone(furnished, roads, save, now, stray):
    jobs.derive(furnished, now)
    before = trips_of(furnished, STRAY)
    [first, *_] = before
    late = [fix for fix in stray if fix.at > first.start_at][4]
    moved = type(late)(**{name: getattr(late, name) for name in late.__slots__} | {
        "at": late.at + timedelta(seconds=3), "lat": late.lat + 0.00002})  # fmt: skip
    save(STRAY, [moved], now + timedelta(minutes=5))
    done = jobs.derive(furnished, now + timedelta(minutes=5))
    assert (done["added"], done["superseded"]) == (1, 1)
    after = trips_of(furnished, STRAY)
    assert after[0].id != first.id
    assert [trip.id for trip in after[1:]] == [trip.id for trip in before[1:]]
    kept = next(trip for trip in trips_of(furnished, STRAY, current=False) if trip.id == first.id)
    assert (kept.superseded_at, kept.content_digest) == (now + timedelta(minutes=5), first.content_digest)


def test_a_secret_vehicle_has_no_trips_and_a_restricted_ones_are_not_shown(furnished, journey, now, acting):
    with furnished.transaction(SYSTEM) as session:
        session.execute(update(Vehicle).where(Vehicle.plate == ORDERED).values(secrecy="secret"))
    jobs.derive(furnished, now)
    assert trips_of(furnished, ORDERED) == []
    with furnished.transaction(SYSTEM) as session:
        session.execute(update(Vehicle).where(Vehicle.plate == ORDERED).values(secrecy="restricted"))
        [vehicle_id] = session.scalars(select(Vehicle.id).where(Vehicle.plate == ORDERED))
        service.derive_window(session, vehicle_id=vehicle_id, start=journey[1], end=now, now=now)
    [trip, *_] = trips_of(furnished, ORDERED)
    auditor = acting("auditor.city")
    with furnished.transaction(auditor) as session:
        assert session.scalars(queries.visible_to(auditor)).all() == []
        with pytest.raises(NotFound):
            queries.get_trip(session, trip_id=trip.id, actor=auditor)


def test_looking_at_a_track_is_logged_with_its_purpose(furnished, journey, now, acting):
    jobs.derive(furnished, now)
    auditor = acting("auditor.city")
    with furnished.transaction(auditor) as session:
        trip = session.scalars(queries.visible_to(auditor)).first()
        fixes = service.view_fixes(session, trip=trip, purpose="核查 2026 第 3 号", actor=auditor, now=now)
        assert fixes
    with furnished.transaction(auditor) as session:
        entry = session.execute(
            text("SELECT actor_name, data FROM audit_entry WHERE action = 'tracking.viewed' ORDER BY seq DESC")
        ).first()
        assert (entry.actor_name, entry.data["purpose"], entry.data["fixes"]) == (
            auditor.name,
            "核查 2026 第 3 号",
            len(fixes),
        )


def test_the_database_keeps_every_trip(furnished, journey, now, acting):
    jobs.derive(furnished, now)
    for statement in ("DELETE FROM trip", "DELETE FROM trip_match", "TRUNCATE trip CASCADE"):
        with pytest.raises((ProgrammingError, IntegrityError)):
            with furnished.transaction(acting("auditor.city")) as session:
                session.execute(text(statement))
