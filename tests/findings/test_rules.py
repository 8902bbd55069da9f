"""The way of a clue: steps, colours, days to answer, who may decide."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.findings import rules
from fleetapp.findings.rules import OUTCOMES, FindingState, Severity
from fleetapp.kit.errors import NotAllowed, RuleBroken

NINE = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)


def allowed(before, after) -> bool:
    try:
        rules.check_step(before, after)
    except RuleBroken:
        return False
    return True


def test_only_people_close_and_what_is_closed_goes_back_to_an_explanation_only():
    for before, after in product([None, *FindingState], FindingState):
        if after in OUTCOMES:
            assert allowed(before, after) is (before is FindingState.EXPLAINED)
        if before in OUTCOMES:
            assert allowed(before, after) is (after is FindingState.EXPLAINED)
    assert not allowed(FindingState.EXPLAINED, FindingState.WITHDRAWN)


@given(st.lists(st.sampled_from(list(FindingState)), max_size=12))
def test_every_way_leads_on_and_none_closes_without_an_explanation(wanted):
    state, explained = None, False
    for after in wanted:
        if not allowed(state, after):
            continue
        explained = after is FindingState.EXPLAINED or (explained and after is not FindingState.NOTIFIED)
        state = after
        assert rules.TRANSITIONS[state]
        if state in OUTCOMES:
            assert explained


@pytest.mark.parametrize(
    ("severity", "confidence", "expected"),
    [
        (Severity.RED, 0.5, Severity.RED), (Severity.RED, 0.49, Severity.YELLOW), (Severity.ORANGE, 0.2, Severity.YELLOW),
        (Severity.YELLOW, 0.1, Severity.YELLOW), (Severity.GREEN, 0.1, Severity.GREEN),
    ],
)  # fmt: skip
def test_an_unsure_clue_is_at_most_yellow(severity, confidence, expected):
    assert rules.settle(severity, confidence) is expected


def test_margins_become_confidence():
    assert [rules.margin_confidence(m) for m in (-0.2, 0.0, 0.05, 0.1, 0.7)] == [0.5, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize(
    ("start_h", "end_h", "expected"),
    [
        (21, 22, False),
        (21, 22.1, True),
        (23, 23.5, True),
        (6, 7, False),
        (5.9, 7, True),
        (22, 30, True),
        (10, 12, False),
    ],
)
def test_night_is_half_open_at_both_ends(start_h, end_h, expected):
    midnight = datetime(2026, 11, 17, 16, 0, tzinfo=UTC)
    start, end = midnight + timedelta(hours=start_h), midnight + timedelta(hours=end_h)
    assert rules.touches_night(start, end, from_h=22, to_h=6) is expected


def test_explanations_are_due_so_many_workdays_on_at_the_same_time():
    workdays = [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 23)]
    assert rules.due_at(NINE, number=1, workdays=workdays) == NINE + timedelta(days=1)
    assert rules.due_at(NINE, number=3, workdays=workdays) == NINE + timedelta(days=5)
    assert rules.due_at(NINE, number=9, workdays=workdays) == NINE + timedelta(days=9)


def test_whoever_has_a_part_in_the_matter_does_not_decide_it():
    def refused(reviewer_id, **who):
        people = {"concerned_id": 1, "explainer_ids": [2], "order_people": [3, 4, None], **who}
        try:
            rules.check_reviewer(reviewer_id, **people)
        except NotAllowed as error:
            return error.code
        return None

    expected = {1: "findings.reviewer_concerned", 2: "findings.reviewer_explained", 3: "findings.reviewer_order",
                4: "findings.reviewer_order", None: "findings.reviewer_person", 5: None}  # fmt: skip
    assert {who: refused(who) for who in expected} == expected


def test_a_note_says_something():
    assert rules.check_text("  情况属实 ") == "情况属实"
    for text, code in (("  好 ", "findings.text_short"), ("x" * 2001, "findings.text_long")):
        with pytest.raises(RuleBroken) as broken:
            rules.check_text(text)
        assert broken.value.code == code


def test_only_a_missing_answer_is_overdue():
    assert rules.is_overdue("NOTIFIED", NINE, NINE + timedelta(seconds=1))
    assert not rules.is_overdue("NOTIFIED", NINE, NINE)
    assert not rules.is_overdue("EXPLAINED", NINE, NINE + timedelta(days=9))


def test_figures_come_from_the_strictest_scope_in_force_and_a_missing_one_is_named():
    def row(code, value, path="/", since=date(2026, 1, 1), until=None):
        return rules.FigureRow(code, path, until, rules.Figure(value, "x", since, "s", None), stricter="higher")

    everywhere = [row(code, 1.0) for code in (*rules.FIGURES, *rules.SLA.values())]
    local = [row("A-01.min_km", 2.0, "/1/4/"), row("A-01.min_km", 3.0, "/1/", until=date(2026, 6, 1))]
    on = date(2026, 11, 18)
    assert rules.figures_on([*local, *everywhere], on=on, org_path="/1/4/9/")["A-01.min_km"].value == 2.0
    assert rules.figures_on([*everywhere, *local], on=on, org_path="/1/5/")["A-01.min_km"].value == 1.0
    assert rules.figures_on([*everywhere, *local], on=date(2026, 5, 31), org_path="/1/5/")["A-01.min_km"].value == 3.0
    looser = row("A-01.min_km", 0.5, "/1/5/")
    assert rules.figures_on([looser, *everywhere], on=on, org_path="/1/5/")["A-01.min_km"].value == 1.0
    relaxed = replace(looser, may_relax=True)
    assert rules.figures_on([relaxed, *everywhere], on=on, org_path="/1/5/")["A-01.min_km"].value == 0.5
    with pytest.raises(RuleBroken) as broken:
        rules.figures_on(everywhere[1:], on=on, org_path="/1/")
    assert broken.value.params["figure"] == rules.FIGURES[0]
