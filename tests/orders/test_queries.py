"""What lists show to whom, and how they are narrowed."""

from datetime import timedelta

from fleetapp.kit.actor import SYSTEM
from fleetapp.orders import queries, service
from fleetapp.orders.models import TravelOrder


def test_lists_reach_as_far_as_the_permission_table(submit, database, acting):
    mine, theirs, water = submit(), submit("unit_admin.xhedu"), submit("applicant.bjwater")
    seen = {
        "applicant.xhedu": {mine}, "unit_admin.xhedu": {mine, theirs}, "approver.xhedu": {mine, theirs},
        "dispatcher.xihu": {mine, theirs}, "auditor.binjiang": {water}, "leader.city": {mine, theirs, water},
        "applicant.xhhealth": set(), "approver.xhhealth": set(), "driver.xhedu": set(), "system_admin.city": set(),
    }  # fmt: skip
    for username, expected in seen.items():
        actor = acting(username)
        with database.transaction(actor) as session:
            assert {order.id for order in session.scalars(queries.visible_to(actor))} == expected, username
            assert queries.readable(session, order_ids=[mine, theirs, water], actor=actor) == expected, username


def test_the_unit_that_serves_an_order_sees_it(submit, step, read, session_as, acting, database):
    order_id = submit()
    step(service.approve, "approver.xhedu", order_id)
    binjiang, holder_id = acting("dispatcher.binjiang"), acting("applicant.bjwater").org_id
    with session_as("dispatcher.binjiang") as session:
        assert session.scalars(queries.visible_to(binjiang)).all() == []
    with database.transaction(SYSTEM) as session:
        session.get(TravelOrder, order_id).serving_org_id = holder_id
    order = read("dispatcher.binjiang", order_id)
    assert (len(order.stops), len(order.events)) == (2, 2)


def test_lists_are_narrowed_and_counted(submit, step, session_as, acting, now):
    waiting, approved = (
        submit(reason="全市教育大会"),
        submit(
            passengers="教研员丙", start_at=now + timedelta(days=1, hours=4), end_at=now + timedelta(days=1, hours=5)
        ),
    )
    step(service.approve, "approver.xhedu", approved)
    actor = acting("dispatcher.xihu")
    with session_as("dispatcher.xihu") as session:

        def found(**how):
            return {order.id for order in session.scalars(queries.filtered(queries.visible_to(actor), **how))}

        assert found(group="to_approve") == found(state="SUBMITTED") == found(q="教育大会") == {waiting}
        assert found(q="教研员丙") == found(start=now + timedelta(days=1)) == found(group="to_dispatch") == {approved}
        assert found(q="yc20261118") == found(q="APPLICANT.xhedu") == {waiting, approved}
        assert found(q="%") == found(kind="service") == set()
        counts = queries.count_by_group(session, queries.filtered(queries.visible_to(actor)))
        assert counts == {"to_approve": 1, "to_dispatch": 1, "under_way": 0, "to_confirm": 0, "over": 0, "all": 2}
        window = {"actor": actor, "start": now + timedelta(days=1), "end": now + timedelta(days=2)}
        assert [order.id for order in queries.approved_waiting(session, **window)] == [approved]
        assert queries.approved_waiting(session, actor=actor, start=now, end=now + timedelta(days=1)) == []


def test_an_order_is_found_by_the_plate_that_was_sent(submit, step, database, acting, dispatched):
    sent, _other = submit(), submit()
    step(service.approve, "approver.xhedu", sent)
    dispatched(sent)
    actor = acting("applicant.xhedu")
    with database.transaction(actor) as session:
        assert [order.id for order in session.scalars(queries.filtered(queries.visible_to(actor), q="浙a10001"))] == [
            sent
        ]
