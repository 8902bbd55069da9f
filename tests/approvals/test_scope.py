"""Row-level security of approval: by raw SQL a foreign district sees and writes nothing; who is asked sees what they decide."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.kit.actor import SYSTEM
from fleetapp.orders import changes, service

TABLES = ("approval_case", "approval_task", "approval_step", "order_change")


@pytest.fixture
def made(submit, step, acting, database, now):
    """Return an approved order with a change under way."""
    order_id = submit()
    step(service.approve, "approver.xhedu", order_id)
    actor = acting("applicant.xhedu")
    with database.transaction(actor) as session:
        changes.request(session, order_id=order_id, reason="增加一人", actor=actor, now=now, passenger_count=3)
    return order_id


def counts(database, actor):
    with database.transaction(actor) as session:
        return [session.scalar(text(f"SELECT count(*) FROM {name}")) for name in TABLES]


@pytest.mark.parametrize("username", ["dispatcher.binjiang", "auditor.binjiang", "unit_admin.bjwater"])
def test_another_district_sees_nothing(made, database, acting, username):
    assert counts(database, acting(username)) == [0, 0, 0, 0]
    assert counts(database, acting("applicant.xhedu")) == counts(database, SYSTEM) == [2, 2, 1, 1]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO approval_chain (org_id, version, valid_from, note, published_at) SELECT org_id, 9, '2030-01-01', 'x', now() FROM user_account WHERE username = 'applicant.xhedu'",
        "INSERT INTO approval_delegation (org_id, delegator_id, during, created_at) SELECT org_id, id, tstzrange(now(), now() + interval '1 day'), now() FROM user_account WHERE username = 'approver.xhedu'",
        "INSERT INTO approval_case (org_id, chain_id, subject, subject_id, number, barred_ids, facts, state, opened_at, version) SELECT u.org_id, c.id, 'order', 0, 'x', ARRAY[u.id], '{}', 'OPEN', now(), 1 FROM user_account u, approval_chain c WHERE u.username = 'applicant.xhedu' LIMIT 1",
    ],
)
def test_another_district_writes_nothing(made, database, acting, statement):
    with (
        pytest.raises(DBAPIError, match="row-level security"),
        database.transaction(acting("dispatcher.binjiang")) as session,
    ):
        session.execute(text(statement))


def test_a_deputy_from_elsewhere_sees_what_they_stand_in_for_and_no_more(submit, away, database, acting, now):
    mine, other = submit(), submit("applicant.xhhealth")
    deputy = acting("approver.bjwater")
    read = text("SELECT id FROM travel_order")
    with database.transaction(deputy) as session:
        assert session.scalars(read).all() == []
    away("approver.xhedu", now, now + timedelta(days=1), deputy="approver.bjwater")
    with database.transaction(deputy) as session:
        assert session.scalars(read).all() == [mine]
        assert other not in session.scalars(text("SELECT order_id FROM order_stop")).all()
