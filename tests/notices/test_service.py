"""Everybody's own notices, the care of deliveries, and who is told when an order moves."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.notices import outbox, queries, service
from fleetapp.notices.models import Notice, NoticeDelivery
from fleetapp.notices.rules import ChannelName
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.planning import jobs as planning_jobs
from fleetapp.planning import service as planning
from tests import world
from tests.notices.conftest import LIMITS
from tests.planning.conftest import approve_one, ids, policy_figures

__all__ = ["policy_figures"]


@pytest.fixture(autouse=True)
def at_nine(monkeypatch, now):
    """The office clock stands at the world's nine o'clock."""
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)


def told(database, username):
    """Return the codes and parameters of a person's notices, the oldest first."""
    with database.transaction(SYSTEM) as session:
        query = select(Notice).where(Notice.user_id == world.user_id(database, username)).order_by(Notice.id)
        return [(notice.code, notice.params) for notice in session.scalars(query)]


def codes(database, username):
    return [code.rpartition(".")[2] for code, _ in told(database, username)]


@pytest.fixture
def tell(database, now):
    def run(username="driver.xhedu", key="k", by="applicant.xhedu", **more):
        actor = world.actor(database, by)
        params = {"number": "YC-1", "start": "11-18 13:00", "to": "西湖国宾馆", "note": "–"}
        with database.transaction(actor) as session:
            service.notify(session, to=[world.user_id(database, username)], code="orders.notice.dispatched", params=params, link="/orders/1",
                           key=key, now=now, **more)  # fmt: skip

    return run


def test_who_is_told_when_an_order_moves(database, now):
    order_id = approve_one(database, now)
    assert codes(database, "approver.xhedu")[0] == "asked"
    assert codes(database, "applicant.xhedu") == ["approve"]
    known, dispatcher = ids(database), world.actor(database, "dispatcher.xihu")
    car = {"vehicle_id": known["浙A10001"], "driver_id": known["driver.xhedu"]}
    for _ in range(2):  # the same again tells nobody anew
        with database.transaction(dispatcher) as session:
            planning.assign(session, order_id=order_id, **car, actor=dispatcher, now=now)
    assert codes(database, "driver.xhedu") == ["assigned"]
    assert told(database, "driver.xhedu")[0][1]["to"] == "西湖国宾馆"
    with database.transaction(dispatcher) as session:
        planning.release(session, order_id=order_id, reason="车辆送修", actor=dispatcher, now=now)
    with database.transaction(dispatcher) as session:
        planning.assign(session, order_id=order_id, **car, actor=dispatcher, now=now)
    applicant = world.actor(database, "applicant.xhedu")
    with database.transaction(applicant) as session:
        planning.cancel(session, order_id=order_id, reason="会议改期", actor=applicant, now=now)
    assert codes(database, "driver.xhedu") == ["assigned", "taken_back", "assigned", "taken_back"]
    assert codes(database, "applicant.xhedu") == [
        "approve",
        "dispatched",
        "released",
        "dispatched",
    ]  # the own cancelling is no news
    assert told(database, "applicant.xhedu")[2][1]["note"] == "车辆送修"
    assert codes(database, "driver2.xhedu") == codes(database, "approver.xhhealth") == []


def test_of_a_confidential_order_no_more_than_the_number_is_told(database, now):
    order_id = approve_one(database, now, kind=OrderKind.CONFIDENTIAL, purpose=Purpose.DOCUMENTS)
    known, dispatcher = ids(database), world.actor(database, "dispatcher.xihu")
    with database.transaction(dispatcher) as session:
        planning.assign(
            session,
            order_id=order_id,
            vehicle_id=known["浙A10001"],
            driver_id=known["driver.xhedu"],
            actor=dispatcher,
            now=now,
        )
    [(_, params)] = told(database, "driver.xhedu")
    assert set(params.values()) - {params["number"]} == {"***"}
    with database.transaction(SYSTEM) as session:
        assert set(session.scalars(select(Notice.confidential))) == {True}


