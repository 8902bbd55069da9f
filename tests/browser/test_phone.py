"""A driver's day on the phone, with and without a network, with a browser and a server that die on the way."""

import json
from datetime import timedelta

import pytest
from playwright.sync_api import expect, sync_playwright
from sqlalchemy import func, select

from fleetapp.duty.models import DutyEvent, TripExpense
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.phone import service
from fleetapp.phone.models import PhoneAction, PhonePosition
from fleetapp.planning import signing
from fleetapp.upkeep.models import WorkOrder
from fleetapp.vehicles.models import Vehicle
from tests import serving, world
from tests.browser.conftest import EAST, SEAT
from tests.browser.phones import film, phone
from tests.walks import steps

pytestmark = pytest.mark.browser
PLATE = "浙A10001"


@pytest.fixture(scope="module")
def playwright():
    expect.set_options(timeout=20_000)
    with sync_playwright() as found:
        yield found
    expect.set_options(timeout=5_000)


@pytest.fixture(scope="module")
def code(city):
    """The code on the dashboard of the vehicle."""
    who = world.actor(city, "fleet_manager.xihu")
    with city.transaction(who) as session:
        vehicle_id = session.scalars(select(Vehicle.id).where(Vehicle.plate == PLATE)).one()
        [made] = service.issue(
            session, vehicle_ids=[vehicle_id], keys=signing.derived("only for tests"), actor=who, now=clock.now()
        )
        return made


@pytest.fixture
def duty(city):
    """Return a maker of a duty in a slot of its own; the codes of vehicles may be scanned for the first three."""

    def make(slot):
        start = clock.now().replace(second=0, microsecond=0) + timedelta(minutes=20 + 50 * slot)
        _, made = steps.dispatched(
            city, start=start, end=start + timedelta(minutes=15), stops=[SEAT, EAST], plate=PLATE
        )
        return made

    return make


def of(city, table, duty_id):
    with city.transaction(SYSTEM) as session:
        return session.scalars(select(table).where(table.assignment_id == duty_id).order_by(table.id)).all()


def walked(found, code):
    """Take the next step of the open duty as a thumb does; returns its kind."""
    page = found.page
    heading = page.locator(".now h2").first.inner_text()
    if heading == "扫码核对车辆":
        page.get_by_label("标签上的 8 位码").fill(code.manual)
        found.button("核对")
    elif heading == "出车前检查":
        found.button("全部正常")
        found.button("提交检查结果")
    elif heading in {"确认出车", "收车"}:
        reading = page.locator(".now .hint").first.inner_text().split()[1]
        page.get_by_label("仪表里程（公里）").first.fill(str(float(reading) + 12))
        found.button(heading)
    else:
        found.button(heading)
    return heading


HEADINGS = ["接单", "扫码核对车辆", "出车前检查", "确认出车", "乘客已上车", f"到达 {EAST.name}", "收车"]
KINDS = ["ACCEPT", "SCAN", "WALK_ROUND", "CHECK_OUT", "BOARD", "ARRIVE", "CHECK_IN"]
JPEG = {"name": "p.jpg", "mimeType": "image/jpeg"}


