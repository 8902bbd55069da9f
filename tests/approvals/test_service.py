"""Chains, levels, verdicts, deputies, escalation: through the service, and what the database refuses by itself."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.approvals import chains
from fleetapp.approvals import queries as approvals
from fleetapp.approvals.rules import Level, Verdict
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.orders import follow, jobs, queries, service
from fleetapp.orders.rules import OrderKind, Purpose

UNIT = Level("单位审批", role="approver")
OFFICE = Level("车管机构审核", role="vehicle_office", place="bureau", over_m=5_000)
BOTH = Level("会签", role="approver", mode="all")


def test_the_nearest_chain_in_force_stands_and_a_case_keeps_its_own(
    chain, submit, step, case_of, waits_on, acting, database, now
):
    assert case_of(submit()).chain.org.code == "330100"
    chain(UNIT, OFFICE)
    order_id = submit()
    case = case_of(order_id)
    assert [(task.name, task.state) for task in case.tasks] == [("单位审批", "OPEN"), ("车管机构审核", "WAITING")]
    chain(Level("新流程", role="unit_admin"), valid_from=date(2026, 11, 19))
    assert step(service.approve, "approver.xhedu", order_id, note="同意。") == "APPROVING"
    assert waits_on(order_id) == ["vehicle_office.city"]
    with pytest.raises(NotAllowed, match="not_waited_for"):
        step(service.approve, "leader.city", order_id)
    assert step(service.approve, "approver.xhedu", order_id) == "APPROVING"  # the same again
    assert step(service.approve, "vehicle_office.city", order_id) == "APPROVED"
    assert case_of(submit(at=now + timedelta(days=1), start_at=now + timedelta(days=1, hours=2), end_at=now + timedelta(days=1, hours=4))
                   ).tasks[0].name == "新流程"  # fmt: skip
    with pytest.raises(RuleBroken, match="backdated"):
        chain(UNIT, valid_from=date(2026, 11, 17))
    with pytest.raises(NotAllowed):
        chain(UNIT, username="approver.xhedu")
    office = acting("dispatcher.xihu")
    with database.transaction(office) as session, pytest.raises(NotAllowed):
        chains.publish_chain(
            session, org_id=office.org_id, valid_from=date(2026, 12, 1), note="x", levels=[UNIT], actor=office, now=now
        )
    with pytest.raises(RuleBroken, match="first_conditional"):
        chain(OFFICE)


def test_every_verdict_has_its_way(chain, submit, step, case_of, waits_on, grant, database, acting):
    grant("unit_admin.xhedu", "approver", "330106-EDU")
    chain(Level("初审", role="unit_admin"), UNIT)
    order_id = submit()
    admin, approver = "unit_admin.xhedu", "approver.xhedu"
    other = {"person_id": acting("vehicle_office.city").user_id, "note": "请核实"}
    for verdict in (Verdict.REJECT, Verdict.SEND_BACK, Verdict.STEP_BACK, Verdict.TRANSFER):
        with pytest.raises(RuleBroken, match="reason_needed"):
            step(service.decide, admin, order_id, verdict=verdict, note=" ")
    with pytest.raises(RuleBroken, match="no_level_before"):
        step(service.decide, admin, order_id, verdict=Verdict.STEP_BACK, note="x")
    assert step(service.approve, admin, order_id) == "APPROVING"
    assert step(service.decide, approver, order_id, verdict=Verdict.STEP_BACK, note="缺少文号") == "APPROVING"
    assert waits_on(order_id) == [admin]
    step(service.decide, admin, order_id, verdict=Verdict.ADD_BEFORE, **other)
    assert waits_on(order_id) == ["vehicle_office.city"]
    step(service.approve, "vehicle_office.city", order_id)
    assert waits_on(order_id) == [admin]
    step(service.approve, admin, order_id)
    step(
        service.decide,
        approver,
        order_id,
        verdict=Verdict.ADD_AFTER,
        person_id=acting("leader.city").user_id,
        note="请领导阅示",
    )
    assert step(service.approve, approver, order_id) == "APPROVING"
    with pytest.raises(RuleBroken, match="person_there"):
        step(
            service.decide,
            "leader.city",
            order_id,
            verdict=Verdict.TRANSFER,
            person_id=acting("leader.city").user_id,
            note="x",
        )
    step(service.decide, "leader.city", order_id, verdict=Verdict.TRANSFER, **other)
    assert waits_on(order_id) == ["vehicle_office.city"]
    assert step(service.approve, "vehicle_office.city", order_id) == "APPROVED"
    steps = [one.verdict for one in case_of(order_id).steps]
    assert steps == ["agree", "step_back", "add_before", "agree", "agree", "add_after", "agree", "transfer", "agree"]
    with database.transaction(SYSTEM) as session:
        logged = session.scalar(
            text("SELECT count(*) FROM audit_entry WHERE action LIKE 'approvals.%' AND subject_type = 'approval_case'")
        )
    assert logged >= len(steps) + 1


def test_an_order_sent_back_is_edited_and_handed_in_again(submit, step, read, case_of):
    order_id = submit()
    first = case_of(order_id).id
    with pytest.raises(NotAllowed):
        step(service.resubmit, "applicant.xhedu", order_id, passenger_count=3)
    assert step(service.decide, "approver.xhedu", order_id, verdict=Verdict.SEND_BACK, note="请写明文号") == "SENT_BACK"
    with pytest.raises(NotAllowed):
        step(service.resubmit, "unit_admin.xhedu", order_id, passenger_count=3)
    stops = [*read("applicant.xhedu", order_id).stops]
    again = [
        service.rules.Stop("浙江大学", 30.2636, 120.1210),
        service.rules.Stop(stops[1].name, stops[1].lat, stops[1].lon),
    ]
    assert (
        step(service.resubmit, "applicant.xhedu", order_id, reason="参加会议，浙教办〔2026〕1号", stops=again)
        == "SUBMITTED"
    )
    order = read("applicant.xhedu", order_id)
    assert [stop.name for stop in order.stops] == ["浙江大学", stops[1].name]
    assert order.approval_case_id != first
    assert case_of(order_id).state == "OPEN"
    assert step(service.approve, "approver.xhedu", order_id) == "APPROVED"


def test_nobody_signs_what_is_their_own_in_any_form(
    chain, submit, step, grant, away, waits_on, database, acting, now, case_of
):
    """INV-12: own role, added by others, handed over, as a deputy, by raw SQL."""
    grant("applicant.xhedu", "approver", "330106-EDU")
    order_id = submit()
    me = acting("applicant.xhedu").user_id
    assert waits_on(order_id) == ["approver.xhedu"]
    for verdict in Verdict.AGREE, Verdict.REJECT, Verdict.TRANSFER:
        with pytest.raises(NotAllowed, match="own_row"):
            step(service.decide, "applicant.xhedu", order_id, verdict=verdict, note="x", person_id=me)
    for verdict in Verdict.ADD_AFTER, Verdict.ADD_BEFORE, Verdict.TRANSFER:
        with pytest.raises(RuleBroken, match="person_barred"):
            step(service.decide, "approver.xhedu", order_id, verdict=verdict, note="x", person_id=me)
    away("approver.xhedu", now - timedelta(hours=1), now + timedelta(days=2), deputy="applicant.xhedu")
    with pytest.raises(NotAllowed, match="own_row"):
        step(service.approve, "applicant.xhedu", order_id)
    with database.transaction(SYSTEM) as session:
        case = approvals.get_case(session, case_id=case_of(order_id).id)
        task = approvals.open_task(case)
        params = {"case": case.id, "task": task.id, "me": me, "boss": task.user_ids[0]}
    step_row = "INSERT INTO approval_step (org_id, case_id, task_id, verdict, user_id, for_id, to_id, at, note) VALUES (1, :case, :task,"
    for statement in (
        f"{step_row} 'agree', :me, :me, NULL, now(), NULL)",
        f"{step_row} 'agree', :me, :boss, NULL, '2026-11-18 02:00Z', NULL)",
        f"{step_row} 'agree', :boss, :me, NULL, now(), NULL)",
        f"{step_row} 'add_after', :boss, :boss, :me, now(), 'x')",
        "UPDATE approval_task SET user_ids = ARRAY[:me] WHERE id = :task",
        "UPDATE approval_task SET state = 'AGREED' WHERE id = :task",
        "UPDATE approval_case SET state = 'AGREED', closed_at = now() WHERE id = :case",
        "UPDATE approval_case SET barred_ids = ARRAY[:boss] WHERE id = :case",
        "UPDATE travel_order SET state = 'APPROVED' WHERE approval_case_id = :case",
    ):
        with pytest.raises((DBAPIError, Conflict)), database.transaction(SYSTEM) as session:
            session.execute(text(statement), params)
    with (
        pytest.raises(Conflict, match="not_waited_for_now"),
        database.transaction(acting("unit_admin.xhedu")) as session,
    ):
        session.execute(
            text(f"{step_row} 'agree', :boss, :boss, NULL, now(), NULL)"), params
        )  # in another person's name
    assert step(service.approve, "approver.xhedu", order_id) == "APPROVED"


def test_signing_together_takes_every_hand_once(chain, submit, step, grant, away, waits_on, now):
    grant("unit_admin.xhedu", "approver", "330106-EDU")
    chain(BOTH)
    away("unit_admin.xhedu", now - timedelta(hours=1), now + timedelta(days=1), deputy="approver.xhedu")
    order_id = submit()
    assert waits_on(order_id) == ["approver.xhedu", "unit_admin.xhedu"]
    assert step(service.approve, "approver.xhedu", order_id) == "SUBMITTED"
    assert step(service.approve, "approver.xhedu", order_id) == "SUBMITTED"  # not for the other one as well
    assert step(service.approve, "unit_admin.xhedu", order_id) == "APPROVED"


def test_who_leaves_in_the_middle_does_not_stop_a_common_signature(
    chain, submit, step, grant, away, waits_on, now, database
):
    grant("unit_admin.xhedu", "approver", "330106-EDU")
    chain(BOTH)
    first, second = submit(), submit()
    step(service.approve, "approver.xhedu", first)
    away("unit_admin.xhedu", now, now + timedelta(days=1))
    assert jobs.keep_moving(database, now)["moved"] == 2
    assert jobs.keep_moving(database, now)["moved"] == 0
    assert (waits_on(first), waits_on(second)) == (["vehicle_office.city"], ["approver.xhedu"])
    assert step(service.approve, "vehicle_office.city", first) == "APPROVED"
    assert step(service.approve, "approver.xhedu", second) == "APPROVED"


def test_a_deputy_decides_in_the_period_and_says_for_whom(submit, step, away, case_of, database, acting, now, grant):
    order_id, _ = submit(), submit("applicant.bjwater")
    grant("approver.xhhealth", "leader", "330106-HEALTH")
    away("approver.xhedu", now, now + timedelta(hours=2), deputy="approver.xhhealth")
    deputy = acting("approver.xhhealth")
    with database.transaction(deputy) as session:
        assert [one.id for one in session.scalars(queries.inbox(deputy, at=now)).all()] == [order_id]
        assert session.scalars(queries.inbox(deputy, at=now + timedelta(hours=2))).all() == []
    with pytest.raises(NotAllowed, match="not_waited_for"):
        step(service.approve, "approver.xhhealth", order_id, at=now + timedelta(hours=2))
    assert step(service.approve, "approver.xhhealth", order_id) == "APPROVED"
    last = case_of(order_id).steps[-1]
    assert (last.user_id, last.for_id) == (deputy.user_id, acting("approver.xhedu").user_id)
    with pytest.raises(RuleBroken, match="self_delegation"):
        away("approver.xhedu", now, now + timedelta(days=9), deputy="approver.xhedu")
    with pytest.raises((Conflict, DBAPIError)):
        away("approver.xhedu", now + timedelta(hours=1), now + timedelta(hours=3))
    with pytest.raises(RuleBroken, match="person_needed"):
        away("unit_admin.xhedu", now, now + timedelta(hours=3), deputy="driver.xhedu")


def test_what_waits_for_nobody_goes_up_with_its_reason(
    submit, step, away, waits_on, case_of, database, now, grant, acting
):
    away("approver.xhedu", now, now + timedelta(days=1))
    order_id = submit()
    task = approvals.open_task(case_of(order_id))
    assert (waits_on(order_id), task.escalated) == (["vehicle_office.city"], "away")
    assert [one.verdict for one in case_of(order_id).steps] == ["escalate"]
    grant("applicant.bjwater", "approver", "330108")
    later = submit("applicant.bjwater")
    assert waits_on(later) == ["approver.bjwater"]
    away("approver.bjwater", now, now + timedelta(days=1))
    jobs.keep_moving(database, now)
    assert waits_on(later) == ["vehicle_office.city"]  # the district's approver is the applicant
    assert step(service.approve, "vehicle_office.city", later) == "APPROVED"


def test_a_supplementary_order_too_late_needs_the_bureau(
    chain, submit, step, case_of, waits_on, now, acting, database, grant
):
    """INV-27: escalated, not refused; a driver who filed or drove it never approves."""
    chain(UNIT)
    late = {"kind": OrderKind.EMERGENCY, "purpose": Purpose.EMERGENCY, "supplementary": True,
            "start_at": now - timedelta(hours=30), "end_at": now - timedelta(hours=26)}  # fmt: skip
    order_id = submit(**late)
    case = case_of(order_id)
    assert case.facts["flags"][0] == "late"
    assert step(service.approve, "approver.xhedu", order_id) == "APPROVING"
    forged = (
        "WITH dropped AS (UPDATE approval_task SET state = 'DROPPED' WHERE case_id = :id AND state = 'OPEN' RETURNING 1)"
        " UPDATE approval_case SET state = 'AGREED', closed_at = now() WHERE id = :id AND (SELECT count(*) FROM dropped) >= 0"
    )
    with pytest.raises((DBAPIError, Conflict)), database.transaction(SYSTEM) as session:
        session.execute(text(forged), {"id": case.id})
    assert waits_on(order_id) == ["vehicle_office.city"]
    assert step(service.approve, "vehicle_office.city", order_id) == "APPROVED"
    normal = submit(**{**late, "start_at": now - timedelta(hours=5), "end_at": now - timedelta(hours=1)})
    assert len(case_of(normal).tasks) == 1


def test_reminders_are_few_and_told(submit, database, acting, now):
    order_id = submit()
    applicant = acting("applicant.xhedu")

    def remind(at):
        with database.transaction(applicant) as session:
            follow.remind(session, order_id=order_id, actor=applicant, now=at)

    remind(now)
    with pytest.raises(RuleBroken, match="reminded"):
        remind(now + timedelta(hours=1))
    remind(now + timedelta(hours=3))
    with database.transaction(SYSTEM) as session:
        told = session.scalars(
            text("SELECT code FROM notice WHERE user_id = :id ORDER BY id"), {"id": acting("approver.xhedu").user_id}
        ).all()
    assert told == ["orders.notice.asked", "orders.notice.remind", "orders.notice.remind"]


def test_what_nobody_did_lapses_with_a_reason_and_a_notice(submit, step, read, database, now):
    waiting, back, approved = submit(), submit(), submit()
    step(service.decide, "approver.xhedu", back, verdict=Verdict.SEND_BACK, note="x")
    step(service.approve, "approver.xhedu", approved)
    ended = read("applicant.xhedu", waiting).end_at
    assert jobs.lapse(database, ended + timedelta(hours=24)) == {"lapsed": 0}
    assert jobs.lapse(database, ended + timedelta(hours=25)) == {"lapsed": 3}
    assert jobs.lapse(database, ended + timedelta(hours=25)) == {"lapsed": 0}
    assert {read("applicant.xhedu", one).state for one in (waiting, back, approved)} == {"CANCELLED"}
    assert "自动取消" in read("applicant.xhedu", waiting).closing_reason


def test_chains_cases_and_decisions_are_kept(submit, step, database):
    step(service.approve, "approver.xhedu", submit())
    for statement in (
        "UPDATE approval_step SET note = 'x'", "DELETE FROM approval_step", "UPDATE approval_chain SET valid_from = '2020-01-01'",
        "DELETE FROM approval_case", "UPDATE approval_level SET deadline_h = 1", "UPDATE approval_case SET state = 'OPEN', closed_at = NULL",
        "INSERT INTO approval_level (chain_id, position, name, role, place, mode, deadline_h) SELECT id, 5, 'x', 'leader', 'unit', 'any', 1 FROM approval_chain",
    ):  # fmt: skip
        with pytest.raises((DBAPIError, Conflict)), database.transaction(SYSTEM) as session:
            session.execute(text(statement))
