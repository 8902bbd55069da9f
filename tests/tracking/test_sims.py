"""SIM cards of terminals: what is refused, who may enter one, when it is said that a card ends, who is told."""

import csv
import io
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.tracking import condition, health, jobs, rules, sims
from fleetapp.tracking.condition import Fault
from fleetapp.tracking.rules import Carrier
from tests import world
from tests.conftest import NOW
from tests.tracking.conftest import BINJIANG, XIHU, XIHU2

pytestmark = pytest.mark.usefixtures("nine")

TODAY = date(2026, 11, 18)


def with_check(digits):
    """Return the digits with the last one that ITU-T E.118 asks for."""
    return next(f"{digits}{last}" for last in range(10) if luhn(f"{digits}{last}"))


def luhn(number):
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


CARD, OTHER, LONG = (
    with_check("898601157890123456"),
    with_check("898603157890123456"),
    with_check("8986011578901234567"),
)


@pytest.fixture
def enter(database, acting, terminal):
    """Enter a card as somebody; 30 days is what the policy says a card is warned of before."""

    def put(phone=XIHU, username="fleet_manager.xihu", **values):
        actor = acting(username)
        given = {
            "iccid": CARD,
            "carrier": Carrier.MOBILE,
            "valid_until": TODAY + timedelta(days=200),
            "data_mb": None,
        } | values
        with database.transaction(actor) as session:
            return sims.enter(session, terminal_id=terminal(phone), **given, actor=actor, now=NOW)

    return put


def listed(database, acting, **which):
    actor = acting("fleet_manager.xihu")
    with database.transaction(actor) as session:
        limits = health.bounds(session, now=NOW)
        rows = session.execute(health.listed(actor, limits=limits, now=NOW, **which)).all()
        return {one.row.plate: one for one in health.described(session, rows, limits=limits, now=NOW)}


@pytest.mark.parametrize("number", [CARD, LONG])
def test_a_number_is_kept_as_its_digits(number):
    assert rules.iccid(f" {number[:4]} {number[4:10]}-{number[10:]}\n") == number


@pytest.mark.parametrize("number", ["", CARD[:18], LONG + "0", "8986011A78901234561", CARD.replace("8", "８")])
def test_a_number_of_another_length_or_with_letters_is_refused(number):
    with pytest.raises(RuleBroken, match=r"tracking\.sim_digits"):
        rules.iccid(number)


@pytest.mark.parametrize("number", [CARD, LONG])
def test_any_one_wrong_digit_breaks_the_check(number):
    for place, digit in enumerate(number):
        wrong = number[:place] + str((int(digit) + 1) % 10) + number[place + 1 :]
        with pytest.raises(RuleBroken, match=r"tracking\.sim_check"):
            rules.iccid(wrong)


@pytest.mark.parametrize(
    ("day", "fits"),
    [(date(2009, 12, 31), False), (date(2010, 1, 1), True), (date(2046, 12, 31), True), (date(2047, 1, 1), False)],
)
def test_a_last_day_must_lie_within_reason(day, fits):
    if fits:
        assert rules.sim_until(day, today=TODAY) == day
    else:
        with pytest.raises(RuleBroken, match=r"tracking\.sim_date"):
            rules.sim_until(day, today=TODAY)


@pytest.mark.parametrize(
    ("left", "fault"),
    [(None, None), (31, None), (30, Fault.SIM_ENDING), (0, Fault.SIM_ENDING), (-1, Fault.SIM_ENDED)],
)
def test_a_card_is_a_fault_from_so_many_days_before_it_ends(left, fault):
    assert condition.sim_fault(left, warn_days=30) is fault


@pytest.mark.parametrize(
    ("left", "fault"), [(31, None), (30, Fault.SIM_ENDING), (0, Fault.SIM_ENDING), (-1, Fault.SIM_ENDED)]
)
def test_the_list_says_it_and_finds_it(database, acting, enter, left, fault):
    enter(valid_until=TODAY + timedelta(days=left))
    one = listed(database, acting)["浙A10001"]
    assert {known for known in one.faults if known in condition.SIM_FAULTS} == ({fault} if fault else set())
    assert one.sim_left == left
    for known in condition.SIM_FAULTS:
        assert ("浙A10001" in listed(database, acting, fault=known)) is (known is fault)


def test_the_filter_gives_what_ends_soonest_first(database, acting, enter):
    enter(XIHU, valid_until=TODAY + timedelta(days=20))
    enter(XIHU2, valid_until=TODAY + timedelta(days=3), iccid=OTHER)
    assert list(listed(database, acting, fault=Fault.SIM_ENDING, sort="plate")) == ["浙AD00002", "浙A10001"]
    assert list(listed(database, acting, sort="sim")) == ["浙AD00002", "浙A10001", "浙A10003"]


