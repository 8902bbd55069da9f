"""Cases from clue to closing: each step by whom it belongs to, refused to the others, in Python and in the database."""

from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import text, update

from fleetapp.attachments import queries as attachments
from fleetapp.demo import people
from fleetapp.findings import casework, jobs, workflow
from fleetapp.findings.models import Finding, FindingCase
from fleetapp.findings.workflow import FindingState
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from tests import world
from tests.findings.steps import CLEARED, all_cases, clues, derive_and_scan, done, explain, review, verified, verify
from tests.trips.conftest import STRAY, YARD
from tests.walks import steps

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))
HOUR = timedelta(hours=1)


def state_of(database, case_id):
    with database.transaction(SYSTEM) as session:
        case = session.get(FindingCase, case_id)
        return case.state, sorted({one.state for one in case.findings if one.state not in workflow.ASIDE})


def refused(step, database, case_id, username, now, **given):
    with pytest.raises(NotAllowed) as error:
        done(step, database, case_id, username, now, **given)
    return error.value.code


def notices(database, username):
    person = world.user_id(database, username)
    with database.transaction(SYSTEM) as session:
        return session.scalars(
            text("SELECT code FROM notice WHERE user_id = :p AND code LIKE 'findings.%' ORDER BY id"), {"p": person}
        ).all()


def test_a_clue_is_assigned_and_notified_at_once_with_every_step_on_record(furnished, clue, now):
    [case] = all_cases(furnished)
    assert (case.state, clue.state, case.notified_at, case.number[:2]) == ("NOTIFIED", "NOTIFIED", now, "AJ")
    assert notices(furnished, "unit_admin.xhedu") == ["findings.notice.explain"]
    with furnished.transaction(SYSTEM) as session:
        of_clue = session.scalars(text("SELECT action FROM finding_event ORDER BY id")).all()
        of_case = session.scalars(text("SELECT action FROM case_event ORDER BY id")).all()
    assert of_clue == of_case == ["raise", "assign", "notify"]


def test_the_whole_way_with_different_people_and_the_way_back(furnished, clue, now):
    case_id = clue.case_id
    assert (
        refused(casework.verify, furnished, case_id, "fleet_manager.xihu", now, text="情况属实", agrees=True)
        == "kit.wrong_state"
    )
    explain(furnished, case_id, "unit_admin.xhedu", now)
    assert (
        refused(
            casework.review, furnished, case_id, "auditor.city", now, note="补办手续", outcome=FindingState.CONFIRMED
        )
        == "kit.wrong_state"
    )
    assert (
        refused(casework.verify, furnished, case_id, "unit_admin.xhedu", now, text="情况属实", agrees=True)
        == "kit.own_row"
    )
    assert verify(furnished, case_id, "fleet_manager.xihu", now, agrees=False).state == "EXPLAINED"
    assert "findings.notice.ask_more" in notices(furnished, "unit_admin.xhedu")
    assert verify(furnished, case_id, "fleet_manager.xihu", now).state == "UNIT_VERIFIED"
    assert (
        refused(casework.explain, furnished, case_id, "unit_admin.xhedu", now, text="再补充一点") == "kit.wrong_state"
    )
    assert refused(casework.review, furnished, case_id, "fleet_manager.xihu", now, note="补办手续") == "kit.not_allowed"
    decided = review(furnished, case_id, "vehicle_office.city", now + HOUR)
    assert (decided.state, decided.outcome, decided.reviewer_id) == (
        "PROCEDURAL",
        "PROCEDURAL",
        world.user_id(furnished, "vehicle_office.city"),
    )
    assert refused(casework.close, furnished, case_id, "vehicle_office.city", now, note="整改到位") == "kit.wrong_state"
    assert (
        done(casework.rectify, furnished, case_id, "unit_admin.xhedu", now, text="已补单并提醒驾驶员").state
        == "RECTIFIED"
    )
    assert refused(casework.close, furnished, case_id, "fleet_manager.xihu", now, note="整改到位") == "kit.not_allowed"
    assert done(casework.close, furnished, case_id, "auditor.city", now, note="整改到位").state == "CLOSED"
    assert state_of(furnished, case_id) == ("CLOSED", ["CLOSED"])
    assert (
        refused(casework.reopen, furnished, case_id, "vehicle_office.city", now, note="有新情况") == "kit.not_allowed"
    )
    reopened = done(casework.reopen, furnished, case_id, "auditor.xihu", now, note="补充证据后重新核实")
    assert (reopened.state, reopened.outcome, reopened.closed_at) == ("REOPENED", None, None)
    assert review(furnished, case_id, "auditor.city", now, outcome=FindingState.REFERRED).state == "REFERRED"
    with furnished.transaction(SYSTEM) as session:
        logged = session.scalars(
            text("SELECT action FROM audit_entry WHERE subject_type = 'finding_case' ORDER BY seq")
        ).all()
    assert [one.removeprefix("findings.case_") for one in logged] == [
        "assign", "notify", "explain", "ask_more", "verify", "review", "decide", "rectify", "close", "reopen", "review", "decide",
    ]  # fmt: skip


