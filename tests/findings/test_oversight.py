"""Oversight: rules kept quiet by two people, the monthly sample, outcomes by rule, searches by place, the access log."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, text

from fleetapp.findings import casework, jobs, oversight, oversight_queries, workflow
from fleetapp.findings.models import Finding, FindingCase
from fleetapp.findings.workflow import ClearReason, FindingState
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from tests import world
from tests.findings.steps import CLEARED, all_cases, clues, derive_and_scan, done, review, verified
from tests.trips.conftest import STRAY, YARD
from tests.walks import steps

HOUR = timedelta(hours=1)


def quiet_state(database, finding_id):
    with database.transaction(SYSTEM) as session:
        return session.get(Finding, finding_id).state


# ---- keeping quiet --------------------------------------------------------------------------------------------------------


def propose(database, clue, username, now, days=30, rule="A-01"):
    who = world.actor(database, username)
    on = date(2026, 11, 18)
    with database.transaction(who) as session:
        return oversight.propose(session, rule=rule, vehicle_id=clue.vehicle_id, start_on=on, end_on=on + timedelta(days=days),
                                 reason=ClearReason.MAINTENANCE_DRIVE, note="修理厂每日试车", actor=who, now=now)  # fmt: skip


def decide(database, proposal_id, username, now):
    who = world.actor(database, username)
    with database.transaction(who) as session:
        return oversight.decide_proposal(
            session, proposal_id=proposal_id, approved=True, note="同意试行", actor=who, now=now
        )


def test_a_rule_keeps_quiet_only_when_two_people_say_so_and_only_for_its_time(furnished, clue, roads, save, now):
    with pytest.raises(RuleBroken) as broken:
        propose(furnished, clue, "vehicle_office.city", now, days=91)
    assert broken.value.code == "findings.quiet_window"
    made = propose(furnished, clue, "vehicle_office.city", now)
    with pytest.raises(NotAllowed):
        decide(furnished, made.id, "vehicle_office.city", now)
    with pytest.raises(NotAllowed):
        propose(furnished, clue, "dispatcher.xihu", now)
    office = world.actor(furnished, "vehicle_office.city")
    with pytest.raises(Conflict):
        with furnished.transaction(office) as session:
            session.execute(text("UPDATE suppression SET state = 'APPROVED', decided_by = proposed_by"))

    def drive(at, seed):
        save(STRAY, steps.driven(roads, [YARD, (120.165, 30.275), YARD], at, stay=timedelta(minutes=16),
                                 odometer_m=6_000_000 + 100_000 * seed, seed=seed), at + timedelta(hours=4))  # fmt: skip
        derive_and_scan(furnished, at + timedelta(hours=4))
        return [one for one in clues(furnished) if one.rule == "A-01"][-1]

    assert drive(now + timedelta(hours=2), 3).state == "NOTIFIED"
    assert decide(furnished, made.id, "auditor.city", now).state == "APPROVED"
    quiet = drive(now + timedelta(days=1, hours=2), 4)
    assert (quiet.state, quiet.suppression_id) == ("SUPPRESSED", made.id)
    with furnished.transaction(SYSTEM) as session:
        assert session.get(FindingCase, quiet.case_id).state == "SUPPRESSED"
    reopened = done(casework.reopen, furnished, quiet.case_id, "auditor.city", now, note="抽查免提示的线索")
    assert (reopened.state, quiet_state(furnished, quiet.id)) == ("REOPENED", "REOPENED")
    with furnished.transaction(world.actor(furnished, "auditor.city")) as session:
        oversight.end_proposal(
            session, proposal_id=made.id, actor=world.actor(furnished, "auditor.city"), now=now + timedelta(days=1)
        )
    assert drive(now + timedelta(days=5, hours=2), 5).state == "NOTIFIED"


# ---- sample, outcomes, search ---------------------------------------------------------------------------------------------


def test_a_month_is_drawn_once_the_same_again_from_its_record_and_reviewed_by_somebody_else(furnished, clue, now):
    after = now.replace(month=12, day=1)
    assert jobs.keep_up(furnished, after)["drawn"] == 1
    assert jobs.keep_up(furnished, after + timedelta(days=1))["drawn"] == 0
    auditor = world.actor(furnished, "auditor.city")
    with furnished.transaction(auditor) as session:
        run = oversight_queries.sample_run(session, month=date(2026, 11, 1))
        [item] = oversight_queries.samples(session, actor=auditor)
    with furnished.transaction(SYSTEM) as session:
        [population] = [
            oversight_queries.matched_trips(session, start=now - timedelta(days=18), end=now + timedelta(days=13))
        ]
    assert run.population == len(population) > 0
    assert workflow.sample([one for one, _ in population], seed=run.seed, share=run.share) == [item.trip_id]

    def say(username, verdict, note):
        who = world.actor(furnished, username)
        with furnished.transaction(who) as session:
            return oversight.review_sample(session, item_id=item.id, verdict=verdict, note=note, actor=who, now=after)

    with pytest.raises(Exception, match="not_found|not_allowed"):
        say("fleet_manager.xihu", "in_order", "")
    with pytest.raises(RuleBroken):
        say("auditor.city", "clue", "好")
    found = say("auditor.city", "clue", "中途绕行二十公里")
    [opened] = [one for one in clues(furnished) if one.rule == "S-01"]
    assert (found.finding_id, opened.state) == (opened.id, "NOTIFIED")
    with pytest.raises(RuleBroken, match="sample_once"):
        say("auditor.xihu", "in_order", "")


def test_outcomes_by_rule_count_what_was_borne_out_and_flag_what_is_not(furnished, clue, now):
    auditor = world.actor(furnished, "auditor.city")

    def outcomes(who=auditor):
        with furnished.transaction(who) as session:
            return oversight_queries.outcomes_by_rule(session, actor=who, start=now - HOUR, end=now + HOUR, least=0.10)

    [before] = outcomes()
    assert (before.rule, before.raised, before.open, before.precision.value, before.flagged) == (
        "A-01",
        1,
        1,
        None,
        False,
    )
    verified(furnished, clue.case_id, now)
    review(furnished, clue.case_id, "vehicle_office.city", now, **CLEARED)
    [cleared] = outcomes()
    assert (cleared.outcomes, cleared.precision.value, cleared.flagged) == ({"CLEARED": 1}, 0.0, True)
    done(casework.reopen, furnished, clue.case_id, "auditor.xihu", now, note="补充证据后重新核实")
    review(furnished, clue.case_id, "auditor.city", now, outcome=FindingState.CONFIRMED)
    [confirmed] = outcomes()
    assert (confirmed.precision.value, confirmed.flagged) == (1.0, False)
    assert outcomes(world.actor(furnished, "auditor.binjiang")) == []


def near(database, username, now, **given):
    who = world.actor(database, username)
    asked = {
        "lat": 30.275,
        "lon": 120.165,
        "radius_m": 300.0,
        "start": now - timedelta(days=2),
        "end": now,
        "purpose": "核查举报线索",
        **given,
    }
    with database.transaction(who) as session:
        return [
            (one.trip.vehicle.plate, one.distance_m)
            for one in oversight.search_near(session, actor=who, now=now, **asked)
        ]


def test_who_was_near_is_for_auditors_with_a_purpose_on_record_and_never_about_restricted_vehicles(
    furnished, clue, now
):
    found = near(furnished, "auditor.city", now)
    assert STRAY in {plate for plate, _ in found}
    assert all(metres <= 300 for _, metres in found)
    assert near(furnished, "auditor.city", now, lat=30.9) == []
    assert near(furnished, "auditor.city", now, start=now - timedelta(minutes=5)) == []
    assert near(furnished, "auditor.city", now, start=now - timedelta(hours=19), end=now) == []
    assert near(furnished, "auditor.binjiang", now) == []
    for username in ("fleet_manager.xihu", "vehicle_office.city"):
        with pytest.raises(NotAllowed):
            near(furnished, username, now)
    for given, code in (({"purpose": "看看"}, "search_purpose"), ({"radius_m": 2001.0}, "search_radius"),
                        ({"start": now - timedelta(days=8)}, "search_window"), ({"start": now, "end": now}, "search_window")):  # fmt: skip
        with pytest.raises(RuleBroken, match=code):
            near(furnished, "auditor.city", now, **given)
    with furnished.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET secrecy = 'restricted'"))
    assert near(furnished, "auditor.city", now) == []
    auditor = world.actor(furnished, "auditor.city")
    with furnished.transaction(auditor) as session:
        looked = session.scalars(oversight_queries.looks(auditor, kind="findings.searched")).all()
        assert [entry.data["purpose"] for entry in looked] == ["核查举报线索"] * 6
        assert [entry.data["trips"] for entry in looked][-1] == len(found)


def test_every_look_at_a_case_is_on_record_with_its_reason(furnished, clue, now):
    done(casework.view, furnished, clue.case_id, "auditor.city", now, purpose="季度复核")
    done(casework.view, furnished, clue.case_id, "vehicle_office.city", now, purpose=None)
    auditor = world.actor(furnished, "auditor.city")
    with furnished.transaction(auditor) as session:
        entries = session.scalars(oversight_queries.looks(auditor)).all()
    [case] = all_cases(furnished)
    assert [entry.data["purpose"] for entry in entries] == [case.number, "季度复核"]
    with furnished.transaction(auditor) as session:
        assert session.scalars(oversight_queries.looks(auditor, q="季度")).all()
        assert session.scalars(select(Finding.id)).all()
