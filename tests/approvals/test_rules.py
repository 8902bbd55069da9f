"""Levels by facts, what a change touches, and the case as a machine that hypothesis plays."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleetapp.approvals import rules
from fleetapp.approvals.rules import CaseState, Facts, Level, Task, TaskState
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.orders import cases

PEOPLE = range(1, 7)
BARRED = frozenset({1, 2})
UNIT, FAR, NIGHT = (
    Level("a", role="approver"),
    Level("b", role="leader", over_m=50_000, areas=("beyond",)),
    Level("c", role="leader", flags=("night",)),
)
LEVELS = [UNIT, FAR, NIGHT]


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        (Facts("ordinary"), [0]),
        (Facts("ordinary", 50_000, "city"), [0]),
        (Facts("ordinary", 50_001), [0, 1]),
        (Facts("ordinary", 1, "beyond"), [0, 1]),
        (Facts("ordinary", 60_000, "beyond", frozenset({"night", "overnight"})), [0, 1, 2]),
    ],
)
def test_levels_are_needed_by_any_of_their_conditions(facts, wanted):
    assert rules.needed(LEVELS, facts) == wanted
    assert rules.needed([FAR, NIGHT], Facts("ordinary")) == [0]


@pytest.mark.parametrize(
    ("after", "first", "wanted"),
    [
        (Facts("ordinary", 40_000), True, [0]),
        (Facts("ordinary", 40_000), False, []),
        (Facts("ordinary", 70_000), True, [0, 1]),
        (Facts("ordinary", 40_000, flags=frozenset({"night"})), False, [2]),
    ],
)
def test_a_change_touches_what_is_new_or_has_grown(after, first, wanted):
    assert rules.touched(LEVELS, Facts("ordinary", 30_000), after, first=first) == wanted
    assert rules.touched(LEVELS, Facts("ordinary", 60_000), Facts("ordinary", 55_000), first=False) == []
    assert rules.touched(LEVELS, Facts("ordinary", 60_000), Facts("ordinary", 65_000), first=False) == [1]


@pytest.mark.parametrize(
    ("start_h", "end_h", "touches"),
    [(9, 18, False), (6, 22, False), (5, 9, True), (21, 22.5, True), (20, 32, True), (22, 23, True), (0, 1, True)],
)
def test_the_night_is_from_ten_to_six_half_open(start_h, end_h, touches):
    midnight = datetime(2026, 11, 18, tzinfo=UTC)
    start, end = midnight + timedelta(hours=start_h), midnight + timedelta(hours=end_h)
    assert cases.touches_night(start, end, from_h=22, to_h=6) is touches


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([], "no_levels"), ([UNIT] * 7, "too_many_levels"), ([FAR], "first_conditional"), ([Level("x")], "no_signer"),
        ([Level("x", role="leader", user_ids=(3,))], "no_signer"),
    ],
)  # fmt: skip
def test_a_chain_that_no_order_could_go_through_is_refused(levels, code):
    with pytest.raises(RuleBroken, match=code):
        rules.check_chain(levels)


def test_a_late_order_goes_to_the_bureau_whatever_the_chain_says():
    late = Facts("emergency", flags=frozenset({"late"}))
    assert [level.place for _, level in rules.with_escalation([(0, UNIT)], late)] == ["unit", "bureau"]
    office = Level("x", role="vehicle_office", place="bureau")
    assert len(rules.with_escalation([(0, UNIT), (1, office)], late)) == 2
    assert len(rules.with_escalation([(0, UNIT)], Facts("emergency"))) == 1


class Case(RuleBasedStateMachine):
    """A case with levels signed by one or by all; people agree, refuse, give back, add, hand over, in any order."""

    @initialize(modes=st.lists(st.sampled_from(["any", "all"]), min_size=1, max_size=4), data=st.data())
    def begin(self, modes, data):
        self.log, self.state, self.seats = [], CaseState.OPEN, []
        tasks = []
        for at, mode in enumerate(modes):
            people = data.draw(st.sets(st.sampled_from(PEOPLE), min_size=1, max_size=3))
            kept, _ = rules.seats(sorted(people), barred=BARRED, away=())
            tasks.append(Task(at, f"level {at}", level=at, mode=mode, user_ids=kept or (6,)))
        self.levels = len(modes)
        self.tasks = tuple(tasks)
        self.number = len(tasks)
        self.go_on()

    def go_on(self):
        at = rules.next_waiting(self.tasks)
        if at is not None and self.state is CaseState.OPEN:
            self.tasks = rules.opened(self.tasks, at, self.tasks[at].user_ids)
        if rules.state_of(self.tasks) is CaseState.AGREED:
            self.state = CaseState.AGREED

    def named(self):
        """Give new tasks an identity, as the database does."""
        fresh = iter(range(self.number, self.number + len(self.tasks)))
        self.tasks = tuple(replace(task, id=next(fresh)) if task.id is None else task for task in self.tasks)
        self.number = next(fresh)

    def may(self, user_id, principals=()):
        task = rules.open_task(self.tasks)
        try:
            rules.check_hand(user_id, barred=BARRED)
        except NotAllowed:
            return None
        return rules.in_whose_name(task, user_id=user_id, principals=set(principals) - BARRED)

    @precondition(lambda self: self.state is CaseState.OPEN)
    @rule(user_id=st.sampled_from(PEOPLE), principals=st.sets(st.sampled_from(PEOPLE), max_size=2))
    def agree(self, user_id, principals):
        for_id = self.may(user_id, principals)
        if for_id is not None:
            self.tasks = rules.agree(self.tasks, user_id=user_id, for_id=for_id)
            self.log.append((user_id, for_id))
            self.go_on()

    @precondition(lambda self: self.state is CaseState.OPEN)
    @rule(
        user_id=st.sampled_from(PEOPLE),
        other=st.sampled_from(PEOPLE),
        what=st.sampled_from(["before", "after", "transfer", "back"]),
    )
    def pass_on(self, user_id, other, what):
        for_id = self.may(user_id)
        if for_id is None:
            return
        before = self.tasks
        try:
            if what == "transfer":
                self.tasks = rules.transfer(self.tasks, from_id=for_id, person_id=other, barred=BARRED)
            elif what == "back":
                self.tasks = rules.step_back(self.tasks)
            else:
                self.tasks = rules.add_sign(
                    self.tasks, person_id=other, before=what == "before", name="added", barred=BARRED
                )
        except RuleBroken:
            assert self.tasks == before
            return
        assert what == "back" or other not in BARRED
        self.named()
        self.go_on()

    @precondition(lambda self: self.state is CaseState.OPEN)
    @rule(
        user_id=st.sampled_from(PEOPLE),
        state=st.sampled_from([CaseState.REJECTED, CaseState.RETURNED, CaseState.ENDED]),
    )
    def end(self, user_id, state):
        if user_id == 5 and (state is CaseState.ENDED or self.may(user_id) is not None):
            self.tasks, self.state = rules.ended(self.tasks), state

    @precondition(lambda self: self.state is not CaseState.OPEN)
    @rule(user_id=st.sampled_from(PEOPLE))
    def nothing_more(self, user_id):
        for decide in (
            lambda: rules.agree(self.tasks, user_id=user_id, for_id=user_id),
            lambda: rules.step_back(self.tasks),
        ):
            with pytest.raises(RuleBroken, match="not_open"):
                decide()

    @invariant()
    def agreed_only_with_every_signature(self):
        if self.state is CaseState.AGREED:
            living = [task for task in self.tasks if task.state != TaskState.REDONE]
            assert {task.level for task in living} == set(range(self.levels))
            assert all(task.state == TaskState.AGREED and task.complete for task in living)
            assert all(set(task.user_ids) <= task.signed for task in living if task.mode == "all")

    @invariant()
    def nobody_signs_their_own_or_twice(self):
        assert not {one for pair in self.log for one in pair} & BARRED
        assert all(len(task.hands) == len(task.signed) for task in self.tasks)

    @invariant()
    def an_open_case_has_one_owner_and_an_exit(self):
        if self.state is CaseState.OPEN:
            found = [task for task in self.tasks if task.state == TaskState.OPEN]
            assert len(found) == 1
            left = set(found[0].user_ids) - found[0].signed
            assert left - BARRED
            assert rules.open_task(rules.ended(self.tasks)) is None
        assert len(self.tasks) <= rules.LONGEST_CASE


TestCase = Case.TestCase
TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