def test_what_is_in_order_needs_a_reason_and_closes_at_once(furnished, clue, now):
    verified(furnished, clue.case_id, now)
    with pytest.raises(RuleBroken) as broken:
        review(furnished, clue.case_id, "vehicle_office.city", now, outcome=FindingState.CLEARED)
    assert broken.value.code == "findings.no_reason"
    closed = review(furnished, clue.case_id, "vehicle_office.city", now, **CLEARED)
    assert (closed.state, closed.outcome, closed.reason_code, closed.closed_at) == (
        "CLOSED",
        "CLEARED",
        "urgent_duty",
        now,
    )
    [found] = [one for one in clues(furnished) if one.id == clue.id]
    assert (found.state, found.review_note) == ("CLOSED", "补办手续")


def test_pictures_come_with_an_explanation_and_a_disguised_file_stops_all_of_it(furnished, clue, now):
    with pytest.raises(RuleBroken) as broken:
        explain(furnished, clue.case_id, "unit_admin.xhedu", now, papers=[("票据.png", b"MZ not a picture")])
    assert broken.value.code == "attachments.disguised"
    assert state_of(furnished, clue.case_id) == ("NOTIFIED", ["NOTIFIED"])
    with pytest.raises(RuleBroken) as many:
        explain(
            furnished,
            clue.case_id,
            "unit_admin.xhedu",
            now,
            papers=[(f"{n}.png", PNG) for n in range(workflow.MOST_FILES + 1)],
        )
    assert many.value.code == "findings.many_files"
    explain(furnished, clue.case_id, "unit_admin.xhedu", now, papers=[("票据.png", PNG)])
    auditor, stranger = world.actor(furnished, "auditor.city"), world.actor(furnished, "auditor.binjiang")
    with furnished.transaction(SYSTEM) as session:
        events = session.scalars(text("SELECT id FROM case_event")).all()
    for who, names in ((auditor, ["票据.png"]), (stranger, [])):
        with furnished.transaction(who) as session:
            found = attachments.of(session, subject_type=casework.PAPERS_OF, subject_ids=events, actor=who)
            assert [one.name for one in found] == names


# ---- INV-25: nobody concludes a matter in which he has a part -------------------------------------------------------------


