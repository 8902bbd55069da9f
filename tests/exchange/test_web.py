"""The pages: who may read and who may act, what each act leaves behind; replays; what the database itself refuses."""

from datetime import date, timedelta

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from fleetapp.audit.models import AuditEntry
from fleetapp.exchange import service
from fleetapp.exchange.models import ExchangeReceipt, ExchangeReplay
from fleetapp.exchange.rules import Outcome, RecordState
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from tests import world

OFFICE, AUDITOR, MANAGER = "vehicle_office.city", "auditor.city", "fleet_manager.city"
HOUR = timedelta(hours=1)
TODAY = date(2026, 11, 18)


@pytest.fixture
def frozen(monkeypatch, now):
    """The application's clock at the moment of the tests."""
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)


@pytest.fixture
def page(desk, frozen, browse):
    """Return a page's text as somebody."""
    return lambda username, path: browse(username).get(path).get_data(as_text=True)


def act(desk, username, function, **given):
    who = world.actor(desk.database, username)
    with desk.database.transaction(who) as session:
        return function(session, actor=who, now=desk.now, **given)


def audited(desk):
    with desk.database.transaction(SYSTEM) as session:
        query = select(AuditEntry.action).where(AuditEntry.action.startswith("exchange.")).order_by(AuditEntry.seq)
        return session.scalars(query).all()


def test_the_page_shows_every_interface_before_the_first_run(page):
    text_ = page(OFFICE, "/exchange")
    for word in (
        "未配置上级平台",
        "单车基本信息",
        "12345 投诉",
        "本系统不受理 12345 投诉",
        "JT/T 809",
        "近 30 天没有报送",
    ):
        assert word in text_


def test_readers_read_and_the_vehicle_office_acts(desk, page, browse):
    desk.platform.refuse = lambda values: (
        [("colour", "颜色代码不在字典内")] if values.get("plate") == "浙A10001" else None
    )
    desk.run()
    for username in (AUDITOR, OFFICE):
        text_ = page(username, "/exchange/vehicles")
        assert "颜色代码不在字典内" in text_
        assert "车身颜色" in text_  # the field by its name
        assert ("按原样重发" in text_.split("去修正")[1].split("</table>")[0]) == (username == OFFICE)
    assert browse(MANAGER).get("/exchange").status_code == 403
    assert browse("applicant.xhedu").get("/exchange/vehicles").status_code == 403
    assert browse(AUDITOR).submit("/exchange/vehicles/pause", reason="停一下看看").status_code == 403
    assert browse(OFFICE).get("/exchange/hotline").status_code == 404


def test_a_districts_auditor_sees_the_district_alone(desk, page):
    desk.platform.refuse = lambda values: [("plate", "号牌有误")] if "plate" in values else None
    desk.run()
    city, district = page(AUDITOR, "/exchange/vehicles"), page("auditor.xihu", "/exchange/vehicles")
    assert "浙A10005" in city
    assert "浙A10001" in district
    assert "浙A10005" not in district


def test_the_mending_link_leads_to_the_record(desk, browse, frozen):
    desk.sql("UPDATE vehicle SET price_ex_tax = NULL WHERE plate = '浙A10001'")
    desk.run()
    [row] = desk.rows("vehicles", RecordState.INVALID)
    client = browse(OFFICE)
    text_ = client.get("/exchange/vehicles").get_data(as_text=True)
    assert f'href="/vehicles/{row.subject_id}"' in text_
    assert "购置价格（不含购置税） (CNY)" in text_
    assert "必填，现为空" in text_
    assert "浙A10001" in client.get(f"/vehicles/{row.subject_id}").get_data(as_text=True)


