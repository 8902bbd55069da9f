"""Random people decide random things on a real order: signatures, owner, exit and audit hold after every step."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from fleetapp.approvals import queries as approvals
from fleetapp.approvals.rules import CaseState, Level, TaskState, Verdict
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import FleetError
from fleetapp.orders import queries, service

PEOPLE = ["applicant.xhedu", "approver.xhedu", "unit_admin.xhedu", "vehicle_office.city", "leader.city"]
VERDICTS = [Verdict.AGREE, Verdict.AGREE, Verdict.AGREE, Verdict.STEP_BACK, Verdict.ADD_BEFORE, Verdict.ADD_AFTER, Verdict.TRANSFER,
            Verdict.SEND_BACK, Verdict.REJECT]  # fmt: skip


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(VERDICTS), st.sampled_from(PEOPLE)), max_size=8),
    goes_well=st.booleans(),
)
def test_no_order_of_decisions_breaks_a_case(database, acting, application, now, moves, goes_well, people, chained):
    with database.transaction(people[PEOPLE[0]]) as session:
        order_id = service.submit(session, **application(), actor=people[PEOPLE[0]], now=now).id
    if goes_well:
        moves = [*moves, *((name, Verdict.AGREE, name) for name in PEOPLE * 2)]
    for name, verdict, other in moves:
        before = _audited(database)
        try:
            with database.transaction(people[name]) as session:
                service.decide(session, order_id=order_id, verdict=verdict, actor=people[name], now=now, note="意见",
                               person_id=people[other].user_id)  # fmt: skip
        except FleetError:
            assert _audited(database) == before
        with database.transaction(SYSTEM) as session:
            order = queries.get_order(session, order_id=order_id, actor=SYSTEM)
            case = approvals.get_case(session, case_id=order.approval_case_id)
            applicant_id = people[PEOPLE[0]].user_id
            assert all(applicant_id not in {step.user_id, step.for_id, step.to_id} for step in case.steps)
            row = approvals.open_task(case)
            assert (row is not None) == (case.state == CaseState.OPEN) == (order.state in {"SUBMITTED", "APPROVING"})
            if row is not None:
                assert set(row.user_ids) - {applicant_id}
            if order.state == "APPROVED":
                living = [task for task in case.tasks if task.state != TaskState.REDONE]
                assert all(task.state == TaskState.AGREED and task.value().complete for task in living)
                assert {task.level for task in living} == {0, 1}
            assert len(case.steps) <= _audited(database)


@pytest.fixture
def people(acting):
    """Return the actors by username."""
    return {name: acting(name) for name in PEOPLE}


@pytest.fixture
def chained(chain, grant):
    """Two levels: both approvers of the unit together, then the bureau's office."""
    grant("unit_admin.xhedu", "approver", "330106-EDU")
    return chain(
        Level("会签", role="approver", mode="all"),
        Level("车管机构", role="vehicle_office", place="bureau", over_m=1_000),
    )


def _audited(database):
    with database.transaction(SYSTEM) as session:
        return session.scalar(text("SELECT count(*) FROM audit_entry WHERE action LIKE 'approvals.%'"))