@pytest.mark.parametrize("part", ["concerned", "clue", "explained", "order"])
def test_whoever_has_a_part_is_refused_by_the_service_and_by_the_database(furnished, clue, now, part):
    office = world.user_id(furnished, "vehicle_office.city")
    auditor = world.actor(furnished, "vehicle_office.city")
    with furnished.transaction(SYSTEM) as session:
        match part:
            case "concerned":
                session.execute(update(FindingCase).values(concerned_id=office))
            case "clue":
                session.execute(update(Finding).where(Finding.id == clue.id).values(concerned_id=office))
            case "order":
                order_id = session.scalars(text("SELECT id FROM travel_order LIMIT 1")).one()
                session.execute(update(Finding).where(Finding.id == clue.id).values(order_id=order_id))
    if part == "explained":
        with furnished.transaction(SYSTEM) as session:
            session.execute(update(FindingCase).values(escalated_to_id=office))
        explain(furnished, clue.case_id, "vehicle_office.city", now)
        verify(furnished, clue.case_id, "fleet_manager.xihu", now)
    elif part == "order":
        verified(furnished, clue.case_id, now)
        with furnished.transaction(SYSTEM) as session:
            applicant = session.scalars(
                text("SELECT o.applicant_id FROM finding f JOIN travel_order o ON o.id = f.order_id")
            ).one()
            found = session.get(FindingCase, clue.case_id)
            with pytest.raises(NotAllowed) as error:
                casework.check_part(found, SYSTEM, who=applicant)
            assert error.value.code == "findings.reviewer_order"
            assert applicant in session.scalars(text("SELECT case_people(:c)"), {"c": clue.case_id}).all()
        assert review(furnished, clue.case_id, "vehicle_office.city", now).state == "PROCEDURAL"
        return
    else:
        verified(furnished, clue.case_id, now)
    with pytest.raises(NotAllowed):
        review(furnished, clue.case_id, "vehicle_office.city", now)
    with pytest.raises(Conflict) as error:
        with furnished.transaction(auditor) as session:
            session.execute(
                text("UPDATE finding_case SET state = 'BUREAU_REVIEWED' WHERE id = :c"), {"c": clue.case_id}
            )
    assert error.value.code == "findings.reviewer_part"
    assert review(furnished, clue.case_id, "auditor.city", now).state == "PROCEDURAL"


def test_the_database_has_the_same_table_of_steps(furnished):
    with furnished.transaction(SYSTEM) as session:
        for before, after in product([None, *FindingState], FindingState):
            there = session.scalar(text("SELECT finding_step_allowed(:b, :a)"), {"b": before or "", "a": after})
            assert there is (after in workflow.TRANSITIONS[before]), (before, after)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE finding_case SET state = 'CLOSED'", "findings.wrong_step"),
        ("UPDATE finding_case SET state = 'CONFIRMED', outcome = 'CONFIRMED'", "findings.wrong_step"),
        ("UPDATE finding SET state = 'EXPLAINED'", "findings.wrong_step"),
        ("UPDATE finding SET state = 'CLOSED'", "findings.wrong_step"),
    ],
)
def test_the_database_refuses_steps_by_hand(furnished, clue, statement, code):
    auditor = world.actor(furnished, "auditor.city")
    with pytest.raises(Conflict) as error:
        with furnished.transaction(auditor) as session:
            session.execute(text(statement))
    assert error.value.code == code


def test_a_decision_is_not_rewritten_and_events_stay(furnished, clue, now):
    verified(furnished, clue.case_id, now)
    review(furnished, clue.case_id, "vehicle_office.city", now)
    auditor = world.actor(furnished, "auditor.city")
    for statement in (
        "UPDATE finding_case SET outcome = 'CLEARED', reason_code = 'order_found'", "UPDATE finding_case SET reviewer_id = concerned_id",
        "UPDATE finding SET facts = '{}'", "DELETE FROM finding_case", "UPDATE case_event SET note = 'x'", "DELETE FROM case_event",
    ):  # fmt: skip
        with pytest.raises(Exception, match=r"decided|answered|refused|permission denied|CK|ck_|findings"):
            with furnished.transaction(auditor) as session:
                session.execute(text(statement))


# ---- grouping -------------------------------------------------------------------------------------------------------------


