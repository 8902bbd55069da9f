"""Commands from the page through the real gateway to a terminal and back, and who may not send them."""

import asyncio

import psycopg
import pytest
from sqlalchemy import select, text

from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.settings import Settings
from fleetapp.tracking import asking, parameters
from fleetapp.tracking.asking import CommandState, Kind
from fleetapp.vehicles.models import Vehicle
from telematics.protocols import jt808_body as body
from tests import world
from tests.conftest import NOW, SignedIn
from tests.telematics.running import gateway, until, wire
from tests.tracking.conftest import BINJIANG, XIHU

pytestmark = pytest.mark.usefixtures("nine")

PLATE = "浙A10001"


@pytest.fixture
def send(database, acting):
    """Send as a username."""

    def ask(
        username="fleet_manager.xihu", *, plate=PLATE, kind=Kind.POSITION, content=None, reason="核对位置", confirm=""
    ):
        with database.transaction(acting(username)) as session:
            return asking.send(
                session,
                plate=plate,
                kind=kind,
                content=content or {},
                reason=reason,
                confirm=confirm,
                actor=acting(username),
                now=NOW,
            )

    return ask


def rows(database, acting, username="fleet_manager.xihu", **which):
    actor = acting(username)
    with database.transaction(actor) as session:
        return session.execute(asking.listed(actor, now=NOW, **which)).all()


def hide(database, secrecy="restricted"):
    with database.transaction(SYSTEM) as session:
        session.scalars(select(Vehicle).where(Vehicle.plate == PLATE)).one().secrecy = secrecy


def test_a_command_is_on_record_with_who_and_why(database, acting, send):
    send()
    [row] = rows(database, acting)
    assert (row.plate, row.kind, row.reason) == (PLATE, "query_position", "核对位置")
    assert row.asked_by == acting("fleet_manager.xihu").user_id
    assert asking.state_of(row, NOW) == CommandState.WAITING
    with database.transaction(SYSTEM) as session:
        entry = session.execute(
            text("SELECT actor_id, data FROM audit_entry WHERE action = 'tracking.commanded'")
        ).one()
    assert entry.actor_id == row.asked_by
    assert (entry.data["kind"], entry.data["reason"]) == ("query_position", "核对位置")


def test_whoever_does_not_hold_the_vehicle_asks_nothing(database, acting, send):
    for username in ("dispatcher.xihu", "applicant.xhedu", "auditor.city"):
        with pytest.raises((NotAllowed, NotFound)):
            send(username)
    with pytest.raises(NotFound):
        send("fleet_manager.binjiang")
    send("vehicle_office.city")
    assert rows(database, acting, "fleet_manager.binjiang") == []


def test_doors_have_a_permission_of_their_own_and_are_confirmed(database, send, report):
    doors = {"kind": Kind.CONTROL, "content": {"lock": True}}
    with pytest.raises(NotAllowed):
        send("vehicle_office.city", confirm=PLATE, **doors)
    for confirm in ("", "浙A10003"):
        with pytest.raises(RuleBroken, match="confirm_plate"):
            send(confirm=confirm, **doors)
    report(XIHU, NOW, speed_kmh=40.0)
    with pytest.raises(RuleBroken, match="control_moving"):
        send(confirm=PLATE, **doors)


def test_doors_of_a_parked_vehicle_are_commanded(database, acting, send, report):
    report(XIHU, NOW)
    send(kind=Kind.CONTROL, content={"lock": False}, confirm=PLATE)
    assert [row.kind for row in rows(database, acting)] == ["control"]


def test_a_reason_is_needed_and_a_terminal_that_listens(database, send):
    with pytest.raises(RuleBroken, match="reason_missing"):
        send(reason=" x ")
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE gps_terminal SET kind = 'phone' WHERE phone = :phone"), {"phone": XIHU})
    with pytest.raises(RuleBroken, match="takes_no_command"):
        send()


def test_the_place_of_a_restricted_vehicle_is_neither_asked_nor_shown(database, acting, send):
    command = send()
    with database.transaction(SYSTEM) as session:
        session.execute(text("SET LOCAL ROLE fleet_gateway"))
        session.execute(text("UPDATE terminal_command SET sent_at = :now, answered_at = :now, result = 'ok', answer = '{\"lat\": 30}' WHERE id = :id"),
                        {"now": NOW, "id": command})  # fmt: skip
        session.execute(text("SET LOCAL ROLE fleet_app"))
    assert rows(database, acting)[0].answer == {"lat": 30}
    hide(database)
    assert rows(database, acting)[0].answer is None
    for kind in (Kind.POSITION, Kind.TRACK):
        with pytest.raises(RuleBroken, match="place_hidden"):
            send(kind=kind, content={"interval_s": 5, "duration_s": 60})
    send(kind=Kind.ATTRIBUTES)