def test_a_day_with_a_network_and_a_camera(playwright, base, city, code, duty, tmp_path):
    duty_id = duty(0)
    with phone(playwright, base, tmp_path, film(code.text, tmp_path / "code.y4m")) as found:
        found.sign_in()
        page = found.page
        found.picture("today")
        # By its number: another test's duty of the same vehicle may stand on the page too.
        page.locator(f'a[href="#/task/{duty_id}"]').click()
        expect(page.locator(".now h2")).to_have_text("接单")
        found.picture("accept")
        found.button("接单")
        expect(page.locator(".now h2")).to_have_text("扫码核对车辆")
        found.picture("scan")
        found.button("打开相机扫码")
        expect(page.locator(".now h2")).to_have_text("出车前检查", timeout=40_000)
        page.get_by_role("group", name="轮胎气压与花纹").get_by_role("radio", name="有问题").check()
        page.get_by_label("轮胎气压与花纹：哪里不对").fill("左前胎鼓包")
        found.button("全部正常")
        found.picture("walk")
        with page.expect_file_chooser() as chooser:
            page.get_by_text("拍照").click()
        chooser.value.set_files({**JPEG, "buffer": page.screenshot(type="jpeg")})
        expect(page.get_by_text("已拍 1 张")).to_be_visible()
        found.button("提交检查结果")
        expect(page.locator(".now h2")).to_have_text("确认出车")
        expect(page.get_by_text("已生成报修单")).to_be_visible()
        found.picture("odometer")
        assert walked(found, code) == "确认出车"
        expect(page.locator("#live")).to_be_visible()
        found.picture("under-way")
        page.locator(".now summary", has_text="导航").click()
        assert (
            page.get_by_role("link", name="百度")
            .get_attribute("href")
            .startswith("baidumap://map/direction?destination=latlng:30.")
        )
        for heading in HEADINGS[4:]:
            expect(page.locator(".now h2")).to_have_text(heading)
            if heading == "收车":
                page.get_by_text("登记费用").click()
                page.get_by_role("group", name="费用类别").get_by_role("radio", name="通行费").check()
                page.get_by_label("金额（元）").fill("12.5")
                found.picture("expense")
                found.button("保存")
                expect(page.get_by_text("¥12.50")).to_be_visible()
            assert walked(found, code) == heading
        expect(page.get_by_text("本次任务已完成")).to_be_visible()
        expect(page.locator("#badge")).to_have_text("已全部上传")
        expect(page.locator("#live")).to_have_count(0)
        found.picture("done")
        for name in ("mine", "messages", "leave"):
            found.open(f"#/{name}")
            found.picture(name)
    assert [one.kind for one in of(city, PhoneAction, duty_id)] == [*KINDS[:6], "EXPENSE", "CHECK_IN"]
    assert {one.outcome for one in of(city, PhoneAction, duty_id)} == {"APPLIED"}
    assert [str(one.amount) for one in of(city, TripExpense, duty_id)] == ["12.50"]
    assert len(of(city, PhonePosition, duty_id)) >= 1
    with city.transaction(SYSTEM) as session:
        assert "左前胎鼓包" in session.scalars(select(WorkOrder.fault)).one()


def test_nothing_is_lost_nor_done_twice_when_the_battery_dies_after_every_tap(
    playwright, base, city, code, duty, tmp_path
):
    """Every step is taken without a network, and the browser is killed after it; one more tap is never needed."""
    duty_id = duty(1)
    with phone(playwright, base, tmp_path) as found:
        found.sign_in()
        for number, heading in enumerate(HEADINGS, start=1):
            found.context.set_offline(True)
            found.open(f"#/task/{duty_id}")
            expect(found.page.locator(".now h2")).to_have_text(heading)
            assert walked(found, code) == heading
            expect(found.page.locator("#badge")).to_have_text(f"{number} 条未上传")
            if number == 4:
                found.picture("offline")
                found.open("#/")
                found.picture("offline-today")
                found.open("#/queue")
                found.picture("queue")
            found.kill()
            found.start()
        assert of(city, PhoneAction, duty_id) == []
        found.context.set_offline(True)
        found.open(f"#/task/{duty_id}")
        expect(found.page.get_by_text("本次任务已完成")).to_be_visible()
        expect(found.page.locator("#badge")).to_have_text("7 条未上传")
        found.context.set_offline(False)
        expect(
            found.page.get_by_role("link", name="登录", exact=True)
        ).to_be_visible()  # the sign-in ended with the browser
        found.sign_in()
        found.open("#/queue")
        expect(found.page.get_by_role("main").get_by_text("已全部上传")).to_be_visible(timeout=40_000)
    rows = of(city, PhoneAction, duty_id)
    assert [(one.kind, one.outcome) for one in rows] == [(kind, "APPLIED") for kind in KINDS]
    assert [one.at for one in rows] == sorted(one.at for one in rows)
    assert all(one.at < one.received_at for one in rows)
    assert [one.action for one in of(city, DutyEvent, duty_id)] == ["ACCEPT", "CHECK_OUT", "ARRIVE", "CHECK_IN"]


