"""The way of a case: steps, incidents, deadlines, who may conclude, samples."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fleetapp.findings import workflow
from fleetapp.findings.workflow import ASIDE, OUTCOMES, TO_RECTIFY, ClearReason, FindingState, Incident, Share
from fleetapp.kit.errors import NotAllowed, RuleBroken

_S = FindingState
NINE = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def allowed(before, after) -> bool:
    try:
        workflow.check_step(before, after)
    except RuleBroken:
        return False
    return True


def test_an_outcome_stands_on_a_review_and_what_is_concluded_opens_by_reopening_only():
    for before, after in product([None, *_S], _S):
        if after in OUTCOMES:
            assert allowed(before, after) is (before is _S.BUREAU_REVIEWED)
        if after is _S.CLOSED:
            assert allowed(before, after) is (before in {_S.CLEARED, _S.RECTIFIED})
        if before in {*OUTCOMES, _S.RECTIFIED, _S.CLOSED} and allowed(before, after):
            assert after in {_S.CLOSED, _S.RECTIFIED, _S.REOPENED}
    assert not allowed(_S.EXPLAINED, _S.WITHDRAWN)
    assert not allowed(_S.NOTIFIED, _S.UNIT_VERIFIED)


class Case(RuleBasedStateMachine):
    """Takes any step the table allows and remembers the way."""

    def __init__(self):
        super().__init__()
        self.way = [_S.DETECTED]

    @rule(after=st.sampled_from(list(_S)))
    def step(self, after):
        before = self.way[-1]
        if allowed(before, after):
            self.way.append(after)
        else:
            assert after not in workflow.TRANSITIONS[before]

    @precondition(lambda self: self.way[-1] in workflow.GROUPS["to_review"])
    @rule()
    def conclude(self):
        if self.way[-1] is not _S.BUREAU_REVIEWED:
            self.step(_S.BUREAU_REVIEWED)
        self.step(_S.CONFIRMED)

    @invariant()
    def every_state_leads_on(self):
        assert workflow.TRANSITIONS[self.way[-1]]

    @invariant()
    def nothing_is_concluded_without_a_review_nor_reviewed_without_an_explanation_or_a_reopening(self):
        for before, after in pairwise(self.way):
            if after in OUTCOMES:
                assert before is _S.BUREAU_REVIEWED
        for place, state in enumerate(self.way):
            if state is _S.BUREAU_REVIEWED:
                assert {_S.EXPLAINED, _S.REOPENED} & set(self.way[:place])
            if state is _S.CLOSED:
                assert {_S.CLEARED, _S.RECTIFIED} & set(self.way[:place])

    @invariant()
    def what_people_answered_is_withdrawn_by_no_job(self):
        if self.way[-1] in ASIDE:
            assert self.way[-2] in workflow.UNTOUCHED


TestCase = Case.TestCase


def test_every_state_is_in_one_tab_of_the_queue():
    once = [state for name, states in workflow.GROUPS.items() if name != "open" for state in states]
    assert sorted(once) == sorted(_S)
    assert set(workflow.GROUPS["open"]) <= set(once)
    assert {before for before in workflow.TRANSITIONS if before} == set(_S)
    assert set(TO_RECTIFY) == set(OUTCOMES) - {_S.CLEARED}


# ---- people -------------------------------------------------------------------------------------------------------------


def test_whoever_has_a_part_in_the_matter_does_not_conclude_it():
    def refused(reviewer_id):
        try:
            workflow.check_reviewer(reviewer_id, concerned_ids=[1, 6], explainer_ids=[2], order_people=[3, 4, None])
        except NotAllowed as error:
            return error.code
        return None

    expected = {1: "findings.reviewer_concerned", 6: "findings.reviewer_concerned", 2: "findings.reviewer_explained",
                3: "findings.reviewer_order", 4: "findings.reviewer_order", None: "findings.reviewer_person", 5: None}  # fmt: skip
    assert {who: refused(who) for who in expected} == expected


def test_clearing_needs_a_reason_and_other_outcomes_keep_none():
    assert workflow.check_outcome(_S.CLEARED, ClearReason.ORDER_FOUND) is ClearReason.ORDER_FOUND
    assert workflow.check_outcome(_S.CONFIRMED, ClearReason.ORDER_FOUND) is None
    for outcome, reason, code in ((_S.CLEARED, None, "findings.no_reason"), (_S.CLOSED, None, "findings.no_outcome")):
        with pytest.raises(RuleBroken) as broken:
            workflow.check_outcome(outcome, reason)
        assert broken.value.code == code


def test_a_note_says_something():
    assert workflow.check_text("  情况属实 ") == "情况属实"
    for text, code in (("  好 ", "findings.text_short"), ("x" * 2001, "findings.text_long")):
        with pytest.raises(RuleBroken) as broken:
            workflow.check_text(text)
        assert broken.value.code == code


# ---- deadlines ----------------------------------------------------------------------------------------------------------


def test_explanations_are_due_so_many_workdays_on_at_the_same_time():
    workdays = [date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 23)]
    assert workflow.due_at(NINE, number=1, workdays=workdays) == NINE + timedelta(days=1)
    assert workflow.due_at(NINE, number=3, workdays=workdays) == NINE + timedelta(days=5)
    assert workflow.due_at(NINE, number=9, workdays=workdays) == NINE + timedelta(days=9)


def test_only_a_missing_answer_is_overdue():
    assert workflow.is_overdue("NOTIFIED", NINE, NINE + timedelta(seconds=1))
    assert workflow.is_overdue("DETECTED", NINE, NINE + timedelta(seconds=1))
    assert not workflow.is_overdue("NOTIFIED", NINE, NINE)
    assert not workflow.is_overdue("EXPLAINED", NINE, NINE + timedelta(days=9))


# ---- incidents ----------------------------------------------------------------------------------------------------------


def clue(number, start_min, end_min, family="A", rank=1, **more) -> Incident:
    return Incident(number, family, rank, NINE + start_min * MINUTE, NINE + end_min * MINUTE, **more)


@pytest.mark.parametrize(("gap_min", "together"), [(0, True), (29, True), (30, False), (31, False)])
def test_less_than_half_an_hour_apart_is_one_incident(gap_min, together):
    one, other = clue(1, 0, 10), clue(2, 10 + gap_min, 60 + gap_min)
    assert (len(workflow.grouped([one, other])) == 1) is together
    if together:
        assert workflow.merged_into([one, other]) == {2: 1}


def test_other_families_near_in_time_and_clues_of_one_trip_or_order_form_a_case_without_merging():
    night = clue(2, 12, 20, family="E")
    same_trip = clue(3, 500, 510, trip_ids=frozenset([7]))
    first = clue(1, 0, 10, trip_ids=frozenset([7]), order_id=5)
    same_order = clue(4, 2000, 2010, family="B", order_id=5)
    alone = clue(5, 5000, 5010)
    groups = workflow.grouped([alone, same_order, night, same_trip, first])
    assert [[one.id for one in group] for group in groups] == [[1, 2, 3, 4], [5]]
    assert workflow.merged_into(groups[0]) == {}


def test_the_gravest_stands_and_then_the_first():
    chain = [clue(1, 0, 10), clue(2, 15, 20, rank=3), clue(3, 22, 30, rank=3), clue(4, 100, 110)]
    assert workflow.merged_into(chain) == {1: 2, 3: 2}


spans = st.lists(
    st.tuples(
        st.integers(0, 600),
        st.integers(1, 60),
        st.sampled_from("ABE"),
        st.integers(0, 3),
        st.sampled_from([None, 1, 2]),
    ),
    max_size=7,
)


@given(spans)
def test_grouping_does_not_depend_on_the_order_and_loses_nothing(rows):
    clues = [
        clue(n, start, start + long, family, rank, order_id=order)
        for n, (start, long, family, rank, order) in enumerate(rows)
    ]
    groups = workflow.grouped(clues)
    assert sorted(one.id for group in groups for one in group) == [one.id for one in clues]
    for shuffled in list(permutations(clues))[:20]:
        assert workflow.grouped(shuffled) == groups
    for group, other in product(groups, groups):
        if group is not other:
            assert not any(workflow.linked(one, two) for one in group for two in other)
    for group in groups:
        merged = workflow.merged_into(group)
        assert not set(merged) & set(merged.values())
        assert len(merged) < len(group)


# ---- samples ------------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(1, 10**9), max_size=60), st.text(max_size=8))
def test_a_sample_is_the_same_again_for_the_same_seed(ids, seed):
    drawn = workflow.sample(ids, seed=seed, share=0.02)
    assert drawn == workflow.sample(sorted(ids, reverse=True), seed=seed, share=0.02)
    assert set(drawn) <= ids
    assert len(drawn) == workflow.sample_size(len(ids), 0.02) == min(len(ids), -(-len(ids) // 50))


def test_another_seed_draws_others():
    ids = range(1000)
    assert workflow.sample(ids, seed="2026-10|7|ab", share=0.02) != workflow.sample(
        ids, seed="2026-10|8|cd", share=0.02
    )


def test_a_share_knows_how_sure_it_is():
    """Wilson's interval for 5 of 50, from the formula by hand: 0.0434..0.2136."""
    assert Share(5, 50).value == 0.1
    assert Share(5, 50).interval == pytest.approx((0.0434, 0.2136), abs=2e-4)
    assert (Share(0, 0).value, Share(0, 0).interval) == (None, None)
    assert Share(0, 40).interval[0] == 0.0


# ---- who was near -------------------------------------------------------------------------------------------------------


def test_the_nearest_pass_lies_between_positions_and_has_its_moment():
    """Ten minutes due east along a parallel, passing 111.2 m south of the point in the middle."""
    track = [(NINE, 30.274, 120.16), (NINE + 10 * MINUTE, 30.274, 120.17)]
    metres, at = workflow.nearest_pass(track, lat=30.275, lon=120.165)
    assert metres == pytest.approx(111.2, abs=0.2)
    assert abs(at - (NINE + 5 * MINUTE)) < timedelta(seconds=1)
    assert workflow.nearest_pass(track[:1], lat=30.274, lon=120.16) == (0.0, NINE)
    assert workflow.nearest_pass([], lat=30.0, lon=120.0) is None
