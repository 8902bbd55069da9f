"""Commands from the table to a terminal on a real socket, and its answers back."""

import asyncio
import contextlib
from datetime import timedelta

import psycopg
import pytest

from telematics import terminal_store
from telematics.protocols import jt808_body as body
from telematics.protocols import jt808_report as report
from telematics.protocols.jt808 import decode_frame, encode_frames, header_form
from tests.telematics.running import (
    NOW,
    ROOT,
    add_terminal,
    fix,
    gateway,
    run_command,
    serving,
    stored,
    udp_wire,
    until,
    wire,
)
from tests.telematics.test_gateway_reports import ATTRIBUTES


def add(dsn, terminal_id, kind, parameters=None, now=NOW):
    with psycopg.connect(dsn) as conn:
        return terminal_store.add_command(conn, terminal_id, kind, parameters or {}, now=now)


def outcome(dsn, command_id):
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        return terminal_store.outcome(conn, command_id)


async def settled(dsn, command_id):
    await until(lambda: outcome(dsn, command_id).result is not None)
    return outcome(dsn, command_id)


def general(message, result=0):
    return body.encode_answer(serial=message.serial, msg_id=message.msg_id, result=result)


LOCATION = body.encode_location(fix(5))
SPECIFIC = {
    "query_parameters": (0x8104, report.PARAMETERS, bytes.fromhex("02 00000029 04 0000001e 00000013 01 61")),
    "query_position": (0x8201, body.LOCATION_ANSWER, LOCATION),
    "control": (0x8500, body.VEHICLE_CONTROL_ANSWER, LOCATION),
    "query_attributes": (0x8107, report.ATTRIBUTES, ATTRIBUTES),
}
POSITION = {"at": fix(5).at.isoformat(), "lat": 30.25005, "lon": 120.15, "speed_kmh": 36.0, "fixed": True, "status": 3}
ANSWERS = {
    "query_parameters": {"parameters": {"0029": 30, "0013": "a"}},
    "query_position": POSITION,
    "control": POSITION,
}


@pytest.mark.parametrize("opened", [wire, udp_wire])
@pytest.mark.parametrize(
    ("kind", "parameters", "version", "msg_id", "content"),
    [
        ("text", {"text": "停车"}, "2013", 0x8300, "04 cda3b3b5"),
        ("text", {"text": "停车"}, "2019", 0x8300, "04 01 cda3b3b5"),
        ("track", {"interval_s": 5, "duration_s": 600}, "2013", 0x8202, "0005 00000258"),
        ("set_parameters", {"parameters": {"0029": 30}}, "2013", 0x8103, "01 00000029 04 0000001e"),
    ],
)
def test_a_command_is_sent_and_answered_by_serial(gps_dsn, opened, kind, parameters, version, msg_id, content):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, udp=True) as running, opened(running.terminals.port, phone, version) as line:
            await line.log_in()
            command = add(gps_dsn, terminal_id, kind, parameters)
            message, _ = await line.answer()
            await line.send(line.frame(body.TERMINAL_ANSWER, general(message)))
            return message, await settled(gps_dsn, command)

    message, found = asyncio.run(scene())
    assert (message.msg_id, message.body, message.version) == (msg_id, bytes.fromhex(content), version)
    assert found == terminal_store.Outcome(NOW, NOW, "ok", None)


@pytest.mark.parametrize("kind", SPECIFIC)
@pytest.mark.parametrize("accepts_first", [False, True])
def test_a_question_is_answered_by_its_own_message(gps_dsn, kind, accepts_first):
    terminal_id, phone = add_terminal(gps_dsn)
    msg_id, answer_id, content = SPECIFIC[kind]

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            command = add(gps_dsn, terminal_id, kind, {"lock": True} if kind == "control" else {})
            message, _ = await line.answer()
            if accepts_first:
                await line.send(line.frame(body.TERMINAL_ANSWER, general(message)))
            serial = b"" if kind == "query_attributes" else message.serial.to_bytes(2)
            answered = await line.ask(answer_id, serial + content)
            return message.msg_id, answered.result, await settled(gps_dsn, command)

    sent, answered, found = asyncio.run(scene())
    assert (sent, answered, found.result, found.answered_at) == (msg_id, body.RESULT_OK, "ok", NOW)
    if kind == "query_attributes":
        assert (found.answer["manufacturer"], found.answer["iccid"]) == ("MAKER", "89860012345678901234")
    else:
        assert found.answer == ANSWERS[kind]
    assert len(stored(gps_dsn, terminal_id)) == (kind in {"query_position", "control"})


