"""Clues raised once, kept in step with the data, answered and decided by different people, never touched after that."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.demo import drive
from fleetapp.findings import casework, jobs, queries, service
from fleetapp.findings.models import Finding
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound
from fleetapp.policies.models import PolicyValue
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.findings.steps import clues, derive_and_scan, explain
from tests.trips.conftest import ORDERED, STRAY, YARD
from tests.walks import steps


def rules_by_plate(database):
    with database.transaction(SYSTEM) as session:
        rows = session.execute(
            select(Vehicle.plate, Finding.rule, Finding.state).join(Finding, Finding.vehicle_id == Vehicle.id)
        )
        return {(plate, rule): state for plate, rule, state in rows}


def test_the_ordered_drive_raises_nothing_and_the_other_one_clue_with_both_kinds_of_evidence(furnished, clue, now):
    found = rules_by_plate(furnished)
    assert {plate for plate, rule in found if rule in {"A-01", "A-02", "A-03", "C-04", "E-01", "E-02"}} == {STRAY}
    assert {rule for plate, rule in found if plate != STRAY} <= {"H-01"}, "the readings the driver typed are rough"
    assert clue.state == "NOTIFIED"
    assert clue.detected_at == now
    assert clue.evidence_for
    assert clue.evidence_against
    assert clue.params["figures"]["A-01.min_km"]["value"] == 0.5
    assert clue.due_at > now
    assert clue.concerned_id == world.user_id(furnished, "unit_admin.xhedu")


def test_scanning_again_or_everything_anew_raises_nothing_twice(furnished, clue, now):
    again = jobs.scan(furnished, now + timedelta(minutes=1))
    assert again.get("raised", 0) == 0
    with furnished.transaction(SYSTEM) as session:
        session.execute(text("UPDATE derive_cursor SET at = '2026-01-01' WHERE name = 'findings'"))
    anew = jobs.scan(furnished, now + timedelta(minutes=2))
    assert (anew.get("raised", 0), anew.get("refreshed", 0)) == (0, 0)
    assert [one.id for one in clues(furnished)] == [clue.id]


def test_a_figure_in_force_then_is_what_counts(furnished, journey, stray, now):
    """With a least distance of 50 km and its own place farther off, the drive is none of the rule's business."""
    with furnished.transaction(SYSTEM) as session:
        session.add(
            PolicyValue(
                code="A-01.min_km",
                value=Decimal(50),
                unit="km",
                stricter="lower",
                valid_from=date(2026, 1, 1),
                source="test",
            )
        )
        session.execute(update(Vehicle).where(Vehicle.plate == STRAY).values(parking_id=None))
    derive_and_scan(furnished, now)
    assert rules_by_plate(furnished) == {}


def test_a_clue_nobody_answered_is_withdrawn_when_the_data_no_longer_support_it_and_reinstated_when_they_do(
    furnished, clue, now
):
    with furnished.transaction(SYSTEM) as session:
        session.execute(update(Vehicle).where(Vehicle.plate == STRAY).values(secrecy="secret"))
        vehicle_id = session.scalars(select(Vehicle.id).where(Vehicle.plate == STRAY)).one()
        session.execute(text("UPDATE trip SET superseded_at = :at WHERE vehicle_id = :v"), {"at": now, "v": vehicle_id})
        service.scan_vehicle(session, vehicle_id=vehicle_id, first_on=clue.start_at.date(), last_on=clue.start_at.date(),
                             now=now, figure_rows=queries.figure_rows(session))  # fmt: skip
    assert [one.state for one in clues(furnished)] == ["WITHDRAWN"]
    with furnished.transaction(SYSTEM) as session:
        session.execute(text("UPDATE trip SET superseded_at = NULL WHERE vehicle_id = :v"), {"v": vehicle_id})
        service.scan_vehicle(session, vehicle_id=vehicle_id, first_on=clue.start_at.date(), last_on=clue.start_at.date(),
                             now=now, figure_rows=queries.figure_rows(session))  # fmt: skip
    [found] = clues(furnished)
    assert (found.id, found.state) == (clue.id, "NOTIFIED")


def test_what_a_person_has_answered_the_job_leaves_alone(furnished, clue, now):
    explain(furnished, clue.case_id, "unit_admin.xhedu", now)
    with furnished.transaction(SYSTEM) as session:
        session.execute(
            text("UPDATE trip SET superseded_at = :at WHERE vehicle_id = :v"), {"at": now, "v": clue.vehicle_id}
        )
        service.scan_vehicle(session, vehicle_id=clue.vehicle_id, first_on=clue.start_at.date(), last_on=clue.start_at.date(),
                             now=now, figure_rows=queries.figure_rows(session))  # fmt: skip
    assert [one.state for one in clues(furnished)] == ["EXPLAINED"]


@pytest.mark.parametrize("username", ["unit_admin.bjwater", "auditor.binjiang", "driver.xhedu", "applicant.xhedu"])
def test_a_clue_of_others_is_not_to_be_found(furnished, clue, now, username):
    who = world.actor(furnished, username)
    with furnished.transaction(who) as session:
        assert session.scalars(queries.visible_to(who)).all() == []
        with pytest.raises((NotFound, NotAllowed)):
            casework.view(session, case_id=clue.case_id, purpose=None, actor=who, now=now)


def test_the_database_keeps_clues_and_their_events(furnished, clue, now):
    auditor = world.actor(furnished, "auditor.city")
    for statement in (
        "DELETE FROM finding", "DELETE FROM finding_event", "UPDATE finding_event SET note = 'x'", "TRUNCATE finding CASCADE",
    ):  # fmt: skip
        with pytest.raises((ProgrammingError, IntegrityError)):
            with furnished.transaction(auditor) as session:
                session.execute(text(statement))


def test_a_drive_without_order_long_before_does_not_stop_the_job(furnished, roads, save, now):
    """The trip before a window is read with it, however long ago it was."""
    for number, at in enumerate((now - timedelta(days=12), now - timedelta(hours=20))):
        drive_out = steps.driven(roads, [YARD, (120.165, 30.275), YARD], at, stay=timedelta(minutes=16),
                                 odometer_m=1_000_000 + 20_000 * number, seed=6 + number)  # fmt: skip
        save(STRAY, drive_out, at + timedelta(hours=4))
        jobs.scan(furnished, at)  # the job runs all the time
        derive_and_scan(furnished, at + timedelta(hours=4))
    [first, second] = [one for one in clues(furnished) if one.rule == "A-01"]
    assert second.start_at - first.start_at > timedelta(days=10)


def test_a_vehicle_not_back_at_night_is_judged_when_the_evening_has_passed(furnished, roads, save, now):
    away = (120.165, 30.275)
    fixes = steps.driven(
        roads, [YARD, away], now - timedelta(hours=14), stay=timedelta(minutes=16), odometer_m=1_000_000, seed=4
    )
    arrived = fixes[-1].at
    fixes += drive.park(
        away, arrived, arrived + timedelta(hours=8), Random(5), odometer_m=fixes[-1].odometer_m, every_s=300
    )
    save(ORDERED, fixes, now)
    before_ten = now - timedelta(hours=11, minutes=5)
    derive_and_scan(furnished, before_ten)
    assert (ORDERED, "E-02") not in rules_by_plate(furnished)
    jobs.scan(furnished, now)
    assert rules_by_plate(furnished)[ORDERED, "E-02"] == "NOTIFIED"
