"""The first screen agrees with the lists; exports and evidence files through pages and API."""

import csv
import hashlib
import io
import re

import openpyxl
import pytest
import time_machine
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.orders import cases
from fleetapp.orders import service as orders
from fleetapp.reports import figures
from telematics import store
from telematics.model import Fix
from tests import world


@pytest.fixture(autouse=True)
def at_nine(now):
    with time_machine.travel(now, tick=False):
        yield


NOVEMBER = {"start_on": "2026-11-01", "end_on": "2026-11-18", "reason": "年度监督检查"}


def bytes_of(answer):
    """Read a download to its end, as a server does, and let its file go."""
    data = answer.data
    answer.close()
    return data


def total(page):
    """Return how many rows a list says it has."""
    return int(re.search(r"共 (\d+) 条", page)[1])


def shown(page):
    """Return the tiles of the first screen by code: (href, text)."""
    tiles = re.findall(
        r'<a class="card[^"]*home-tile[^"]*" href="([^"]+)">.*?data-figure="(\w+)">([^<]+)<', page, re.DOTALL
    )
    return {code: (href.replace("&amp;", "&"), said) for href, code, said in tiles}


@pytest.mark.parametrize(
    "username",
    ["auditor.city", "auditor.binjiang", "dispatcher.xihu", "leader.city", "finance.city", "applicant.xhedu"],
)
def test_every_number_is_the_length_of_the_list_it_leads_to(browse, made, username):
    client = browse(username)
    tiles = shown(client.get("/home").get_data(as_text=True))
    assert tiles
    checked = 0
    for code, (href, said) in tiles.items():
        if code in {"orders_today", "to_approve", "to_dispatch", "under_way", "vehicles_in_service", "clues_open"}:
            assert total(client.get(href).get_data(as_text=True)) == int(said.replace(",", "")), code
            checked += 1
    assert checked >= 3


def test_kilometres_and_trips_of_a_day_are_those_of_the_list(api, made):
    with time_machine.travel("2026-11-17T12:00:00+08:00", tick=False):
        call = api("auditor.city")
        numbers = call("GET", "/summary").json["figures"]
        listed = call("GET", "/trips?start_on=2026-11-17&end_on=2026-11-17").json
    assert (
        (numbers["trips_today"], numbers["distance_today_m"])
        == (len(listed), pytest.approx(25_345.6))
        == (3, sum(row["best_m"] for row in listed))
    )


def test_an_approver_sees_the_inbox_and_how_much_is_in_it(browse, made, database):
    with database.transaction(SYSTEM) as session:
        order = session.get(figures.TravelOrder, made.order_id)
        session.add(waiting := figures.TravelOrder(
            org_id=order.org_id, number="YC20261118-0009", kind="ordinary", purpose="meeting", reason="会议", applicant_id=order.applicant_id,
            passengers="甲", passenger_count=1, contact="0571", body="sedan", start_at=order.start_at, end_at=order.end_at,
            state="SUBMITTED", supplementary=False, created_at=order.created_at,
        ))  # fmt: skip
        session.flush()
        limits = orders.limits(session, now=order.created_at, org_path=order.org.path)
        cases.open_for(session, waiting, limits=limits, actor=SYSTEM, now=order.created_at)
    page = browse("approver.xhedu").get("/home").get_data(as_text=True)
    assert shown(page)["to_decide"] == ("/orders/inbox", "1")
    assert "YC20261118-0009" in page
    assert "to_decide" not in shown(browse("auditor.city").get("/home").get_data(as_text=True))


def test_numbers_follow_the_scope(api, made):
    city = api("auditor.city")("GET", "/summary").json["figures"]
    binjiang = api("auditor.binjiang")("GET", "/summary").json["figures"]
    assert (city["vehicles_in_service"], binjiang["vehicles_in_service"]) == (len(world.VEHICLES), 1)
    assert (city["clues_open"], binjiang["clues_open"]) == (1, 0)
    assert city["nev_share"] == pytest.approx(
        sum(car[4] in {"bev", "phev", "fcev"} for car in world.VEHICLES) / len(world.VEHICLES)
    )
    assert "clues_open" not in api("leader.city")("GET", "/summary").json["figures"]


def test_a_car_that_moves_is_counted_and_stops_being_when_it_stops(api, made, database, now):
    before = api("auditor.city")("GET", "/summary").json["figures"]["vehicles_moving"]
    with database.transaction(SYSTEM) as session:
        terminal = session.scalar(text("SELECT id FROM gps_terminal WHERE phone = '13900000005'"))
        fix = Fix(at=now, lat=30.2, lon=120.2, speed_kmh=50.0)
        store.save(session.connection().connection.driver_connection, [(terminal, fix, None)], now)
    assert api("auditor.city")("GET", "/summary").json["figures"]["vehicles_moving"] == before + 1
    assert api("auditor.xihu")("GET", "/summary").json["figures"]["vehicles_moving"] == 0


def test_columns_count_orders_and_kilometres_by_local_day(database, acting, made, now):
    actor = acting("auditor.city")
    with database.transaction(actor) as session:
        days = figures.last_days(session, actor=actor, now=now)
    assert len(days) == 14
    assert (days[-2].on.isoformat(), days[-2].orders, days[-2].distance_m) == ("2026-11-17", 2, pytest.approx(25_345.6))
    assert (days[-1].orders, days[-1].distance_m) == (0, 0.0)