@pytest.mark.parametrize(
    ("given", "code"),
    [({}, "none"), ({"0029": " "}, "none"), ({"0029": "0"}, "bounds"), ({"0029": "3601"}, "bounds"), ({"0029": "-5"}, "bounds"),
     ({"0029": "٣"}, "bounds"), ({"0013": "x"}, "bounds"), ({"0029": "9" * 5000}, "bounds"), ({"ffff": "1"}, "unknown")],
)  # fmt: skip
def test_parameters_out_of_their_bounds_are_refused(given, code):
    with pytest.raises(RuleBroken, match=f"parameter_{code}"):
        parameters.settings(given)


def test_parameters_are_named_and_typed():
    assert parameters.settings({"0029": "30", "0013": "10.0.0.1", "0055": ""}) == {"0029": 30, "0013": "10.0.0.1"}
    assert parameters.listed({"parameters": {"f001": {"hex": "00ff"}, "0029": 30}}) == [
        ("0029", "report_interval", "30", "s"), ("f001", None, "00ff", "")]  # fmt: skip


def test_the_form_says_what_is_wrong_and_a_good_one_lands_on_the_list(browse):
    client = browse("fleet_manager.xihu")
    assert "车门控制" in client.get("/terminals/commands").get_data(as_text=True)
    path, good = "/terminals/commands", {"plate": PLATE, "kind": "set_parameters", "reason": "缩短上报间隔"}
    for wrong in (
        {"p_0029": "0"},
        {"p_0029": ""},
        {"p_0029": "30", "plate": "浙A10005"},
        {"p_0029": "30", "reason": ""},
        {"kind": "x"},
    ):
        assert client.submit(path, **good | wrong).status_code == 422, wrong
    assert "定位汇报间隔须在 1–3600 s 之间" in client.submit(path, **good, p_0029="0").get_data(as_text=True)
    assert client.submit(path, **good, p_0029="30").status_code == 302
    assert "定位汇报间隔 = 30" in client.get(path).get_data(as_text=True)
    office = browse("vehicle_office.city")
    assert "车门控制" not in office.get(path).get_data(as_text=True)
    assert (
        office.submit(path, plate=PLATE, kind="control", lock="true", confirm=PLATE, reason="测试").status_code == 403
    )
    for username in ("dispatcher.xihu", "applicant.xhedu"):
        other = browse(username)
        assert other.get(path).status_code == 403
        assert other.submit(path, plate=PLATE, kind="text", text="x", reason="测试").status_code == 403


def page_of(url, database, username):
    """A browser without a screen on a database with real commits."""
    app = create_app(Settings(database_url=url, secret_key="only for tests"), database)
    app.testing = True
    app.test_client_class = SignedIn
    client = app.test_client()
    token = lambda path: (
        client.get(path, follow_redirects=True)
        .get_data(as_text=True)
        .split('name="csrf-token" content="')[1]
        .split('"')[0]
    )
    client.csrf = token("/sign-in")
    client.submit("/sign-in", username=username, password=world.PASSWORD)
    client.csrf = token("/terminals/commands")
    return client


def test_a_command_travels_to_the_terminal_and_its_answer_back(live_database_url, live_database):
    client = page_of(live_database_url, live_database, "fleet_manager.xihu")

    async def play():
        async with gateway(live_database_url, clock=lambda: NOW) as found, wire(found.terminals.port, XIHU) as terminal:
            await terminal.log_in()
            sent = client.submit(
                "/terminals/commands", plate=PLATE, kind="text", text="请返回停放点", reason="车辆调回"
            )
            assert sent.status_code == 302
            message, _ = await terminal.answer()
            assert message.msg_id == 0x8300
            answer = (message.serial).to_bytes(2) + message.msg_id.to_bytes(2) + b"\0"
            await terminal.send(terminal.frame(body.TERMINAL_ANSWER, answer))
            await until(lambda: result() is not None)

    def result():
        with psycopg.connect(live_database_url) as connection:
            return connection.execute("SELECT result FROM terminal_command").fetchone()[0]

    asyncio.run(play())
    assert result() == "ok"
    page = client.get("/terminals/commands").get_data(as_text=True)
    assert "已应答" in page
    assert "“请返回停放点”" in page
    with psycopg.connect(live_database_url) as connection:
        known = connection.execute(
            "SELECT protocol, logged_in_at FROM gps_terminal WHERE phone = %s", [XIHU]
        ).fetchone()
    assert known == ("2013", NOW)