def test_an_answer_lost_on_the_way_is_asked_for_again(playwright, base, city, duty, tmp_path):
    """The server has done it, the phone does not know: it sends the same again, and nothing happens twice."""
    duty_id = duty(4)
    sent = []
    with phone(playwright, base, tmp_path) as found:
        found.sign_in()

        def lose(route):
            sent.append(json.loads(route.request.post_data.partition('name="action"')[2].split("\r\n")[2])["key"])
            route.fetch()
            route.abort()

        found.page.route("**/phone/actions", lose)
        found.open(f"#/task/{duty_id}")
        found.button("接单")
        expect(found.page.locator("#badge")).to_have_text("1 条未上传")
        expect(found.page.get_by_text("没有网络。")).to_be_visible()
        assert len(of(city, PhoneAction, duty_id)) == 1
        found.page.unroute("**/phone/actions")
        found.open("#/queue")
        expect(found.page.locator("#badge")).to_have_text("已全部上传")
    [row] = of(city, PhoneAction, duty_id)
    assert {row.key} == set(sent)
    assert len(of(city, DutyEvent, duty_id)) == 1


def test_a_server_that_is_gone_is_no_network(playwright, url, logs, city, duty, tmp_path):
    duty_id = duty(3)
    folder = tmp_path / "logs"
    folder.mkdir()
    with serving.web(url, folder) as address:
        port = address.rpartition(":")[2]
        found = phone(playwright, address, tmp_path / "browser")
        opened = found.__enter__()
        opened.sign_in()
    opened.open(f"#/task/{duty_id}")
    opened.button("接单")
    expect(opened.page.locator("#badge")).to_have_text("1 条未上传")
    assert of(city, PhoneAction, duty_id) == []
    env = serving.environment(url, FLEET_PORT=port, FLEET_WORKERS="1")
    with serving.program(
        "web",
        ["gunicorn", "-c", "config/gunicorn.py", "wsgi:app"],
        env,
        folder,
        r"Listening at: (http://127\.0\.0\.1:\d+)",
    ):
        assert serving.exchange(address, "GET", "/healthz", None, {}).status == 200
        opened.page.evaluate("window.dispatchEvent(new Event('online'))")
        expect(opened.page.locator("#badge")).to_have_text("已全部上传", timeout=40_000)
        found.__exit__(None, None, None)
    assert [one.kind for one in of(city, PhoneAction, duty_id)] == ["ACCEPT"]


def test_what_the_server_refuses_is_told_and_put_right_in_its_place(playwright, base, city, code, duty, tmp_path):
    duty_id = duty(2)
    with city.transaction(SYSTEM) as session:
        vehicle = session.scalars(select(Vehicle).where(Vehicle.plate == PLATE)).one()
        low = vehicle.odometer_m / 1000
    with phone(playwright, base, tmp_path) as found:
        found.sign_in()
        found.context.set_offline(True)
        found.open(f"#/task/{duty_id}")
        for heading in HEADINGS[:3]:
            expect(found.page.locator(".now h2")).to_have_text(heading)
            walked(found, code)
        expect(found.page.locator(".now h2")).to_have_text("确认出车")
        found.page.get_by_label("仪表里程（公里）").fill(str(low + 9000))  # a digit too many
        found.button("确认出车")
        found.button("乘客已上车")
        expect(found.page.locator("#badge")).to_have_text("5 条未上传")
        found.context.set_offline(False)
        expect(found.page.locator("#badge")).to_have_text("2 条未上传", timeout=40_000)
        found.open("#/queue")
        expect(found.page.locator("li.bad")).to_contain_text("多出太多")
        expect(found.page.get_by_text("等前面一条处理后再传")).to_be_visible()
        found.picture("conflict")
        found.page.get_by_role("link", name="重新提交").click()
        found.page.get_by_label("仪表里程（公里）").fill(str(low + 9))
        found.picture("conflict-form")
        found.button("确认出车")
        expect(found.page.locator("#badge")).to_have_text("已全部上传", timeout=40_000)
        found.open(f"#/task/{duty_id}")
        for heading in HEADINGS[5:]:  # a duty left under way would be in the other tests' way
            expect(found.page.locator(".now h2")).to_have_text(heading)
            walked(found, code)
        expect(found.page.locator("#badge")).to_have_text("已全部上传", timeout=40_000)
    rows = [(one.kind, one.outcome, one.code) for one in of(city, PhoneAction, duty_id)]
    assert rows[3:6] == [
        ("CHECK_OUT", "REFUSED", "duty.odometer_far"),
        ("CHECK_OUT", "APPLIED", None),
        ("BOARD", "APPLIED", None),
    ]