def test_the_first_screen_shows_what_the_role_needs(browse, made):
    auditor = browse("auditor.city").get("/home").get_data(as_text=True)
    assert 'data-live="/api/v1/positions"' in auditor
    assert "疑似无派车单用车" in auditor
    assert "以表格查看" in auditor
    applicant = browse("applicant.xhedu").get("/home").get_data(as_text=True)
    assert "我要用车" in applicant
    assert "YC20261117-0001" in applicant
    assert "data-live" not in applicant
    assert browse("driver.xhedu").get("/home").headers["Location"] == "/duty"
    assert browse("system_admin.city").get("/home").status_code == 200
    assert " style=" not in auditor
    assert "<script>" not in auditor


def test_everybody_may_open_the_first_screen_in_both_languages(browse, made):
    client = browse("leader.city")
    client.set_cookie("lang", "en")
    page = client.get("/home").get_data(as_text=True)
    assert "In service" in page
    assert "To dispatch" in page


def test_an_export_through_the_page_is_the_file_that_was_recorded(browse, made):
    client = browse("auditor.xihu")
    answer = client.submit("/exports", **NOVEMBER, format="xlsx")
    data = bytes_of(answer)
    assert answer.headers["X-Content-SHA256"] == hashlib.sha256(data).hexdigest()
    assert "UTF-8''%E8%A5%BF%E6%B9%96%E5%8C%BA_" in answer.headers["Content-Disposition"]
    assert openpyxl.load_workbook(io.BytesIO(data)).sheetnames == [
        "汇总",
        "行程明细",
        "无行程派车单",
        "疑似线索",
    ]
    listed = client.get("/exports").get_data(as_text=True)
    assert answer.headers["X-Content-SHA256"] in listed
    assert answer.headers["X-Content-SHA256"] not in browse("auditor.binjiang").get("/exports").get_data(as_text=True)


def test_the_form_says_what_is_wrong_and_keeps_what_was_typed(browse, made):
    client = browse("auditor.xihu")
    answer = client.submit("/exports", **{**NOVEMBER, "reason": "看"}, format="csv")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "至少 4 个字" in page
    assert 'value="2026-11-01"' in page
    answer = client.submit("/exports", **{**NOVEMBER, "end_on": "2026-10-01"})
    assert (answer.status_code, "结束日期不能早于开始日期" in answer.get_data(as_text=True)) == (422, True)
    assert client.submit("/exports", start_on="x", end_on="2026-11-18", reason="年度监督检查").status_code == 422


def test_the_preview_counts_what_the_file_will_hold(browse, made):
    client = browse("auditor.city")
    page = client.get("/exports/preview", query_string={"start_on": "2026-11-01", "end_on": "2026-11-18"}).get_data(
        as_text=True
    )
    assert "前 3 行，共 3 行" in page
    assert "25.3" in page
    empty = client.get("/exports/preview", query_string={"start_on": "2026-10-01", "end_on": "2026-10-02"}).get_data(
        as_text=True
    )
    assert "该期间没有行程" in empty
    assert (
        client.get("/exports/preview", query_string={"start_on": "2026-11-02", "end_on": "2026-11-01"}).status_code
        == 422
    )


def test_the_api_exports_lists_and_refuses(api, made):
    call = api("auditor.binjiang")
    answer = call("POST", "/exports/compliance", json={**NOVEMBER, "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(bytes_of(answer).decode("utf-8-sig"))))
    assert [row["车牌号"] for row in rows] == ["浙A10005"]
    english = call("POST", "/exports/compliance", json={**NOVEMBER, "format": "csv", "language": "en"})
    assert bytes_of(english).decode("utf-8-sig").startswith("No.,Date,Plate")
    listed = call("GET", "/exports")
    assert (listed.headers["X-Total-Count"], listed.json[0]["reason"], listed.json[0]["rows"]) == (
        "2",
        "年度监督检查",
        1,
    )
    assert call("POST", "/exports/compliance", json={**NOVEMBER, "reason": "x"}).json["code"] == "audit.reason_missing"
    assert call("POST", "/exports/compliance", json={**NOVEMBER, "format": "doc"}).status_code == 422
    other = api("auditor.city")("POST", "/exports/compliance", json={**NOVEMBER, "org_id": 999_999})
    assert other.status_code == 404


@pytest.mark.parametrize("username", ["applicant.xhedu", "dispatcher.city", "leader.city", "driver.xhedu"])
def test_others_are_refused_everywhere(api, browse, made, username):
    call = api(username)
    assert call("POST", "/exports/compliance", json=NOVEMBER).status_code == 403
    assert call("GET", "/exports").status_code == 403
    assert call("POST", f"/findings/{made.finding_id}/case-file", json={"reason": "核实情况"}).status_code in {403, 404}
    client = browse(username)
    assert client.get("/exports").status_code == 403
    assert client.submit("/exports", **NOVEMBER).status_code == 403


def test_an_evidence_file_through_page_and_api(browse, api, made):
    client = browse("auditor.city")
    assert "生成取证材料" in client.get(f"/findings/{made.finding_id}/case-file").get_data(as_text=True)
    short = client.submit(f"/findings/{made.finding_id}/case-file", reason="看")
    assert (short.status_code, "至少 4 个字" in short.get_data(as_text=True)) == (422, True)
    assert browse("auditor.binjiang").get(f"/findings/{made.finding_id}/case-file").status_code == 404
    answer = api("auditor.city")("POST", f"/findings/{made.finding_id}/case-file", json={"reason": "核实情况"})
    assert (answer.status_code, bytes_of(answer)[:5]) == (200, b"%PDF-")
    assert "XS20261117-0001.pdf" in answer.headers["Content-Disposition"]