def test_clues_of_one_drive_are_one_case_and_decided_together(furnished, roads, save, now):
    """A drive on a Saturday without an order: A-01 and B-02 are one case with two records."""
    saturday = now - timedelta(days=4)
    fixes = steps.driven(
        roads, [YARD, (120.165, 30.275), YARD], saturday, stay=timedelta(minutes=16), odometer_m=5_000_000, seed=2
    )
    save(STRAY, fixes, now)
    derive_and_scan(furnished, now)
    assert sorted(one.rule for one in clues(furnished)) == ["A-01", "B-02"]
    [case] = all_cases(furnished)
    assert case.severity == "red"
    verified(furnished, case.id, now)
    review(furnished, case.id, "vehicle_office.city", now)
    assert [one.state for one in clues(furnished)] == ["PROCEDURAL", "PROCEDURAL"]


# ---- deadlines ------------------------------------------------------------------------------------------------------------


def test_an_overdue_case_goes_up_one_level_at_a_time_and_once(furnished, clue, now):
    [case] = all_cases(furnished)
    assert jobs.keep_up(furnished, case.due_at - timedelta(hours=2))["reminded"] == 1
    assert notices(furnished, "unit_admin.xhedu").count("findings.notice.due_soon") == 1
    late = case.due_at + timedelta(minutes=1)
    assert jobs.keep_up(furnished, late)["escalated"] == 1
    assert jobs.keep_up(furnished, late + timedelta(minutes=1)).get("escalated", 0) == 0
    [first] = all_cases(furnished)
    assert (first.escalation, first.escalated_to_id) == (1, world.user_id(furnished, "fleet_manager.xihu"))
    assert jobs.keep_up(furnished, late + timedelta(hours=25))["escalated"] == 1
    [second] = all_cases(furnished)
    assert second.escalation == 2
    assert jobs.keep_up(furnished, late + timedelta(hours=50))["escalated"] == 1
    assert jobs.keep_up(furnished, late + timedelta(hours=500)).get("escalated", 0) == 0
    assert "findings.notice.overdue" in notices(furnished, "fleet_manager.xihu")
    explain(furnished, case.id, "unit_admin.xhedu", late)
    assert jobs.keep_up(furnished, late + timedelta(hours=900)).get("escalated", 0) == 0


def test_whom_an_overdue_case_went_up_to_may_explain_it(furnished, clue, now):
    assert (
        refused(casework.explain, furnished, clue.case_id, "fleet_manager.xihu", now, text="代为说明情况")
        == "kit.not_allowed"
    )
    [case] = all_cases(furnished)
    jobs.keep_up(furnished, case.due_at + timedelta(minutes=1))
    assert explain(furnished, clue.case_id, "fleet_manager.xihu", now).state == "EXPLAINED"
    assert (
        refused(casework.verify, furnished, clue.case_id, "fleet_manager.xihu", now, text="情况属实", agrees=True)
        == "findings.reviewer_explained"
    )


# ---- work in hand ---------------------------------------------------------------------------------------------------------


def test_cases_are_handed_to_reviewers_alone_and_never_to_somebody_with_a_part(furnished, clue, now):
    office, admin = world.user_id(furnished, "vehicle_office.city"), world.user_id(furnished, "unit_admin.xhedu")
    auditor = world.actor(furnished, "auditor.city")
    with furnished.transaction(auditor) as session:
        assert casework.assign(session, case_ids=[clue.case_id], handler_id=office, actor=auditor, now=now) == 1
        assert casework.assign(session, case_ids=[clue.case_id], handler_id=office, actor=auditor, now=now) == 0
        with pytest.raises(NotAllowed, match="no_handler"):
            casework.assign(session, case_ids=[clue.case_id], handler_id=admin, actor=auditor, now=now)
    assert notices(furnished, "vehicle_office.city") == ["findings.notice.assigned"]
    manager = world.actor(furnished, "fleet_manager.xihu")
    with pytest.raises(NotAllowed):
        with furnished.transaction(manager) as session:
            casework.assign(session, case_ids=[clue.case_id], handler_id=office, actor=manager, now=now)


def test_the_demos_people_answer_what_is_old(furnished, clue, now):
    assert people.answer_clues(furnished, now=now + timedelta(days=9)) == {"explained": 1, "reviewed": 0}
    [case] = all_cases(furnished)
    assert case.state == "EXPLAINED"