def test_pause_keeps_queueing_and_resume_sends_in_order(desk, browse, frozen, now):
    desk.run()
    client = browse(OFFICE)
    assert client.submit("/exchange/energy/pause", reason="停").status_code == 422
    assert client.submit("/exchange/energy/pause", reason="上级平台升级").status_code == 302
    assert "该接口已暂停" in client.submit("/exchange/energy/pause", reason="上级平台升级").get_data(as_text=True)
    desk.fill(now)
    desk.run(HOUR)
    assert desk.states("energy") == {RecordState.QUEUED}
    assert "上级平台升级" in client.get("/exchange").get_data(as_text=True)
    assert client.submit("/exchange/energy/resume", reason="升级完成").status_code == 302
    assert "没有暂停" in client.submit("/exchange/energy/resume", reason="升级完成").get_data(as_text=True)
    desk.run(2 * HOUR)
    assert desk.states("energy") == {RecordState.ACCEPTED}
    assert audited(desk) == ["exchange.paused", "exchange.resumed"]


def test_a_replay_sends_the_same_keys_once_more_and_repeats_nothing(desk, browse, frozen):
    desk.run()
    client = browse(OFFICE)
    lost = dict(list(desk.platform.registered.items())[:9])  # the platform came back from a backup without these
    for key in lost:
        del desk.platform.registered[key]
    form = {"start_on": "2026-11-18", "last_on": "2026-11-18", "reason": "上级平台恢复备份后缺数据"}
    for expected in (6, 0):
        page = client.submit("/exchange/vehicles/replay", **form)
        assert page.status_code == 302
        assert desk.all(ExchangeReplay)[-1].records == expected
    desk.run(HOUR)
    [only] = [key for key in lost if key.startswith("vehicles")]
    assert only in desk.platform.registered
    outcomes = [one.outcome for one in desk.receipts(ExchangeReceipt.interface == "vehicles")]
    assert sorted(outcomes) == [Outcome.ACCEPTED] * 7 + [Outcome.DUPLICATE] * 5
    assert desk.states("vehicles") == {RecordState.ACCEPTED}
    assert "上级平台恢复备份后缺数据" in client.get("/exchange/vehicles").get_data(as_text=True)
    assert audited(desk) == ["exchange.replayed"] * 2


def test_a_replay_needs_a_period_and_a_reason(desk, browse, frozen):
    client = browse(OFFICE)
    late = client.submit("/exchange/vehicles/replay", start_on="2026-11-18", last_on="2026-11-17", reason="缺数据补报")
    assert late.status_code == 422
    assert "结束日期不能早于开始日期" in late.get_data(as_text=True)
    with pytest.raises(RuleBroken, match="period"):
        act(
            desk,
            OFFICE,
            service.replay,
            code="vehicles",
            start_on=TODAY + timedelta(days=1),
            end_on=TODAY + timedelta(days=2),
            reason="缺数据补报",
        )
    with pytest.raises(RuleBroken, match="reason"):
        act(
            desk, OFFICE, service.replay, code="vehicles", start_on=TODAY, end_on=TODAY + timedelta(days=1), reason="补"
        )
    with pytest.raises(NotFound):
        act(
            desk,
            OFFICE,
            service.replay,
            code="hotline",
            start_on=TODAY,
            end_on=TODAY + timedelta(days=1),
            reason="缺数据补报",
        )
    with pytest.raises(NotAllowed):
        act(
            desk,
            AUDITOR,
            service.replay,
            code="vehicles",
            start_on=TODAY,
            end_on=TODAY + timedelta(days=1),
            reason="缺数据补报",
        )


def test_what_the_platform_refused_wrongly_goes_again_under_a_new_key(desk, browse, frozen):
    desk.platform.refuse = lambda values: [("plate", "字典未更新")] if values.get("plate") == "浙A10001" else None
    desk.run()
    [refused] = desk.rows("vehicles", RecordState.REJECTED)
    desk.platform.refuse = lambda values: None
    client, path = browse(OFFICE), f"/exchange/vehicles/records/{refused.id}/again"
    assert client.submit(path, reason="").status_code == 422
    assert client.submit(path, reason="上级已更新字典").status_code == 302
    assert client.submit(path, reason="上级已更新字典").status_code == 422  # the old version is history
    desk.run(HOUR)
    old, new = [row for row in desk.rows("vehicles") if row.label == "浙A10001"]
    assert (old.state, new.state, new.values) == (RecordState.SUPERSEDED, RecordState.ACCEPTED, old.values)
    assert audited(desk) == ["exchange.sent_again"]


