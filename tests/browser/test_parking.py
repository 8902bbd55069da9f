"""Drawing a parking area by hand, and by keyboard alone."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("day")]


def test_an_area_is_drawn_on_the_map_and_saved(window):
    opened = window("fleet_manager.xihu")
    opened.open("/parking/new")
    page = opened.page
    element = page.locator(".fleet-map[data-ready]")
    expect(element).to_be_visible()
    box = element.bounding_box()
    for _ in range(6):  # close enough for an area of less than two kilometres
        page.mouse.move(box["x"] + 200, box["y"] + 200)
        page.mouse.wheel(0, -400)
        page.wait_for_timeout(300)
    for x, y in [(200, 200), (240, 200), (240, 240)]:
        page.mouse.click(box["x"] + x, box["y"] + y)
        page.wait_for_timeout(300)  # two clicks close in time would end the drawing
    page.mouse.dblclick(box["x"] + 200, box["y"] + 240)
    expect(page.locator("#f-corners")).to_have_value(re.compile(r"^30\.\d{6}, 120\.\d{6}\n"))
    page.select_option("#f-org_id", index=0)
    page.fill("#f-name_zh", "东门停车场")
    page.fill("#f-name_en", "East gate")
    opened.picture("parking_new")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("table")).to_contain_text("东门停车场")
    opened.picture("parking")


def test_typed_corners_are_shown_on_the_map_and_faults_keep_what_was_typed(window):
    opened = window("fleet_manager.xihu")
    opened.open("/parking/new")
    page = opened.page
    page.locator("#f-corners").focus()
    page.keyboard.type("30.2600, 120.1100\n30.2606, 120.1100\n30.2606")
    page.fill("#f-name_zh", "西门停车场")
    page.fill("#f-name_en", "West gate")
    opened.complaints.clear()
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#d-corners")).to_contain_text("第 3 个角点有误")
    expect(page.locator("#f-name_zh")).to_have_value("西门停车场")
    opened.complaints.clear()  # the browser names the 422 of the refused form