def test_a_driver_who_does_not_accept_is_told_to_the_dispatcher_once(database, now):
    order_id = approve_one(database, now)
    known, dispatcher = ids(database), world.actor(database, "dispatcher.xihu")
    with database.transaction(dispatcher) as session:
        planning.assign(
            session,
            order_id=order_id,
            vehicle_id=known["浙A10001"],
            driver_id=known["driver.xhedu"],
            actor=dispatcher,
            now=now,
        )
    assert planning_jobs.remind_unaccepted(database, now + timedelta(minutes=9)) == {"unaccepted": 0}
    for minutes in (10, 11):
        planning_jobs.remind_unaccepted(database, now + timedelta(minutes=minutes))
    assert codes(database, "dispatcher.xihu") == ["unaccepted"]
    assert "浙A10001" in told(database, "dispatcher.xihu")[0][1]["note"]


def test_only_ones_own_are_read_whatever_way_is_tried(browse, api, database, tell, now):
    tell(), tell(key="second")
    with database.transaction(SYSTEM) as session:
        notice_id = session.scalars(select(Notice.id).order_by(Notice.id)).first()
    other = world.actor(database, "driver2.xhedu")
    with pytest.raises(NotFound), database.transaction(other) as session:
        service.mark_read(session, notice_id=notice_id, actor=other, now=now)
    assert api("driver2.xhedu")("POST", f"/notices/{notice_id}/reading").status_code == 404
    assert browse("driver2.xhedu").submit(f"/notices/{notice_id}/read").status_code == 404
    with database.transaction(other) as session:
        assert session.execute(text("UPDATE notice SET read_at = now()")).rowcount == 0
        assert session.execute(text("SELECT count(*) FROM notice")).scalar_one() == 0
        assert session.execute(text("SELECT count(*) FROM notice_delivery")).scalar_one() == 0
    client = browse("driver.xhedu")
    page = client.get("/notices?unread=true").get_data(as_text=True)
    assert page.count("已派车：–") == 2
    assert 'aria-label="消息，2 条未读"' in page
    assert 'hx-trigger="every 60s"' in page
    opened = client.submit(f"/notices/{notice_id}/read")
    assert (opened.status_code, opened.location) == (302, "/orders/1")
    assert "消息，1 条未读" in client.get("/notices/bell").get_data(as_text=True)
    call = api("driver.xhedu")
    listed = call("GET", "/notices?unread=true")
    assert [row["text"] for row in listed.json] == ["用车单 YC-1（11-18 13:00 去 西湖国宾馆）已派车：–"]
    assert call("POST", f"/notices/{listed.json[0]['id']}/reading").json["read_at"] is not None
    client.submit("/notices/read-all")
    assert "没有未读消息" in client.get("/notices?unread=true").get_data(as_text=True)
    assert "没有消息" in browse("applicant.bjwater").get("/notices").get_data(as_text=True)


def test_the_bell_costs_one_query_and_keeps_no_sign_in_open(browse, tell, monkeypatch, now, database):
    tell()
    client = browse("driver.xhedu")
    late = now + timedelta(minutes=20)
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: late)
    assert client.get("/notices/bell").status_code == 200
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now + timedelta(minutes=31))
    assert client.get("/notices/bell").status_code in {302, 401}
    with database.transaction(SYSTEM) as session:
        seen = session.execute(text("SELECT max(last_seen_at) FROM sign_in")).scalar_one()
    assert seen == now


def test_choices_are_kept_and_a_wrong_address_is_told_beside_its_field(browse, database):
    client = browse("driver.xhedu")
    assert "消息设置" in client.get("/notices/choices").get_data(as_text=True)
    wrong = client.submit("/notices/choices", on=["orders.mail"], mail="nobody", chat="")
    assert wrong.status_code == 422
    assert "邮箱格式不正确" in wrong.get_data(as_text=True)
    assert (
        client.submit("/notices/choices", on=["orders.mail"], mail="driver@example.gov.cn", chat="").status_code == 302
    )
    who = world.user_id(database, "driver.xhedu")
    with database.transaction(SYSTEM) as session:
        assert queries.choices_of(session, user_ids=[who])[who]["orders", "mail"] is True
        assert queries.addresses_of(session, user_ids=[who])[who, "mail"] == "driver@example.gov.cn"
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "notices.chosen")).one()
        assert entry.data["addresses"] == {"mail": "dr***@example.gov.cn"}
    client.submit("/notices/choices", mail="", chat="")
    with database.transaction(SYSTEM) as session:
        assert queries.addresses_of(session, user_ids=[who]) == {}


