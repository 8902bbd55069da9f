"""Every figure is what its list adds up to, within the viewer's scope; tiles that are empty, closed, or lack a policy figure."""

import json
import re
from decimal import Decimal

import pytest
from sqlalchemy import text

from fleetapp.dashboard import measures, tiles
from fleetapp.dashboard.measures import MEASURES
from fleetapp.dashboard.scope import groups, scope_of
from fleetapp.kit.db import Database
from fleetapp.kit.errors import NotAllowed
from tests import world

EXPECTED = {
    "stock": 6, "quota": 3, "over": 3, "nev": 2, "counted": 6, "live_on_road": 1, "live_idle": 1, "live_offline": 2, "live_sealed": 1,
    "live_repair": 1, "live_other": 0, "live_undisclosed": 0, "orders_today": 8, "orders_to_approve": 1, "orders_to_dispatch": 1,
    "orders_ready": 0, "orders_out": 0, "orders_done": 5, "orders_other": 1, "orders_served": 5, "orders_missed": 1, "reserve_free": 2,
    "reserve_floor": 3, "reserve_low": 1, "cost_year": Decimal("12345.60"), "clues_red": 1, "clues_orange": 2, "clues_yellow": 0,
    "clues_green": 0, "shared": 2, "shared_rental": 900, "pooled": 2, "pooled_km": 8, "terminals": 6, "terminals_online": 2,
    "terminals_offline": 4, "terminals_clock": 0, "terminals_alarm": 0,
}  # fmt: skip

ONE_OF_EACH_TILE = (
    "stock",
    "live_on_road",
    "orders_today",
    "reserve_free",
    "clues_orange",
    "nev",
    "cost_year",
    "shared",
    "terminals",
)


def measured(database, username, now, code, **asked):
    """Return a figure and its rows as a viewer has them."""
    actor = world.actor(database, username)
    with database.transaction(actor) as session:
        scope = scope_of(session, actor=actor, now=now, **asked)
        rows, total = measures.listed(session, scope, code, number=1, size=500)
        assert len(rows) == total
        return measures.figure(session, scope, code), rows


def shown(database, username, now, **asked):
    actor = world.actor(database, username)
    with database.transaction(actor) as session:
        return {one.code: one for one in tiles.tiles(session, scope_of(session, actor=actor, now=now, **asked))}


def test_every_figure_is_what_its_rows_add_up_to(filled, now):
    assert EXPECTED.keys() == MEASURES.keys()
    found = {code: measured(filled, "vehicle_office.city", now, code) for code in MEASURES}
    assert {code: value for code, (value, _) in found.items()} == EXPECTED
    assert {code: sum(row.amount for row in rows) for code, (_, rows) in found.items()} == EXPECTED


@pytest.mark.parametrize("parts", [("live_on_road", "live_idle", "live_offline", "live_sealed", "live_repair", "live_other", "live_undisclosed"),
                                   ("orders_to_approve", "orders_to_dispatch", "orders_ready", "orders_out", "orders_done", "orders_other")])  # fmt: skip
def test_parts_leave_nothing_out_and_count_nothing_twice(filled, now, parts):
    whole = "stock" if parts[0].startswith("live") else "orders_today"
    listed = [row.id for code in parts for row in measured(filled, "vehicle_office.city", now, code)[1]]
    assert sorted(listed) == sorted(row.id for row in measured(filled, "vehicle_office.city", now, whole)[1])


def test_groups_add_up_to_the_whole_and_lead_to_their_lists(filled, now):
    tile = shown(filled, "vehicle_office.city", now)["quota"]
    assert [sum(numbers[k] for _, numbers in tile.rows) for k in (0, 1)] == [3, 6]
    for group, numbers in tile.rows:
        figure, rows = measured(filled, "vehicle_office.city", now, "stock", org_id=group.org.id, own=group.own)
        assert figure == len(rows) == numbers[1]


def test_a_viewer_sees_the_own_part_of_the_tree(filled, now):
    assert measured(filled, "dispatcher.xihu", now, "stock")[0] == 3
    assert measured(filled, "dispatcher.binjiang", now, "stock")[0] == 1
    assert measured(filled, "unit_admin.xhedu", now, "stock")[0] == 2
    assert measured(filled, "auditor.binjiang", now, "clues_orange")[0] == 1
    assert measured(filled, "auditor.xihu", now, "clues_red")[0] == 1
    xihu, binjiang = (world.actor(filled, f"dispatcher.{key}").org_id for key in ("xihu", "binjiang"))
    assert measured(filled, "leader.city", now, "stock", org_id=xihu)[0] == 3
    with pytest.raises(NotAllowed):
        measured(filled, "dispatcher.xihu", now, "stock", org_id=binjiang)
    with pytest.raises(NotAllowed):
        measured(filled, "driver.xhedu", now, "stock")


