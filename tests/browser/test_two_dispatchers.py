"""Two dispatchers press at the same time: one gets the vehicle, the other is told why not, and nothing is lost."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from fleetapp.kit import clock
from tests.browser.conftest import DESK, EAST, SEAT
from tests.walks import steps

pytestmark = pytest.mark.browser

PRESS = """(plate) => [...document.querySelectorAll("form")]
  .find((form) => form.querySelector(`button[aria-label$="${plate}"]`) && form.elements.vehicle_id).requestSubmit()"""


def test_one_vehicle_goes_to_one_of_two_orders(city, window):
    start = clock.now() + timedelta(days=9)
    orders = [
        steps.asked(city, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], approve=True, unit=unit)
        for unit in ("xhedu", "xhhealth")
    ]
    desks = [window(name, DESK) for name in ("dispatcher.xihu", "dispatcher.city")]
    for desk, order in zip(desks, orders, strict=True):
        desk.open(f"/orders/{order.id}/assign")
    for desk in desks:
        desk.page.evaluate(PRESS, "浙A10001")  # returns at once: both requests are under way together
    for desk in desks:
        desk.page.wait_for_load_state("networkidle")
    said = [desk.page.locator("main").inner_text() for desk in desks]
    assert sum("已派车" in text for text in said) == 1, said
    loser = next(desk for desk, text in zip(desks, said, strict=True) if "已派车" not in text)
    expect(loser.page.get_by_role("alert")).to_contain_text("浙A10001")
    assert re.search(r"/assign$", loser.page.url), "the loser may choose another vehicle on the same page"
    assert all("409" in text for text in loser.complaints), "the browser notes the refusal and nothing else"
    loser.complaints.clear()
