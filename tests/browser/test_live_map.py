"""The live map in a browser: vehicles move, list and map agree, a card opens, a lost connection is said, nobody is asked in vain."""

import pytest
from playwright.sync_api import expect

from fleetapp.kit import clock
from telematics.model import Fix
from tests.browser.conftest import PHONE, save

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("day")]

MAP = ".fleet-map"
HIDE = """(hidden) => { Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange")); }"""


def drive(url, phone, *, lat=30.262, speed_kmh=36.0):
    save(url, phone, [Fix(at=clock.now(), lat=lat, lon=120.13, speed_kmh=speed_kmh, direction_deg=45, acc=True)])


@pytest.fixture
def opened(window, url):
    drive(url, "13900000001")
    drive(url, "13900000002", lat=30.27, speed_kmh=0.0)
    found = window("dispatcher.xihu")
    found.open("/live")
    expect(found.page.locator(f"{MAP}[data-ready]")).to_be_attached()
    return found


def test_map_list_and_card_agree_and_follow(opened, url):
    page = opened.page
    rows = page.locator("#live-list button")
    expect(rows).to_have_count(3)
    expect(page.locator("#live-count-moving")).to_have_text("1")
    moving = page.get_by_role("button", name="浙A10001")
    expect(moving).to_contain_text("36 km/h")
    moving.click()
    card = page.locator("#live-card")
    expect(card).to_contain_text("浙A10001")
    expect(card.get_by_role("link", name="轨迹回放")).to_be_visible()
    expect(moving).to_have_attribute("aria-current", "true")
    opened.picture("live-map-card")
    drive(url, "13900000001", lat=30.263, speed_kmh=51.0)
    expect(moving).to_contain_text("51 km/h")
    expect(card).to_contain_text("51 km/h")
    page.locator("label", has_text="停放").click()
    expect(rows).to_have_count(1)
    page.locator("#live-search").fill("没有这辆车")
    expect(page.locator("#live-empty")).to_be_visible()
    expect(rows).to_have_count(0)


def test_a_lost_connection_is_said_and_comes_back(opened):
    page = opened.page
    page.route("**/api/v1/positions*", lambda route: route.abort())
    status = page.locator("#live-status")
    expect(status).to_have_attribute("data-state", "lost", timeout=12_000)
    expect(status).to_contain_text("连接中断")
    opened.picture("live-map-lost")
    page.unroute("**/api/v1/positions*")
    expect(status).to_have_attribute("data-state", "ok", timeout=20_000)
    opened.complaints[:] = [text for text in opened.complaints if "ERR_FAILED" not in text]


def test_nothing_is_asked_while_nobody_looks(opened):
    page = opened.page
    page.evaluate(HIDE, True)
    page.wait_for_timeout(500)
    before = page.locator(MAP).get_attribute("data-polls")
    page.wait_for_timeout(5_000)
    assert page.locator(MAP).get_attribute("data-polls") == before
    page.evaluate(HIDE, False)
    expect(page.locator(MAP)).not_to_have_attribute("data-polls", before)


def test_the_map_works_on_a_phone(window, url):
    drive(url, "13900000001")
    found = window("dispatcher.xihu", PHONE)
    found.open("/live")
    found.page.get_by_role("button", name="浙A10001").click()
    expect(found.page.locator("#live-card")).to_contain_text("36 km/h")
    found.picture("live-map-card")


def test_home_and_live_map_speak_the_same_language(window, url):
    drive(url, "13900000001")
    found = window("dispatcher.xihu")
    found.open("/")
    expect(found.page.locator("#live-count-moving")).to_have_text("1")
    expect(found.page.locator("#live-status")).to_contain_text("截至")


def test_a_vehicle_out_of_reach_has_no_card(window, url):
    found = window("dispatcher.xihu")
    ids = found.page.request.get(f"{found.base}/api/v1/positions").json()["vehicles"]
    own = ids[0]["vehicle_id"]
    assert found.page.request.get(f"{found.base}/live/vehicles/{own}").status == 200
    assert (
        found.page.request.get(f"{found.base}/live/vehicles/{max(one['vehicle_id'] for one in ids) + 999}").status
        == 404
    )
