"""The application form: faults, keeping what was typed, what works without scripts."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders import queries

TOMORROW = clock.local(clock.now() + timedelta(days=1))


def form(**changes):
    return {
        "kind": "ordinary", "purpose": "meeting", "reason": "参加全市教育工作会议", "passengers": "教研员甲", "passenger_count": "1",
        "contact": "0571-87000000", "body": "sedan", "start_at": f"{TOMORROW:%Y-%m-%dT09:00}", "end_at": f"{TOMORROW:%Y-%m-%dT12:00}",
        "stop_name": ["西湖区教育局", "西湖国宾馆"], "stop_lat": ["30.264", "30.23"], "stop_lon": ["120.126", "120.129"], **changes,
    }  # fmt: skip


def read(answer, status=200):
    page = answer.get_data(as_text=True)
    assert answer.status_code == status, page
    return page


def test_applying_leads_to_the_order_with_its_number(browse):
    client = browse("applicant.xhedu")
    assert 'name="request_key"' in read(client.get("/orders/new"))
    answer = client.submit("/orders/new", **form())
    assert answer.status_code == 302
    page = read(client.get(answer.location))
    assert "已提交，等待审批" in page
    assert "西湖国宾馆" in page
    assert "撤回申请" in page
    assert "审批同意" not in page


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reason": ""}, "必填项"),
        ({"passenger_count": "many"}, "请填整数"),
        ({"end_at": f"{TOMORROW:%Y-%m-%dT08:00}"}, "返回时间须晚于出发时间"),
        ({"supplementary": "true"}, "尚未出发的请取消勾选"),
        ({"purpose": "maintenance"}, "该事由不适用"),
        ({"stop_lat": ["30.264", ""], "stop_lon": ["120.126", ""]}, "地名库中没有“西湖国宾馆”"),
        ({"stop_lat": ["30.264", "120.129"], "stop_lon": ["120.126", "30.23"]}, "-90"),
        ({"stop_name": ["", "西湖国宾馆"], "stop_lat": ["", "30.23"], "stop_lon": ["", "120.129"]}, "必填项"),
        ({"stop_name": ["西湖区教育局"], "stop_lat": ["30.264"], "stop_lon": ["120.126"]}, "至少一个目的地"),
    ],
)
def test_a_fault_is_told_and_everything_typed_is_kept(browse, changes, message):
    page = read(browse("applicant.xhedu").submit("/orders/new", **form(contact="0571-12345678", **changes)), 422)
    assert message in page
    assert "0571-12345678" in page
    if "stop_name" not in changes:
        assert "西湖国宾馆" in page


def test_a_place_is_found_by_its_full_name_without_scripts(browse, database):
    with database.transaction(SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO place (name_zh, name_en, pinyin, category, point, accuracy_m, source)"
                " VALUES ('西湖国宾馆', 'West Lake State Guesthouse', 'xihuguobinguan xhgbg', 'hotel',"
                " 'SRID=4326;POINT(120.129 30.23)', 50, 'test')"
            )
        )
    client = browse("applicant.xhedu")
    answer = client.submit("/orders/new", **form(stop_lat=["30.264", ""], stop_lon=["120.126", ""]))
    assert answer.status_code == 302
    with database.transaction(SYSTEM) as session:
        order = session.scalars(queries.visible_to(SYSTEM)).one()
        assert (order.stops[1].lat, order.stops[1].lon) == (30.23, 120.129)


def test_a_stop_is_added_without_scripts(browse):
    page = read(browse("applicant.xhedu").submit("/orders/new", **form(add_stop="1")))
    assert 'id="stop-2"' in page
    assert "参加全市教育工作会议" in page


def test_sending_the_form_twice_makes_one_order(browse):
    client = browse("applicant.xhedu")
    first, second = (client.submit("/orders/new", **form(request_key="same")).location for _ in range(2))
    assert first == second
