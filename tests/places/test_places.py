"""Gazetteer search and parking areas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.accounts.queries import get_org_by_code
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.places import queries, rules, service


def ring(lon: float, lat: float, half: float = 0.0005) -> dict:
    corners = [[lon - half, lat - half], [lon + half, lat - half], [lon + half, lat + half], [lon - half, lat + half]]
    return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}


@pytest.fixture
def gazetteer(database, now):
    with database.transaction(SYSTEM) as session:
        return service.load_file(session, actor=SYSTEM, now=now)


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("西湖区人民政府", "西湖区人民政府"),
        ("浙大紫金港", "浙江大学紫金港校区"),
        ("zjdxzjg", "浙江大学紫金港校区"),
        ("hangzhoudongzhan", "杭州东站"),
        ("LINGYIN", "灵隐寺"),
        ("zhejiang university yuquan", "浙江大学玉泉校区"),
        ("  断桥 ", "西湖断桥"),
        ("紫金岗", "浙江大学紫金港校区"),
        ("杭洲东站", "杭州东站"),
        ("zijngang", "浙江大学紫金港校区"),
        ("xiuhu", "西湖"),
        ("airprot", "机场"),
    ],
)
def test_a_place_is_found_by_chinese_pinyin_initials_and_english(database, gazetteer, text, best):
    with database.transaction(SYSTEM) as session:
        found = queries.search(session, text)
    assert found, text
    assert best in found[0].name_zh


@pytest.mark.parametrize("text", ["", "   ", "%", "_", "没有这个地方", "qqqqq", "/%", "'; drop table place"])
def test_a_search_that_fits_nothing_returns_nothing(database, gazetteer, text):
    with database.transaction(SYSTEM) as session:
        assert queries.search(session, text) == []


def test_of_equal_places_the_lately_used_then_those_of_the_own_district_come_first(database, gazetteer):
    with database.transaction(SYSTEM) as session:
        assert queries.search(session, "第一人民医院", adcode="330109")[0].name_zh == "萧山区第一人民医院"
        lately = queries.search(session, "第一人民医院", first=["临平区第一人民医院"], adcode="330109")
    assert [place.name_zh for place in lately[:2]] == ["临平区第一人民医院", "萧山区第一人民医院"]


def test_loading_again_keeps_one_row_per_place(database, gazetteer, now):
    from sqlalchemy import func, select

    from fleetapp.places.models import Place

    with database.transaction(SYSTEM) as session:
        service.load_file(session, actor=SYSTEM, now=now)
        assert session.scalar(select(func.count()).select_from(Place)) == gazetteer


def test_a_faulty_line_is_named_and_nothing_is_loaded(database, now):
    good = {"name": "甲", "name_en": "A", "category": "town", "adcode": "330106", "lon": "120", "lat": "30", "accuracy_m": "9",
            "source": "s"}  # fmt: skip
    with database.transaction(SYSTEM) as session, pytest.raises(RuleBroken) as refused:
        service.load_places(
            session, rows=[good, good | {"name": "乙", "lon": "30", "lat": "120"}], actor=SYSTEM, now=now
        )
    assert refused.value.params == {"line": 3}
    with database.transaction(SYSTEM) as session:
        assert queries.search(session, "甲") == []


def test_the_nearest_place_is_found_only_within_reach(database, gazetteer):
    with database.transaction(SYSTEM) as session:
        found = queries.nearest(session, 30.2428, 120.0970, 500)
        assert found is not None
        assert found.name_zh == "灵隐寺"
        assert 0 < found.distance_m < 60
        assert queries.nearest(session, 28.0, 118.0, 500) is None


@given(st.text(min_size=1, max_size=12))
def test_patterns_have_no_wildcard_of_the_users(token):
    starts, contains, ordered = rules.like_parts(token)
    for pattern in (starts, contains, ordered):
        bare = pattern.replace("//", "").replace("/%", "").replace("/_", "")
        assert "_" not in bare
        assert "/" not in bare
    assert starts.count("%") == 1 + token.count("%")
    assert contains.count("%") == 2 + token.count("%")


@pytest.mark.parametrize(
    ("area", "code"),
    [
        ({"type": "Point", "coordinates": [120, 30]}, "places.area_form"),
        ({}, "places.area_form"),
        ({"type": "Polygon", "coordinates": []}, "places.area_form"),
        ({"type": "Polygon", "coordinates": [[[120, 30], [120.001, 30]]]}, "places.area_form"),
        ({"type": "Polygon", "coordinates": [[["a", 30], [120.001, 30], [120, 30.001]]]}, "places.area_form"),
        ({"type": "Polygon", "coordinates": [[[120, 30], [float("nan"), 30], [120, 30.001]]]}, "places.area_outside"),
        ({"type": "Polygon", "coordinates": [[[30, 120], [30.001, 120], [30, 120.001]]]}, "places.area_outside"),
        (ring(120.1, 30.2, half=0.02), "places.area_large"),
    ],
)
def test_an_unsound_polygon_is_refused(area, code):
    with pytest.raises(RuleBroken) as refused:
        rules.ring_of(area)
    assert refused.value.code == code


def test_a_ring_left_open_is_closed():
    assert rules.ring_of({"type": "Polygon", "coordinates": [[[120, 30], [120.001, 30], [120, 30.001]]]})[-1] == (
        120,
        30,
    )


def test_a_fleet_manager_draws_parking_in_the_own_district_only(session_as, acting, now):
    me = acting("fleet_manager.xihu")
    with session_as("fleet_manager.xihu") as session:
        unit, foreign = get_org_by_code(session, code="330106-EDU"), get_org_by_code(session, code="330108")
        parking = service.create_parking(session, org_id=unit.id, name_zh="北院", name_en="North yard",
                                         area=ring(120.11, 30.26), actor=me, now=now)  # fmt: skip
        assert queries.get_parking(session, parking_id=parking.id, actor=me).name_zh == "北院"
        with pytest.raises(NotAllowed):
            service.create_parking(session, org_id=foreign.id, name_zh="甲", name_en="A", area=ring(120.2, 30.2), actor=me,
                                   now=now)  # fmt: skip
        crossed = {
            "type": "Polygon",
            "coordinates": [[[120, 30], [120.001, 30.001], [120.001, 30], [120, 30.001], [120, 30]]],
        }
        with pytest.raises(RuleBroken, match=r"places\.area_form"):
            service.create_parking(session, org_id=unit.id, name_zh="乙", name_en="B", area=crossed, actor=me, now=now)
    with session_as("fleet_manager.binjiang") as session, pytest.raises(NotFound):
        queries.get_parking(session, parking_id=parking.id, actor=acting("fleet_manager.binjiang"))


@pytest.mark.parametrize(
    ("dx", "buffer_m", "expected"), [(0, 0, True), (0.0008, 0, False), (0.0008, 50, True), (0.0012, 50, False)]
)
def test_a_position_is_inside_with_its_buffer(session_as, acting, now, dx, buffer_m, expected):
    """The area ends 48 m east of its centre; 0.0008 degrees are 77 m, 0.0012 are 115 m."""
    with session_as("fleet_manager.xihu") as session:
        unit = get_org_by_code(session, code="330106-EDU")
        parking = service.create_parking(session, org_id=unit.id, name_zh="北院", name_en="North", area=ring(120.11, 30.26),
                                         actor=acting("fleet_manager.xihu"), now=now)  # fmt: skip
        assert queries.inside(session, parking.id, 30.26, 120.11 + dx, buffer_m) is expected


def test_the_api_and_the_form_search(gazetteer, api, browse):
    found = api("applicant.xhedu")("GET", "/places?q=lingyin").json
    assert found[0].keys() == {"id", "name", "name_en", "category", "lat", "lon", "accuracy_m"}
    assert found[0]["name"] == "灵隐寺"
    client = browse("applicant.xhedu")
    assert client.get("/places/search?q=灵隐", headers={"Accept": "application/json"}).json == found
    fragment = client.get("/places/search?q=灵隐", headers={"HX-Request": "true"}).get_data(as_text=True)
    assert 'data-name="灵隐寺"' in fragment
    assert 'data-lat="30.24' in fragment
    assert "没有找到" in client.get("/places/search?q=qqqqqq").get_data(as_text=True)


def test_the_api_creates_and_lists_parking(api):
    call = api("fleet_manager.xihu")
    org_id = next(org["id"] for org in call("GET", "/organisations").json if org["code"] == "330106-EDU")
    body = {"org_id": org_id, "name_zh": "北院", "name_en": "North", "area": ring(120.11, 30.26)}
    answer = call("POST", "/parking-areas", json=body)
    assert answer.status_code == 201, answer.json
    assert answer.json["area"]["type"] == "Polygon"
    names = [row["name_zh"] for row in call("GET", "/parking-areas").json]
    assert "北院" in names
    assert "滨江区停车场" not in names
    wrong = call("POST", "/parking-areas", json=body | {"area": {"type": "Point", "coordinates": [1, 2]}})
    assert (wrong.status_code, wrong.json["code"]) == (422, "places.area_form")
    assert api("applicant.xhedu")("GET", "/parking-areas").status_code == 403
    assert api("auditor.city")("POST", "/parking-areas", json=body).status_code == 403


def test_corners_are_lines_of_latitude_and_longitude():
    area = rules.area_of_corners("30.26, 120.11\n30.261，120.11\n\n30.261 120.112")
    assert area == {"type": "Polygon", "coordinates": [[[120.11, 30.26], [120.11, 30.261], [120.112, 30.261]]]}
    for text, line in (("30.26", 1), ("30.26, 120.11\neast, west", 2), ("1 2 3", 1)):
        with pytest.raises(RuleBroken) as refused:
            rules.area_of_corners(text)
        assert refused.value.params == {"line": line}


def test_the_page_adds_an_area_of_ones_own_reach_only(browse, api):
    corners = "30.2600, 120.1100\n30.2606, 120.1100\n30.2606, 120.1106\n30.2600, 120.1106"
    org_ids = {org["code"]: org["id"] for org in api("fleet_manager.city")("GET", "/organisations").json}
    form = {"org_id": org_ids["330106-EDU"], "name_zh": "南院", "name_en": "South", "corners": corners}
    client = browse("fleet_manager.xihu")
    assert 'data-draw="#f-corners"' in client.get("/parking/new").get_data(as_text=True)
    assert client.submit("/parking/new", **form).status_code == 302
    assert "南院" in client.get("/parking").get_data(as_text=True)
    for wrong, words in ((corners.replace("30.2606", "x", 1), "第 2 个角点有误"), (corners[:36], "不自相交"),
                         ("120.11, 30.26\n" * 3, "经度在前"), ("", "必填")):  # fmt: skip
        answer = client.submit("/parking/new", **(form | {"corners": wrong}))
        assert answer.status_code == 422
        assert words in answer.get_data(as_text=True), wrong
    elsewhere = client.submit("/parking/new", **(form | {"org_id": org_ids["330108-WATER"]}))
    assert elsewhere.status_code in {403, 404}
    assert browse("auditor.xihu").get("/parking").status_code == 200
    assert browse("auditor.xihu").get("/parking/new").status_code == 403
    assert browse("applicant.xhedu").get("/parking").status_code == 403