@pytest.mark.parametrize(("result", "word"), [(1, "failed"), (2, "bad message"), (3, "unsupported"), (9, "result 9")])
def test_a_refusal_is_written_down(gps_dsn, result, word):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            command = add(gps_dsn, terminal_id, "query_position")
            message, _ = await line.answer()
            other = body.encode_answer(serial=message.serial + 7, msg_id=message.msg_id, result=0)
            await line.send(line.frame(body.TERMINAL_ANSWER, other))  # answers nothing that was asked
            await line.send(line.frame(body.TERMINAL_ANSWER, general(message, result)))
            return await settled(gps_dsn, command)

    assert asyncio.run(scene()) == terminal_store.Outcome(NOW, NOW, word, None)


def test_an_unanswered_command_is_repeated_with_its_serial_and_given_up(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, command_wait_s=0.05) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            command = add(gps_dsn, terminal_id, "text", {"text": "x"})
            frames = [(await line.answer())[0].raw for _ in range(3)]
            found = await settled(gps_dsn, command)
            with pytest.raises(TimeoutError):
                await line.answer(within_s=0.2)
            return frames, found

    frames, found = asyncio.run(scene())
    assert len(set(frames)) == 1
    assert found == terminal_store.Outcome(NOW, None, "no answer", None)


def test_a_command_waits_for_its_terminal_and_expires(gps_dsn):
    late_id, late = add_terminal(gps_dsn)
    never_id, _ = add_terminal(gps_dsn)
    clock = [NOW]

    async def scene():
        async with gateway(gps_dsn, clock=lambda: clock[0]) as running:
            awaited, expired = (
                add(gps_dsn, late_id, "query_position"),
                add(gps_dsn, never_id, "control", {"lock": False}),
            )
            await asyncio.sleep(0.1)
            assert outcome(gps_dsn, awaited).sent_at is None
            async with wire(running.terminals.port, late) as line:
                await line.log_in()
                message, _ = await line.answer()
                await line.send(line.frame(body.TERMINAL_ANSWER, general(message, 3)))
                await settled(gps_dsn, awaited)
                clock[0] += timedelta(minutes=11)
                return outcome(gps_dsn, awaited), await settled(gps_dsn, expired)

    awaited, expired = asyncio.run(scene())
    assert awaited.result == "unsupported"
    assert expired == terminal_store.Outcome(None, None, "not connected", None)