def test_a_new_card_takes_the_old_ones_place_and_both_are_in_the_log(database, enter, terminal):
    enter()
    enter(iccid=OTHER, carrier=Carrier.UNICOM, data_mb=500)
    with database.transaction(SYSTEM) as session:
        entries = session.execute(
            text("SELECT subject_id, data FROM audit_entry WHERE action = 'tracking.sim_entered' ORDER BY seq")
        ).all()
        kept = session.execute(text("SELECT terminal_id, iccid, carrier, data_mb FROM terminal_sim")).all()
    assert kept == [(terminal(XIHU), OTHER, "unicom", 500)]
    assert [entry.subject_id for entry in entries] == [str(terminal(XIHU))] * 2
    assert entries[0].data["before"] is None
    assert (entries[1].data["before"]["iccid"], entries[1].data["after"]["iccid"]) == (CARD, OTHER)


def test_another_units_terminal_is_not_found_and_who_only_looks_may_not_enter(enter):
    with pytest.raises(NotFound):
        enter(BINJIANG)
    with pytest.raises(NotAllowed):
        enter(username="vehicle_office.city")


def test_the_page_shows_enters_and_explains_what_is_wrong(browse, terminal, enter):
    client, page = browse("fleet_manager.xihu"), f"/terminals/{terminal(XIHU)}"
    assert "尚未登记" in client.get(page).get_data(as_text=True)
    good = {"iccid": CARD, "carrier": "telecom", "valid_until": "2026-11-20", "data_mb": "300"}
    assert client.submit(f"{page}/sim", **good).status_code == 302
    shown = client.get(page).get_data(as_text=True)
    assert all(word in shown for word in (CARD, "中国电信", "2026-11-20", "流量卡 2 天内到期"))
    health_list = client.get("/terminals/health").get_data(as_text=True)
    assert "流量卡 30 天内到期" in health_list
    assert "流量卡至 2026-11-20" in health_list
    wrong = {"iccid": CARD[:-1] + str(9 - int(CARD[-1])), "valid_until": "2126-11-20"}
    for name, words in (("iccid", "校验位不符"), ("valid_until", "请检查年份")):
        answer = client.submit(f"{page}/sim", **good | {name: wrong[name]})
        assert (answer.status_code, words in answer.get_data(as_text=True)) == (422, True)
        assert f'value="{wrong[name]}"' in answer.get_data(as_text=True), "what was typed stays in the form"
    enter(XIHU2, iccid=OTHER)
    answer = client.submit(f"{page}/sim", **good | {"iccid": OTHER})
    assert (answer.status_code, "另一台终端" in answer.get_data(as_text=True)) == (422, True)
    client.set_cookie("lang", "en")
    assert "another terminal" in client.submit(f"{page}/sim", **good | {"iccid": OTHER}).get_data(as_text=True)


def test_who_may_not_enter_sees_the_card_without_a_form_and_is_refused(browse, terminal, enter):
    enter()
    looks, page = browse("vehicle_office.city"), f"/terminals/{terminal(XIHU)}"
    good = {"iccid": CARD, "carrier": "telecom", "valid_until": "2027-11-20"}
    shown = looks.get(page).get_data(as_text=True)
    assert (CARD in shown, "保存流量卡" in shown) == (True, False)
    assert looks.submit(f"{page}/sim", **good).status_code == 403
    assert browse("applicant.xhedu").submit(f"{page}/sim", **good).status_code == 403
    other = browse("fleet_manager.binjiang")
    assert other.submit(f"{page}/sim", **good).status_code == 404


def test_the_api_and_the_file_have_the_card(api, browse, terminal):
    call, path = api("fleet_manager.xihu"), f"/terminals/{terminal(XIHU)}/sim"
    assert call("GET", path).status_code == 404
    card = {"iccid": CARD, "carrier": "mobile", "valid_until": "2027-06-30", "data_mb": 1024}
    assert call("PUT", path, json=card).status_code == 200
    assert call("GET", path).json == {"terminal_id": terminal(XIHU), **card}
    refused = call("PUT", path, json=card | {"iccid": "1"})
    assert (refused.status_code, refused.json["code"]) == (422, "tracking.sim_digits")
    assert api("vehicle_office.city")("PUT", path, json=card).status_code == 403
    lines = csv.DictReader(
        io.StringIO(browse("fleet_manager.xihu").submit("/terminals/health.file", form="csv").data.decode("utf-8-sig"))
    )
    found = {line["车牌"]: line for line in lines}["浙A10001"]
    assert (found["流量卡 ICCID"].strip("\t'"), found["运营商"], found["流量卡有效期至"]) == (
        CARD,
        "中国移动",
        "2027-06-30",
    )


def test_fleet_managers_are_told_once_of_cards_that_end_together(database, enter, acting):
    until = TODAY + timedelta(days=30)
    enter(XIHU, valid_until=until)
    enter(XIHU2, valid_until=until, iccid=OTHER)
    enter(BINJIANG, "fleet_manager.binjiang", valid_until=until + timedelta(days=1), iccid=LONG)
    for _ in range(2):
        jobs.remind(database, NOW)
    with database.transaction(SYSTEM) as session:
        told = session.execute(
            text("SELECT user_id, params FROM notice WHERE code = 'tracking.notice.sim_ending'")
        ).all()
    assert told == [(world.user_id(database, "fleet_manager.xihu"), {"n": "2", "on": until.isoformat()})]