def test_the_groups_of_a_district_are_its_units(filled, now):
    actor = world.actor(filled, "dispatcher.xihu")
    with filled.transaction(actor) as session:
        found = groups(scope_of(session, actor=actor, now=now))
    assert sorted(group.org.code for group in found) == ["330106-EDU", "330106-HEALTH"]


def test_secret_vehicles_are_counted_but_not_placed(filled, now):
    actor = world.actor(filled, "vehicle_office.city")
    with filled.engine.connect() as connection:
        outer = connection.begin()
        with Database(connection).transaction(actor) as session:
            session.execute(text("UPDATE vehicle SET secrecy = 'secret' WHERE plate = '浙A10001'"))
            scope = scope_of(session, actor=actor, now=now)
            found = {
                code: measures.figure(session, scope, code) for code in ("live_on_road", "live_undisclosed", "counted")
            }
        outer.rollback()
    assert found == {"live_on_road": 0, "live_undisclosed": 1, "counted": 5}


def test_a_leader_has_sums_of_clues_without_their_rows(filled, now):
    found = shown(filled, "leader.city", now)
    assert {tile.state for tile in found.values()} == {"filled"}
    clues = {figure.code: (figure.value, figure.list_code) for figure in found["clues"].figures}
    assert clues["clues_red"] == (1, None)
    assert found["quota"].figures[0].list_code == "stock"
    assert {figure.list_code for figure in found["terminals"].figures} == {None}
    assert next(figure.value for figure in found["orders"].figures if figure.code == "fulfilment") == pytest.approx(
        5 / 6
    )
    assert found["reserve"].data == {"free": 2, "floor": 3, "low": 1}


def test_tiles_are_closed_empty_or_say_what_is_missing(filled, now):
    found = shown(filled, "dispatcher.binjiang", now)
    assert {code for code, tile in found.items() if tile.state == "denied"} == {
        "clues",
        "nev",
        "cost",
        "terminals",
        "quota",
    }
    assert found["reserve"].state == "empty"
    unit = shown(filled, "unit_admin.xhhealth", now)
    assert unit["live"].state == "denied"
    assert unit["sharing"].state == unit["cost"].state == "empty"
    office = world.actor(filled, "vehicle_office.city")
    with filled.transaction(office) as session:
        early = scope_of(session, actor=office, now=now.replace(year=2020))
        states = {one.code: one.state for one in tiles.tiles(session, early)}
    assert {code for code, state in states.items() if state == "failed"} == {"nev", "cost", "sharing", "terminals"}, (
        "no figure was in force"
    )
    assert states["quota"] == "filled"


def test_pages_lists_and_api_tell_the_same(browse, api):
    office = browse("vehicle_office.city")
    page = office.get("/dashboard").get_data(as_text=True)
    call = api("vehicle_office.city")
    figures = call("GET", "/dashboard").json
    told = {one["code"]: one for tile in figures["tiles"] for one in tile["figures"]}
    links = dict(re.findall(r'data-figure="(\w+)">\s*<a class="dash-number" href="([^"]+)"', page))
    for code in ONE_OF_EACH_TILE:
        answer = office.get(links[code].replace("&amp;", "&"))
        assert answer.status_code == 200, code
        listed = answer.get_data(as_text=True)
        total = int(re.search(r'data-total="(\d+)"', listed)[1])
        if MEASURES[one := told[code]["list"]].sums:
            rows = call("GET", f"/dashboard/rows/{one}?size=200").json
            assert float(sum(Decimal(row["amount"]) for row in rows)) == pytest.approx(told[one]["value"])
            assert len(rows) == total
        elif told[code]["unit"] == "count":
            assert total == told[code]["value"], code
    charts = re.findall(r"data-chart='([^']+)'", page)
    assert [json.loads(one)["kind"] for one in charts] == [
        "map",
        "ring",
        "bars",
        "gauge",
        "bars",
        "path",
        "months",
        "units",
        "bars",
    ]
    assert page.count('class="dash-table"') == 9


def test_who_may_not_look_is_told_so(database, browse, api):
    assert browse("driver.xhedu").get("/dashboard").status_code == 403
    leader = browse("leader.city")
    assert leader.get("/dashboard/tiles").status_code == 200
    assert leader.get("/dashboard/lists/clues_red").status_code == 403
    assert leader.get("/dashboard/lists/stock").status_code == 200
    assert leader.get("/dashboard/lists/nothing").status_code == 404
    assert api("leader.city")("GET", "/dashboard/rows/terminals").status_code == 403
    xihu = world.actor(database, "dispatcher.xihu").org_id
    assert browse("dispatcher.binjiang").get(f"/dashboard?org_id={xihu}").status_code == 403
    closed = browse("dispatcher.binjiang").get("/dashboard/tiles").get_data(as_text=True)
    assert closed.count('data-state="denied"') == 5