def test_the_newest_link_gets_the_command_and_a_lost_link_gives_no_answer(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as old:
            await old.log_in()
            async with wire(running.terminals.port, phone, "2019") as new:
                await new.log_in()
                command = add(gps_dsn, terminal_id, "text", {"text": "x"})
                message, _ = await new.answer()
            with contextlib.suppress(ConnectionError):
                assert await old.reader.read() == b""
            return message.version, await settled(gps_dsn, command)

    version, found = asyncio.run(scene())
    assert (version, found.result, found.sent_at) == ("2019", "no answer", NOW)


def test_parameters_that_make_no_message_are_refused_and_nothing_is_sent(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            found = await settled(gps_dsn, add(gps_dsn, terminal_id, "track", {"interval_s": "often"}))
            assert (await line.ask(body.HEARTBEAT)).result == body.RESULT_OK, "the first bytes since the login"
            return found.result

    assert asyncio.run(scene()).startswith("refused: parameters of track are not usable")


def test_a_restart_sends_nothing_twice(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    clock = [NOW]

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            command = add(gps_dsn, terminal_id, "control", {"lock": False})
            assert (await line.answer())[0].msg_id == 0x8500
        with psycopg.connect(gps_dsn) as conn:  # as if the gateway had died with it
            conn.execute("ALTER TABLE terminal_command DISABLE TRIGGER forward_only")
            conn.execute("UPDATE terminal_command SET result = NULL WHERE id = %s", [command])
            conn.execute("ALTER TABLE terminal_command ENABLE TRIGGER forward_only")
        async with (
            gateway(gps_dsn, clock=lambda: clock[0]) as running,
            wire(running.terminals.port, phone) as line,
        ):
            await line.log_in()
            with pytest.raises(TimeoutError):
                await line.answer(within_s=0.2)
            clock[0] += timedelta(minutes=5)
            return await settled(gps_dsn, command)

    assert asyncio.run(scene()) == terminal_store.Outcome(NOW, None, "no answer", None)


def test_a_long_command_goes_in_pieces_and_lost_ones_again(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    parameters = {"parameters": {f"f{number:03x}": {"hex": "7e7d" * 100} for number in range(8)}}

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone, "2019") as line:
            await line.log_in()
            command = add(gps_dsn, terminal_id, "set_parameters", parameters)
            first, second = [(await line.receive()) for _ in range(2)]
            request = first.serial.to_bytes(2) + b"\x00\x01\x00\x02"
            await line.send(line.frame(report.RESEND_REQUEST, request, 5))
            again, answer = await line.receive(), await line.receive()
            assert body.parse_body(answer) == body.Answer(5, report.RESEND_REQUEST, body.RESULT_OK)
            unknown = await line.ask(report.RESEND_REQUEST, b"\x77\x77\x00\x01\x00\x02")
            assert unknown.result == body.RESULT_FAILED
            await line.send(line.frame(body.TERMINAL_ANSWER, general(first)))
            await line.send(line.frame(body.TERMINAL_ANSWER, general(second)))
            return first, second, again, await settled(gps_dsn, command)

    first, second, again, found = asyncio.run(scene())
    assert (first.sub_package, second.sub_package) == ((2, 1), (2, 2))
    assert (second.serial, again.raw) == (first.serial + 1, second.raw)
    whole = report.parse_parameters(b"\0\0" + first.body + second.body, "2019")
    assert whole.parameters == parameters["parameters"]
    assert found.result == "ok"


def test_what_became_of_a_command_is_written_once(gps_dsn):
    terminal_id, _ = add_terminal(gps_dsn)
    command = add(gps_dsn, terminal_id, "query_position")
    with psycopg.connect(gps_dsn) as conn:
        conn.execute("UPDATE terminal_command SET sent_at = %s WHERE id = %s", [NOW, command])
    for change in ("sent_at = now()", "kind = 'control'", "expires_at = expires_at + interval '1 day'"):
        with psycopg.connect(gps_dsn) as conn, pytest.raises(psycopg.Error, match="stays"):
            conn.execute(f"UPDATE terminal_command SET {change} WHERE id = {command}")
    with psycopg.connect(gps_dsn) as conn, pytest.raises(psycopg.Error, match="never changed"):
        conn.execute(f"DELETE FROM terminal_command WHERE id = {command}")
    assert outcome(gps_dsn, command) == terminal_store.Outcome(NOW, None, None, None)


def test_pieces_of_a_long_body_decode_to_it():
    content = bytes(range(256)) * 9
    frames = encode_frames(0x8103, content, like=header_form("13900000000", "2019"), serial=65_535)
    messages = [decode_frame(frame) for frame in frames]
    assert b"".join(message.body for message in messages) == content
    assert [(message.serial, message.sub_package) for message in messages] == [
        (65_535, (3, 1)),
        (0, (3, 2)),
        (1, (3, 3)),
    ]


def test_the_command_line_asks_and_waits(gps_dsn):
    _, phone = add_terminal(gps_dsn)

    async def scene(process):
        async with udp_wire(process.port, phone) as line:
            await line.log_in()
            words = ("command", "--terminal", phone, "--kind", "text", "--text", "停车", "--wait", "20")
            asking = asyncio.create_task(asyncio.to_thread(run_command, *words, "--database-url", gps_dsn))
            message, _ = await line.answer(within_s=20)
            await line.send(line.frame(body.TERMINAL_ANSWER, general(message)))
            return message, await asking

    assert (ROOT / "telematics").is_dir()
    with serving(gps_dsn, "--udp") as process:
        message, (status, printed, errors) = asyncio.run(scene(process))
    assert message.body == b"\x04" + "停车".encode("gbk")
    assert (status, printed["result"], errors) == (0, "ok", "")


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--terminal", "999", "--kind", "text", "--text", "x"], 1, "999"),
        (["--terminal", "999", "--kind", "text"], 2, "text"),
        (["--terminal", "999", "--kind", "track", "--parameters", "{"], 2, "JSON"),
    ],
)
def test_the_command_line_says_what_is_wrong(gps_dsn, words, status, sentence):
    found, printed, errors = run_command("command", *words, "--database-url", gps_dsn)
    assert (found, printed) == (status, {})
    assert sentence in errors
    assert "Traceback" not in errors