def test_an_unknown_terminal_is_registered_from_the_list_and_admitted(live_database_url, live_database):
    client = page_of(live_database_url, live_database, "fleet_manager.xihu")
    stranger = "13777000001"

    async def knock():
        async with (
            gateway(live_database_url, clock=lambda: NOW) as found,
            wire(found.terminals.port, stranger) as terminal,
        ):
            registration = body.Registration("2013", 33, 100, "T", "T", "T", 1, "浙A00000")
            return (await terminal.ask(body.REGISTER, body.encode_registration(registration))).result

    assert asyncio.run(knock()) == body.REGISTER_NO_TERMINAL
    assert "未登记的终端请求注册" in client.get("/terminals/quarantine").get_data(as_text=True)
    path = f"/terminals/quarantine/{stranger}"
    assert "登记到车辆" in client.get(path).get_data(as_text=True)
    assert client.submit(f"{path}/register", plate="浙A10005").status_code == 422  # another district's
    kept = client.submit(f"{path}/register", plate=PLATE)
    assert kept.status_code == 422
    assert "已装终端 13900000001" in kept.get_data(as_text=True)
    assert client.submit(f"{path}/register", plate=PLATE, replace="true").status_code == 302
    assert asyncio.run(knock()) == body.REGISTER_OK
    other = page_of(live_database_url, live_database, "fleet_manager.binjiang")
    assert stranger not in other.get("/terminals/quarantine").get_data(as_text=True)  # it is Xihu's now
    assert other.get(path).status_code == 404


def refuse(url, phone, reason="wrong authentication code"):
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO gps_quarantine (received_at, peer, phone, reason, raw) VALUES (%s, '10.0.0.9:4711', %s, %s, 'x')",
                           [NOW, phone, reason])  # fmt: skip


def test_refused_senders_are_grouped_ignored_and_heeded_again(live_database_url, live_database):
    for phone in ("0155", "155", BINJIANG):
        refuse(live_database_url, phone)
    client = page_of(live_database_url, live_database, "fleet_manager.xihu")
    page = client.get("/terminals/quarantine").get_data(as_text=True)
    assert '<td class="number">2</td>' in page
    assert "鉴权码错误" in page
    assert BINJIANG not in page
    path = "/terminals/quarantine/155"
    assert client.submit(f"{path}/ignore", reason="").status_code == 422
    assert client.submit(f"{path}/ignore", reason="外单位测试设备").status_code == 302
    assert "155" not in client.get("/terminals/quarantine").get_data(as_text=True).split("<tbody>")[-1]
    assert "外单位测试设备" in client.get(path).get_data(as_text=True)
    assert "155" in client.get("/terminals/quarantine?ignored=true").get_data(as_text=True)
    assert "155" in page_of(live_database_url, live_database, "fleet_manager.binjiang").get(
        "/terminals/quarantine"
    ).get_data(as_text=True)
    assert client.submit(f"{path}/heed").status_code == 302
    assert client.submit(f"{path}/heed").status_code == 404
    with live_database.transaction(SYSTEM) as session:
        logged = session.scalars(
            text("SELECT action FROM audit_entry WHERE subject_type = 'gps_sender' ORDER BY seq")
        ).all()
    assert logged == ["tracking.sender_ignored", "tracking.sender_heeded"]


@pytest.mark.parametrize("username", ["dispatcher.xihu", "vehicle_office.city", "system_admin.city", "applicant.xhedu"])
def test_refused_senders_are_the_fleet_managers_alone(browse, database, username):
    client = browse(username)
    for path in ("/terminals/quarantine", "/terminals/quarantine/155"):
        assert client.get(path).status_code == 403
    for action in ("register", "ignore", "heed"):
        assert client.submit(f"/terminals/quarantine/155/{action}", plate=PLATE, reason="测试").status_code == 403
