"""The auditor's desk with the keyboard, strip and map in step, and the explanation on a phone."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("day")]
PHONE = {"width": 360, "height": 800}


def first_case(window, path="/findings"):
    window.open(path)
    return window.page.locator("tr[data-case] a[href^='/cases/']").first.get_attribute("href")


def test_the_queue_is_walked_and_a_case_replayed_by_keyboard(window):
    desk = window("auditor.city")
    page = desk.page
    desk.open("/findings")
    desk.picture("desk_queue")
    page.keyboard.press("j")
    expect(page.locator("tr[data-case]").first).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator("[data-marked]")).to_have_text("1")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/cases/\d+"))
    expect(page.locator(".fleet-map[data-ready]")).to_be_visible()
    strip = page.locator("[data-strip]")
    before = page.locator("#track-clock").inner_text()
    box = strip.bounding_box()
    strip.click(position={"x": box["width"] * 0.55, "y": box["height"] / 2})
    expect(page.locator("#track-clock")).not_to_have_text(before)
    at = float(strip.get_attribute("aria-valuenow"))
    share = (at - float(strip.get_attribute("data-start"))) / (
        float(strip.get_attribute("data-end")) - float(strip.get_attribute("data-start"))
    )
    assert 0.2 < share < 0.75  # where the click was, or the last position before it
    desk.picture("desk_case")
    page.locator("#track-slider").evaluate(
        "(slider) => { slider.value = 5; slider.dispatchEvent(new Event('input')); }"
    )
    moved = float(strip.get_attribute("aria-valuenow"))
    assert moved != at
    strip.focus()
    page.keyboard.press("Space")
    expect(page.locator("#track-play")).to_have_attribute("aria-pressed", "true")
    page.wait_for_timeout(600)
    page.keyboard.press("Space")
    expect(page.locator("#track-play")).to_have_attribute("aria-pressed", "false")
    assert float(strip.get_attribute("aria-valuenow")) > moved


def test_the_pages_of_oversight(window):
    desk = window("auditor.city")
    for path, name in (
        ("/supervision/rules", "desk_rules"),
        ("/supervision/samples", "desk_samples"),
        ("/supervision/quiet", "desk_quiet"),
    ):
        desk.open(path)
        desk.picture(name)
    desk.open("/supervision/near")
    page = desk.page
    page.locator(".fleet-map[data-ready]").click(position={"x": 300, "y": 180})
    expect(page.locator("#f-lat")).to_have_value(re.compile(r"^30\.\d{5}$"))
    page.fill("#f-lat", "30.275")
    page.fill("#f-lon", "120.165")
    start = page.locator("#f-start").input_value()
    page.fill(
        "#f-start",
        page.evaluate(
            "(day) => { const d = new Date(day); d.setDate(d.getDate() - 2); return new Date(d - d.getTimezoneOffset() * 6e4).toISOString().slice(0, 16); }",
            start,
        ),
    )
    page.fill("#f-purpose", "核查群众举报线索")
    page.get_by_role("button", name="搜索").click()
    expect(page.locator("main table")).to_contain_text("浙AD00002")
    desk.picture("desk_near")
    desk.open("/supervision/looks")
    expect(page.locator("main table")).to_contain_text("核查群众举报线索")
    desk.picture("desk_looks")


def test_the_person_asked_explains_on_a_phone_and_the_desk_reads_it(window):
    phone = window("unit_admin.xhedu", PHONE)
    path = first_case(phone)
    phone.open(f"{path}/explain")
    page = phone.page
    phone.picture("explain")
    page.fill("#f-text", "好")
    page.get_by_role("button", name="提交说明").click()
    expect(page.locator("#d-text")).to_contain_text("至少填写 4 个字")
    phone.complaints.clear()  # the browser names the 422 of the refused form
    page.fill("#f-text", "临时送急件到市政府，口头请示过科长，来不及补单。")
    page.set_input_files("#f-papers", [{"name": "签收单.png", "mimeType": "image/png", "buffer": page.screenshot()}])
    expect(page.locator("#chosen-papers li")).to_contain_text("签收单.png")
    page.get_by_role("button", name="提交说明").click()
    page.wait_for_url(re.compile(rf"{path}$"))
    phone.open(f"{path}/explain")
    phone.picture("explained")
    desk = window("fleet_manager.xihu")
    desk.open(path)
    expect(desk.page.locator("main")).to_contain_text("临时送急件到市政府")
    expect(desk.page.locator(".thread-papers img")).to_be_visible()
    desk.picture("desk_verify")
    desk.page.fill("#f-unit", "已向科长核实，确有急件。")
    desk.page.get_by_role("button", name="核实属实，上报").click()
    office = window("vehicle_office.city")
    office.open(path)
    expect(office.page.locator("[data-reason]")).to_be_hidden()
    office.page.get_by_label("核实合规：用车符合规定").check()
    expect(office.page.locator("[data-reason]")).to_be_visible()
    office.picture("desk_decide")
    office.page.select_option("[name=reason]", "urgent_duty")
    office.page.locator("form[data-decide] textarea").fill("急件属实，予以排除。")
    office.page.get_by_role("button", name="作出结论").click()
    expect(office.page.locator("main")).to_contain_text("已归档")
