"""A confidential order exists for few: through the lists, the pages, the API, exports and raw SQL."""

import pytest
from sqlalchemy import select, text

from fleetapp.applications import service
from fleetapp.kit.errors import NotFound
from fleetapp.orders import queries
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderKind, Purpose

SECRET = "绝密文件递送"
MAY = ["applicant.xhedu", "approver.xhedu", "dispatcher.xihu", "dispatcher.city", "auditor.city", "auditor.xihu"]
MAY_NOT = ["unit_admin.xhedu", "fleet_manager.xihu", "fleet_manager.city", "vehicle_office.city", "leader.city", "finance.city",
           "approver.xhhealth", "dispatcher.binjiang", "driver.xhedu", "applicant.xhhealth"]  # fmt: skip
EVERYWHERE = [
    "/",
    "/orders",
    "/orders?q=绝密",
    "/orders?kind=confidential",
    "/planning",
    "/orders/new",
    "/trips",
    "/findings",
]


@pytest.fixture
def secret(apply) -> TravelOrder:
    """An order of the education bureau, this afternoon."""
    return apply(
        kind=OrderKind.CONFIDENTIAL, purpose=Purpose.DOCUMENTS, reason=SECRET, passengers="机要员甲", passenger_count=1
    )


@pytest.fixture
def sent(secret, assign, step):
    """The same with a vehicle and a driver."""
    from fleetapp.orders import service as orders

    step(orders.approve, "approver.xhedu", secret.id)
    assign(secret.id)
    return secret


@pytest.mark.parametrize("username", [*MAY, *MAY_NOT])
def test_only_the_few_find_it_in_lists_and_by_raw_sql(secret, database, acting, username):
    actor, seen = acting(username), username in MAY
    with database.transaction(actor) as session:
        assert (session.scalars(queries.visible_to(actor)).all() != []) is seen
        assert (secret.id in queries.readable(session, order_ids=[secret.id], actor=actor)) is seen
        assert (queries.count_by_group(session, queries.visible_to(actor))["all"] == 1) is seen
        for table in ("travel_order", "order_stop", "order_event"):
            assert (session.scalar(text(f"SELECT count(*) FROM {table}")) > 0) is seen, table
        if not seen:
            assert session.execute(text("UPDATE travel_order SET reason = 'x'")).rowcount == 0
            with pytest.raises(NotFound):
                queries.get_order(session, order_id=secret.id, actor=actor)


@pytest.mark.parametrize("username", [name for name in MAY_NOT if not name.startswith("driver")])
def test_no_page_and_no_answer_of_the_api_tells_it(sent, browse, api, username):
    client, call = browse(username), api(username)
    for path in EVERYWHERE:
        page = client.get(path, follow_redirects=True).get_data(as_text=True)
        assert SECRET not in page, path
        assert "机要员甲" not in page, path
    assert client.get(f"/orders/{sent.id}").status_code in {403, 404}
    assert client.get(f"/orders/{sent.id}/trip").status_code in {403, 404}
    assert call("GET", f"/orders/{sent.id}").status_code in {403, 404}
    assert SECRET not in call("GET", "/orders").get_data(as_text=True)


def test_the_driver_sent_reads_it_and_another_driver_does_not(sent, database, acting):
    for username, count in [("driver.xhedu", 1), ("driver2.xhedu", 0)]:
        driver = acting(username)
        with database.transaction(driver) as session:
            assert len(session.scalars(select(TravelOrder.id)).all()) == count, username


def test_the_vehicle_counts_as_taken_for_those_who_do_not_see_why(sent, database, acting, api):
    query = "start_at=2026-11-18T13:00&end_at=2026-11-18T16:00&passenger_count=2"
    assert api("applicant.xhhealth")("GET", f"/orders/answer?{query}").json["free"] == 3


def test_its_papers_are_as_secret_as_the_order(secret, database, acting, now, browse):
    applicant = acting("applicant.xhedu")
    with database.transaction(applicant) as session:
        paper = service.attach(session, order_id=secret.id, label="notice", name="x.pdf", content=b"%PDF-secret", actor=applicant,
                               now=now)  # fmt: skip
    for username in ("unit_admin.xhedu", "fleet_manager.xihu", "leader.city"):
        assert browse(username).get(f"/attachments/{paper.id}").status_code in {403, 404}, username
    assert browse("approver.xhedu").get(f"/attachments/{paper.id}").status_code == 200