def test_a_new_version_waits_for_the_driver_and_keeps_the_queue(playwright, base, city, duty, tmp_path):
    duty_id = duty(5)
    with phone(playwright, base, tmp_path) as found:
        found.sign_in()
        found.page.route("**/phone/state", lambda route: route.abort())
        found.open(f"#/task/{duty_id}")
        found.button("接单")
        expect(found.page.locator("#badge")).to_have_text("1 条未上传")
        # The words are part of a version: another language is another one.
        found.context.add_cookies([{"name": "lang", "value": "en", "url": base}])
        found.page.evaluate("navigator.serviceWorker.getRegistration().then((one) => one.update())")
        found.page.get_by_role("button", name="有新版本").click()
        expect(found.page.locator("html")).to_have_attribute("lang", "en", timeout=40_000)
        expect(found.page.locator("#badge")).to_have_text("1 not sent")
        found.page.unroute("**/phone/state")
        found.open("#/queue")
        expect(found.page.locator("#badge")).to_have_text("All sent")
    assert len(of(city, PhoneAction, duty_id)) == 1


def test_signed_out_and_signed_in_as_somebody_else_nothing_goes_out_in_another_name(
    playwright, base, city, code, duty, tmp_path
):
    duty_id = duty(6)
    with phone(playwright, base, tmp_path) as found:
        found.sign_in()
        found.open(f"#/task/{duty_id}")
        expect(found.page.locator(".now h2")).to_have_text("接单")
        found.context.clear_cookies()
        found.button("接单")
        expect(found.page.get_by_role("link", name="登录", exact=True)).to_be_visible()
        expect(found.page.locator("#badge")).to_have_text("1 条未上传")
        found.picture("signed-out")
        found.sign_in("driver2.xhedu")
        found.open("#/queue")
        expect(found.page.get_by_text("另有 1 条是其他账号留下的")).to_be_visible()
        assert of(city, PhoneAction, duty_id) == []
        found.context.clear_cookies()
        found.sign_in()
        found.open(f"#/task/{duty_id}")
        expect(found.page.locator(".now h2")).to_have_text("扫码核对车辆", timeout=40_000)
        expect(found.page.locator("#badge")).to_have_text("已全部上传")
    assert len(of(city, PhoneAction, duty_id)) == 1


def test_help_needs_two_seconds_and_goes_out_once(playwright, base, city, tmp_path):
    def calls():
        with city.transaction(SYSTEM) as session:
            return session.scalar(select(func.count()).where(PhoneAction.kind == "SOS"))

    with phone(playwright, base, tmp_path) as found:
        found.sign_in()
        button = found.page.get_by_role("button", name="紧急求助")
        button.hover()
        found.page.mouse.down()
        found.page.wait_for_timeout(700)
        found.page.mouse.up()
        found.page.wait_for_timeout(1700)
        assert calls() == 0
        button.hover()  # the page may have been drawn anew, and longer
        found.page.mouse.down()
        found.page.wait_for_timeout(2300)
        found.page.mouse.up()
        expect(found.page.get_by_text("已保存，有网时自动上传")).to_be_visible()
        expect(found.page.locator("#badge")).to_have_text("已全部上传")
        assert calls() == 1