def test_routes_are_the_whole_citys_to_set(browse, database, acting, now):
    client = browse("system_admin.city")
    assert client.submit("/notices/routes", on=["orders.sms", "planning.chat"]).status_code == 302
    page = client.get("/notices/routes").get_data(as_text=True)
    assert page.count(" checked") == 2
    for username in ("system_admin.xihu", "fleet_manager.city", "driver.xhedu"):
        assert browse(username).submit("/notices/routes", on=[]).status_code == 403
    admin = acting("system_admin.xihu")
    with pytest.raises(NotAllowed), database.transaction(admin) as session:
        service.set_routes(session, choices={("orders", ChannelName.SMS): False}, actor=admin, now=now)
    with database.transaction(admin) as session:
        assert session.execute(text("UPDATE notice_route SET enabled = false")).rowcount == 0
        assert queries.routes(session)["orders", "sms"] is True
    with pytest.raises(ProgrammingError, match="row-level security"), database.transaction(admin) as session:
        session.execute(text("INSERT INTO notice_route (category, channel, enabled) VALUES ('duty', 'sms', true)"))
    with database.transaction(SYSTEM) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "notices.routed")).one()
        assert entry.data["changed"] == {"orders.sms": True, "planning.chat": True}


def test_deliveries_are_looked_after_by_unit_with_a_reason_on_record(browse, api, database, acting, tell, now):
    root = acting("system_admin.city")
    with database.transaction(root) as session:
        service.set_routes(session, choices={("orders", ChannelName.SMS): True}, actor=root, now=now)
    tell(), tell("driver.bjwater")
    with database.transaction(SYSTEM) as session:
        outbox.route(session, channels=[ChannelName.SMS], limits=LIMITS, now=now)
        mine, theirs = session.scalars(select(NoticeDelivery.id).order_by(NoticeDelivery.id)).all()
    client, manager = browse("fleet_manager.xihu"), api("fleet_manager.xihu")
    page = client.get("/notices/deliveries").get_data(as_text=True)
    assert "该渠道没有联系方式" in page
    assert "西湖区教育局" in page
    assert "滨江" not in page
    assert "西湖国宾馆" not in page
    assert [row["id"] for row in manager("GET", "/notice-deliveries").json] == [mine]
    assert client.submit(f"/notices/deliveries/{mine}/retry").status_code == 422
    assert client.submit(f"/notices/deliveries/{mine}/retry", reason="已补手机号").status_code == 302
    assert client.submit(f"/notices/deliveries/{theirs}/retry", reason="已补手机号").status_code == 404
    assert (
        manager("POST", f"/notice-deliveries/{mine}/suppression", json={"reason": "人员已调离"}).json["state"]
        == "SUPPRESSED"
    )
    assert manager("POST", f"/notice-deliveries/{theirs}/suppression", json={"reason": "人员已调离"}).status_code == 404
    for username in ("driver.xhedu", "dispatcher.xihu"):
        assert browse(username).get("/notices/deliveries").status_code == 403
        assert api(username)("GET", "/notice-deliveries").status_code == 403
        assert api(username)("POST", f"/notice-deliveries/{mine}/retry", json={"reason": "已补手机号"}).status_code in {
            403,
            404,
        }
    with database.transaction(SYSTEM) as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.subject_type == "notice_delivery").order_by(AuditEntry.seq)
        ).all()
        assert [(entry.action, entry.data["reason"]) for entry in entries] == [
            ("notices.retried", "已补手机号"), ("notices.suppressed", "人员已调离"),
        ]  # fmt: skip
    owner = acting("fleet_manager.xihu")
    with database.transaction(SYSTEM) as session:
        session.execute(
            text("UPDATE notice_delivery SET state = 'SENDING', leased_until = now(), bundle = id WHERE id = :id"),
            {"id": mine},
        )
    with pytest.raises(RuleBroken, match="wrong_state"), database.transaction(owner) as session:
        service.suppress(session, delivery_id=mine, reason="正在发送", actor=owner, now=now)