def test_a_dry_run_counts_and_writes_nothing_but_that_it_was_made(desk, browse, frozen):
    desk.sql("UPDATE vehicle SET price_ex_tax = NULL WHERE plate IN ('浙A10001', '浙A10003')")
    shown = browse(AUDITOR).submit("/exchange/vehicles/dry-run").get_data(as_text=True)
    for word in ("可报送 4 条", "97.2%", "必填，现为空", "浙A10001", "浙AD00002"):
        assert word in shown
    assert desk.rows() == []
    assert audited(desk) == ["exchange.dry_run"]
    desk.sql("UPDATE vehicle SET price_ex_tax = NULL")
    assert "填报率不足，停止报送" in browse(OFFICE).submit("/exchange/vehicles/dry-run").get_data(as_text=True)
    assert browse(MANAGER).submit("/exchange/vehicles/dry-run").status_code == 403


def test_the_command_tells_what_is_wrong(desk, app):
    found = app.test_cli_runner().invoke(args=["exchange", "dry-run", "--interface", "units"])
    assert (found.exit_code, found.output) == (0, "units: 8/8 valid, 100.0% filled\n")
    desk.sql("UPDATE vehicle SET price_ex_tax = NULL")
    found = app.test_cli_runner().invoke(args=["exchange", "dry-run", "--interface", "vehicles"])
    assert (found.exit_code, found.output) == (
        1,
        "vehicles: 0/6 valid, 91.7% filled, BLOCKED\n  price_cny required: 6\n",
    )


def test_the_api_shows_the_same(desk, api):
    desk.platform.refuse = lambda values: [("plate", "号牌有误")] if values.get("plate") == "浙A10001" else None
    desk.run()
    call = api(AUDITOR)
    found = {one["code"]: one for one in call("GET", "/exchange/interfaces").json}
    assert len(found) == 18
    assert (found["vehicles"]["to_mend"], found["vehicles"]["filled_percent"], found["hotline"]["light"]) == (
        1,
        100.0,
        "none",
    )
    rejected = call("GET", "/exchange/interfaces/vehicles/rejections")
    assert (rejected.headers["X-Total-Count"], rejected.json[0]["faults"][0]["message"]) == ("1", "号牌有误")
    assert call("GET", "/exchange/interfaces/boats/rejections").status_code == 404
    assert api(MANAGER)("GET", "/exchange/interfaces").status_code == 403


# ---- what the database refuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    ["UPDATE exchange_outbox SET values = '{}'", "UPDATE exchange_outbox SET key = 'x' || id", "UPDATE exchange_outbox SET state = 'QUEUED'",
     "UPDATE exchange_outbox SET state = 'REJECTED', faults = '[1]'", "UPDATE exchange_outbox SET tried = false", "DELETE FROM exchange_outbox",
     "UPDATE exchange_receipt SET outcome = 'REJECTED'", "DELETE FROM exchange_receipt", "UPDATE exchange_replay SET reason = '另一个原因'"],
)  # fmt: skip
def test_what_was_accepted_stays_as_it_is(desk, statement):
    desk.run()
    with pytest.raises(DBAPIError) as refused, desk.database.transaction(SYSTEM) as session:
        session.execute(text(statement))
    assert isinstance(refused.value.orig, psycopg.errors.RestrictViolation | psycopg.errors.InsufficientPrivilege)
    assert desk.states() == {RecordState.ACCEPTED}


def test_a_district_pauses_nothing_even_past_the_pages(desk):
    desk.run()
    who = world.actor(desk.database, "fleet_manager.xihu")
    with desk.database.transaction(who) as session:
        changed = session.execute(text("UPDATE exchange_interface SET paused_at = now(), pause_reason = '停一下看看'"))
        assert changed.rowcount == 0
        seen = session.scalar(text("SELECT count(*) FROM exchange_outbox WHERE interface = 'vehicles'"))
        assert seen == 3  # of six: the district's own
