"""The dashboard in a browser: charts are drawn, tables say the same, a lost connection is told, the wall fits one screen."""

import pytest
from playwright.sync_api import expect

from fleetapp.kit import clock
from tests.browser.conftest import DESK, PHONE
from tests.dashboard.conftest import fill

pytestmark = pytest.mark.browser
WALL = {"width": 1920, "height": 1080}
PAINTED = """() => [...document.querySelectorAll("[data-chart] canvas")].map((canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.some((value, place) => place % 4 === 3 && value > 0);
})"""
OVERFLOW = "() => document.documentElement.scrollHeight - innerHeight"
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def filled(city):
    fill(city, clock.now())
    return city


def test_charts_are_drawn_and_tables_say_the_same(filled, window):
    desk = window("leader.city")
    desk.open("/dashboard")
    page = desk.page
    expect(page.locator("[data-chart] canvas")).to_have_count(9)
    page.wait_for_timeout(500)
    assert page.evaluate(PAINTED) == [True] * 9
    table = page.locator(".dash-tile-live details")
    table.locator("summary").press("Enter")
    expect(table.get_by_role("row", name="在途")).to_contain_text("1")
    tip = page.locator("#def-stock")
    expect(tip).to_be_hidden()
    page.locator("[aria-describedby=def-stock].dash-info").focus()
    expect(tip).to_be_visible()
    page.keyboard.press("Escape")
    page.evaluate("document.dispatchEvent(new Event('dash:refresh'))")
    expect(table).to_have_attribute("open", "")
    page.route("**/dashboard/tiles*", lambda route: route.fulfill(status=503, body=""))
    page.evaluate("document.dispatchEvent(new Event('dash:refresh'))")
    expect(page.locator(".dash-stale")).to_contain_text("没有刷新成功")
    desk.complaints[:] = [
        text for text in desk.complaints if "503" not in text
    ]  # the browser tells of the refusal itself
    page.locator("[data-figure=live_on_road] a").click()
    expect(page.locator("[data-sum=live_on_road]")).to_have_text("1")
    assert page.evaluate(TOO_WIDE) <= 0


@pytest.mark.parametrize("size", [WALL, DESK, PHONE], ids=["wall", "desk", "phone"])
def test_the_wall_fits_its_screen(filled, window, size):
    shown = window("leader.city", size)
    shown.open("/dashboard/wall" if size is not PHONE else "/dashboard")
    expect(shown.page.locator("[data-figure=stock]")).to_contain_text("6")
    shown.page.wait_for_timeout(500)
    shown.picture("dashboard")
    assert shown.page.evaluate(TOO_WIDE) <= 0
    if size is WALL:
        assert shown.page.evaluate(OVERFLOW) <= 0
