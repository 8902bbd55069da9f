"""Clues raised once, kept in step with the data, answered and decided by different people, never touched after that."""

from datetime import date, timedelta
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.demo import drive
from fleetapp.findings import jobs, queries, service
from fleetapp.findings.models import Finding
from fleetapp.findings.rules import FindingState
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound
from fleetapp.policies.models import PolicyValue
from fleetapp.trips import jobs as trip_jobs
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.trips.conftest import ORDERED, STRAY, YARD
from tests.walks import steps


def derive_and_scan(database, now):
    trip_jobs.derive(database, now)
    return jobs.scan(database, now)


def clues(database):
    with database.transaction(SYSTEM) as session:
        query = select(Finding).order_by(Finding.id)
        return list(session.scalars(query))


def rules_by_plate(database):
    with database.transaction(SYSTEM) as session:
        rows = session.execute(
            select(Vehicle.plate, Finding.rule, Finding.state).join(Finding, Finding.vehicle_id == Vehicle.id)
        )
        return {(plate, rule): state for plate, rule, state in rows}


def explain(database, finding_id, username, now, text="临时送材料，未及时申请"):
    who = world.actor(database, username)
    with database.transaction(who) as session:
        return service.explain(session, finding_id=finding_id, text=text, actor=who, now=now)


def review(database, finding_id, username, now, outcome=FindingState.PROCEDURAL):
    who = world.actor(database, username)
    with database.transaction(who) as session:
        return service.review(session, finding_id=finding_id, outcome=outcome, note="补办手续", actor=who, now=now)


@pytest.fixture
def clue(furnished, journey, stray, now):
    """The clue about the drive that nobody ordered."""
    derive_and_scan(furnished, now)
    [found] = [one for one in clues(furnished) if one.rule == "A-01"]
    return found


def test_the_ordered_drive_raises_nothing_and_the_other_one_clue_with_both_kinds_of_evidence(furnished, clue, now):
    assert {plate for plate, _ in rules_by_plate(furnished)} == {STRAY}
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
    explain(furnished, clue.id, "unit_admin.xhedu", now)
    with furnished.transaction(SYSTEM) as session:
        session.execute(
            text("UPDATE trip SET superseded_at = :at WHERE vehicle_id = :v"), {"at": now, "v": clue.vehicle_id}
        )
        service.scan_vehicle(session, vehicle_id=clue.vehicle_id, first_on=clue.start_at.date(), last_on=clue.start_at.date(),
                             now=now, figure_rows=queries.figure_rows(session))  # fmt: skip
    assert [one.state for one in clues(furnished)] == ["EXPLAINED"]


def test_one_explains_another_decides_and_an_auditor_takes_it_up_again(furnished, clue, now):
    with pytest.raises(NotAllowed):
        review(furnished, clue.id, "auditor.city", now)
    assert explain(furnished, clue.id, "unit_admin.xhedu", now).state == "EXPLAINED"
    with pytest.raises(NotAllowed):
        review(furnished, clue.id, "unit_admin.xhedu", now)
    decided = review(furnished, clue.id, "fleet_manager.xihu", now + timedelta(hours=1))
    assert (decided.state, decided.closed_at) == ("PROCEDURAL", now + timedelta(hours=1))
    with pytest.raises(NotAllowed):
        explain(furnished, clue.id, "unit_admin.xhedu", now)
    auditor = world.actor(furnished, "auditor.xihu")
    with furnished.transaction(auditor) as session:
        reopened = service.reopen(session, finding_id=clue.id, note="补充证据后重新核实", actor=auditor, now=now)
        assert (reopened.state, reopened.closed_at) == ("EXPLAINED", None)
    with furnished.transaction(SYSTEM) as session:
        steps = session.scalars(text("SELECT action FROM finding_event ORDER BY id")).all()
        logged = session.scalars(
            text("SELECT action FROM audit_entry WHERE subject_type = 'finding' ORDER BY seq")
        ).all()
    assert steps == ["raise", "explain", "review", "reopen"]
    assert logged == ["findings.raised", "findings.explained", "findings.reviewed", "findings.reopened"]


def test_whom_a_clue_concerns_never_decides_it_whatever_the_role(furnished, clue, now):
    manager = world.user_id(furnished, "fleet_manager.xihu")
    with furnished.transaction(SYSTEM) as session:
        session.execute(update(Finding).where(Finding.id == clue.id).values(concerned_id=manager))
    explain(furnished, clue.id, "unit_admin.xhedu", now)
    with pytest.raises(NotAllowed):
        review(furnished, clue.id, "fleet_manager.xihu", now)
    assert review(furnished, clue.id, "auditor.city", now).state == "PROCEDURAL"


@pytest.mark.parametrize("username", ["unit_admin.bjwater", "auditor.binjiang", "driver.xhedu", "applicant.xhedu"])
def test_a_clue_of_others_is_not_to_be_found(furnished, clue, now, username):
    who = world.actor(furnished, username)
    with furnished.transaction(who) as session:
        assert session.scalars(queries.visible_to(who)).all() == []
        with pytest.raises((NotFound, NotAllowed)):
            service.view(session, finding_id=clue.id, actor=who, now=now)


def test_the_person_concerned_sees_and_answers_it(furnished, clue, now):
    driver = world.user_id(furnished, "driver.xhedu")
    with furnished.transaction(SYSTEM) as session:
        session.execute(update(Finding).where(Finding.id == clue.id).values(concerned_id=driver))
    who = world.actor(furnished, "driver.xhedu")
    with furnished.transaction(who) as session:
        assert [one.id for one in session.scalars(queries.visible_to(who))] == [clue.id]
    assert explain(furnished, clue.id, "driver.xhedu", now).explainer_id == driver


def test_the_database_keeps_clues_and_their_events(furnished, clue, now):
    auditor = world.actor(furnished, "auditor.city")
    for statement in (
        "DELETE FROM finding", "DELETE FROM finding_event", "UPDATE finding_event SET text = 'x'", "TRUNCATE finding CASCADE",
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
