"""An order from a favourite with one thumb on a phone; the answer, the map and the search of the form."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from fleetapp.applications import rules, service
from fleetapp.kit import clock
from fleetapp.orders import queries as orders
from tests import world
from tests.browser.conftest import DESK, EAST, SEAT
from tests.walks import steps

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 800}
THUMB = 44
SMALL = """(least) => [...document.querySelectorAll(".fleet-trips a, .fleet-submit .btn, .fleet-application input:not([type=hidden]):not(.form-check-input):not(.form-selectgroup-input), .fleet-application select")]
  .filter((element) => element.offsetParent && element.getBoundingClientRect().height < least && !element.closest("details:not([open])"))
  .map((element) => `${element.getBoundingClientRect().height} px: ${element.outerHTML.slice(0, 120)}`)"""


@pytest.fixture(scope="module")
def favourite(city) -> str:
    """A favourite of the applicant, made of an order of theirs."""
    now = clock.now()
    start = now + timedelta(days=20)  # never the next working day, for which the form will ask
    order_id = steps.asked(city, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], approve=False).id
    actor = world.actor(city, "applicant.xhedu")
    with city.transaction(actor) as session:
        order = orders.get_order(session, order_id=order_id, actor=actor)
        return service.save_favourite(
            session, name="去东站接站", content=rules.content_of(order), actor=actor, now=now
        ).name


def test_an_order_from_a_favourite_takes_three_taps_at_most(window, favourite):
    opened = window("applicant.xhedu", PHONE)
    opened.open("/")
    taps = [opened.page.locator("main a[href='/orders/new']").first.click,
            opened.page.get_by_role("link", name=re.compile(favourite)).click,
            opened.page.locator(".fleet-submit .btn-primary").click]  # fmt: skip
    taps[0]()
    taps[1]()
    expect(opened.page.locator("#stop-1")).to_have_value(EAST.name)
    assert opened.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert opened.page.evaluate(SMALL, THUMB) == []
    box = opened.page.locator(".fleet-submit .btn-primary").bounding_box()
    assert PHONE["height"] * 2 / 3 < box["y"] < box["y"] + box["height"] <= PHONE["height"], "out of the thumb's reach"
    opened.picture("favourite-form")
    taps[2]()
    opened.page.wait_for_url(re.compile(r"/orders/\d+$"))
    assert len(taps) <= 3
    expect(opened.page.get_by_role("heading", level=1)).to_contain_text("YC")
    expect(opened.page.get_by_role("heading", name="附件", exact=True)).to_be_visible()
    opened.picture("favourite-order")


def test_the_form_answers_while_it_is_filled(window, favourite):
    opened = window("applicant.xhedu", DESK)
    opened.open("/orders/new")
    expect(opened.page.locator("[data-free]")).to_be_visible()
    before = opened.page.locator("[data-free]").inner_text()
    opened.page.locator("[name=passenger_count]").fill("12")
    expect(opened.page.locator("[data-free]")).not_to_have_text(before)
    opened.page.locator("#stop-0").fill("杭洲东站")
    opened.page.locator("#stop-0-list [role=option]").first.click()
    expect(opened.page.locator("[data-stop-located]").first).to_be_visible()
    opened.page.locator("#stop-1").focus()
    opened.page.keyboard.press("Escape")
    opened.page.locator("[data-map-open] summary").click()
    picker = opened.page.locator("[data-pick][data-ready]")
    expect(picker.locator("canvas").first).to_be_visible(timeout=20_000)  # a script of its own is loaded first
    picker.scroll_into_view_if_needed()
    picker.click(position={"x": 120, "y": 130})
    expect(opened.page.locator("[name=stop_lat]").nth(1)).not_to_have_value("")
    expect(opened.page.locator(".fleet-answer")).to_contain_text("估算里程")
    opened.picture("application-form")
