"""The live board: an order dragged with the mouse and carried with the keyboard, undone, and seen by a second dispatcher."""

from datetime import timedelta

import pytest
from playwright.sync_api import expect

from fleetapp.kit import clock
from fleetapp.planning import again
from tests.browser.conftest import DESK, EAST, PHONE, ROOT, SEAT
from tests.walks import steps

pytestmark = pytest.mark.browser
WIDE = {"width": 1920, "height": 1080}
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
FAULTS = """async () => (await axe.run(document.querySelector("main"), {runOnly: ["wcag2a", "wcag2aa"]})).violations
  .map((one) => `${one.id}: ${one.nodes.map((node) => node.target).join(" | ").slice(0, 300)}`)"""


def noon_in(days):
    """Return ten o'clock of the office some days ahead."""
    return clock.start_of(clock.local_date(clock.now()) + timedelta(days=days)) + timedelta(hours=10)


@pytest.mark.parametrize(("size", "days"), [(DESK, 12), (WIDE, 13)])
def test_an_order_is_dragged_and_undone_and_another_window_sees_it(city, window, size, days):
    start = noon_in(days)
    order = steps.asked(city, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], approve=True)
    desk, other = window("dispatcher.xihu", size), window("dispatcher.city", size)
    for one in (desk, other):
        one.open(f"/board?day={start.date()}")
        expect(one.page.locator(f"[data-order='{order.id}']")).to_be_visible()
    page = desk.page
    card = page.locator(f"[data-order='{order.id}']").bounding_box()
    row = page.locator(".board-label", has_text="浙A10001").bounding_box()
    time = page.locator("[data-time]").bounding_box()
    page.mouse.move(card["x"] + 30, card["y"] + 12)
    page.mouse.down()
    page.mouse.move(time["x"] + time["width"] / 2, row["y"] + 10, steps=5)
    expect(page.locator(f"[data-checked='{order.id}']")).to_be_visible()
    expect(page.locator(".vis-label[data-fit=yes]").first).to_contain_text("可派")
    expect(page.locator(".vis-label[data-fit=no]").first).to_contain_text("不可派")
    page.mouse.move(time["x"] + time["width"] / 2, row["y"] + 12, steps=3)
    desk.picture("board_dragging")
    page.mouse.up()
    expect(page.locator("[data-say]")).to_contain_text("浙A10001")
    expect(page.locator(".board-bar")).to_have_count(1)
    expect(other.page.locator(".board-bar")).to_have_count(1, timeout=4000)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(FAULTS) == []
    desk.picture("board_given")
    page.keyboard.press("u")
    expect(page.locator(f"[data-order='{order.id}']")).to_be_visible()
    expect(page.locator(".board-bar")).to_have_count(0)


def test_the_keyboard_does_it_all_and_a_lock_is_kept(city, window):
    start = noon_in(14)
    order = steps.asked(city, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], approve=True)
    desk = window("dispatcher.xihu")
    desk.open(f"/board?day={start.date()}")
    page = desk.page
    card = page.locator(f"[data-order='{order.id}']")
    expect(card).to_be_visible()
    page.keyboard.press("q")
    expect(card).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(f"[data-checked='{order.id}']")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(page.locator(".board-bar")).to_have_count(1)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("l")
    expect(page.locator(".board-locked")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("[data-say]")).to_contain_text("锁定")
    page.keyboard.press("l")
    expect(page.locator(".board-locked")).to_have_count(0)
    page.keyboard.press("Delete")
    expect(card).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator("[data-help]")).to_be_visible()


def test_a_plan_is_made_on_the_board_taken_over_and_undone(city, window):
    start = noon_in(16)
    order = steps.asked(city, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], approve=True)
    desk = window("dispatcher.xihu")
    desk.open(f"/board?day={start.date()}")
    page = desk.page
    expect(page.locator(f"[data-order='{order.id}']")).to_be_visible()
    page.locator("[data-plan] summary").first.click()
    page.get_by_role("button", name="生成方案").click()
    expect(page.get_by_role("button", name="停止，用目前的结果")).to_be_visible()
    assert again.work(city, tick=clock.now) >= 1
    expect(page.locator(f"#p{order.id}")).to_be_checked()
    page.locator("#plan-box details summary").first.click()
    expect(page.locator(".board-why li").first).to_contain_text("可派")
    desk.picture("board_plan")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(FAULTS) == []
    page.set_viewport_size(PHONE)
    desk.picture("board_plan")
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="采用勾选的改动").click()
    expect(page.locator("#plan-box")).to_contain_text("已采用 1 项改动")
    expect(page.locator(".board-bar")).to_have_count(1)
    page.locator("[data-do=undo]").click()
    expect(page.locator(f"[data-order='{order.id}']")).to_be_visible()


def test_on_a_phone_the_time_line_begins_with_hours(city, window):
    start = noon_in(17)
    steps.dispatched(city, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], plate="浙A10001")
    phone = window("dispatcher.xihu", PHONE)
    phone.open(f"/board?day={start.date()}")
    expect(phone.page.locator(".board-bar")).to_have_count(1)
    phone.page.locator("[data-time]").scroll_into_view_if_needed()
    for hour in ("08:00", "12:00"):
        expect(phone.page.locator(".vis-time-axis .vis-minor", has_text=hour).first).to_be_visible()
    expect(phone.page.locator(".board-bar")).to_be_in_viewport()
    phone.picture("board_phone")


def test_a_vehicle_that_cannot_go_on_is_replaced_from_the_board(city, window):
    start = noon_in(18)
    steps.dispatched(city, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], plate="浙A10001")
    desk = window("dispatcher.xihu")
    desk.open(f"/board?day={start.date()}")
    page = desk.page
    expect(page.locator(".board-bar")).to_have_count(1)
    page.locator("[data-time]").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("s")
    dialog = page.locator("[data-substitute]")
    expect(dialog).to_contain_text("浙A10001 不能继续")
    expect(dialog).to_contain_text("分钟到达")
    desk.picture("board_substitute")
    dialog.get_by_role("button", name="选 浙AD00002").click()
    expect(page.locator("[data-say]")).to_contain_text("已为原车报修")
    page.locator(".board-bar").click()
    expect(page.locator("[data-say]")).to_contain_text("浙AD00002")


def test_a_board_left_open_leads_to_sign_in_when_the_session_is_over(window):
    desk = window("dispatcher.xihu")
    desk.open(f"/board?day={noon_in(20).date()}")
    expect(desk.page.locator("[data-pages]")).not_to_be_empty()
    desk.page.context.clear_cookies()
    desk.page.wait_for_url("**/sign-in?next=/board**")
    assert all("401" in text for text in desk.complaints), "the browser notes the refusal and nothing else"
    desk.complaints.clear()
