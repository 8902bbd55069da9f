import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from telematics import store
from telematics.gateway.terminal import Refused, Terminal
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import escape, header_form, unescape
from tests.telematics.running import (
    NOW,
    add_terminal,
    fix,
    gateway,
    logged_in,
    new_phone,
    quarantined,
    stored,
    until,
    wire,
)


@pytest.mark.parametrize("version", ["2013", "2019"])
def test_a_session_from_registration_to_logout(gps_dsn, version):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running:
            async with Terminal("127.0.0.1", running.terminals.port, phone, version=version) as terminal:
                code = await terminal.register()
                assert await terminal.register() == code, "the code stays the same"
                await terminal.authenticate(code)
                await terminal.heartbeat()
                await terminal.send(fix(0))
                await terminal.send_batch([fix(1), fix(2)], blind=True)
                assert list(running.gateway.terminals) == [terminal_id]
                await terminal.logout()
            await until(lambda: not running.gateway.terminals)

    asyncio.run(scene())
    found = stored(gps_dsn, terminal_id)
    assert [(one.at, one.blind) for one in found] == [(fix(0).at, False), (fix(1).at, True), (fix(2).at, True)]
    with psycopg.connect(gps_dsn) as conn:
        seen = conn.execute(
            "SELECT registered_at, last_seen_at, length(auth_code) FROM gps_terminal WHERE id = %s", [terminal_id]
        )
        assert seen.fetchone() == (NOW, NOW, 16)


def test_the_frame_is_kept_as_received(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            frame = line.frame(body.LOCATION, body.encode_location(fix(7)))
            await line.send(frame)
            await line.answer()
            return frame

    frame = asyncio.run(scene())
    with psycopg.connect(gps_dsn) as conn:
        assert list(store.raw_frames(conn, terminal_id, fix(0).at, fix(60).at).values()) == [frame]


def test_a_repeated_position_is_acknowledged_and_stored_once(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            frame = line.frame(body.LOCATION, body.encode_location(fix()), serial=9)
            await line.send(frame * 3)
            return [(await line.answer())[1] for _ in range(3)]

    assert asyncio.run(scene()) == [body.Answer(9, body.LOCATION, body.RESULT_OK)] * 3
    assert len(stored(gps_dsn, terminal_id)) == 1


def test_bad_bytes_between_frames_cost_no_frame_and_no_neighbour(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    other_id, other = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running:
            async with (
                wire(running.terminals.port, phone) as line,
                logged_in(running.terminals.port, other) as neighbour,
            ):
                await line.log_in()
                good = [line.frame(body.LOCATION, body.encode_location(fix(second)), second) for second in range(3)]
                broken = bytearray(good[0])
                broken[-3] ^= 1
                await line.send(good[0] + b"\x00garbage\x7d" + good[1][:-1] + bytes(broken) + b"\x7e\x7e\x7e" + good[2])
                answers = [(await line.answer())[1].serial for _ in range(3)]
                await neighbour.send(fix())
                return answers

    assert asyncio.run(scene()) == [0, 1, 2]
    assert len(stored(gps_dsn, terminal_id)) == 3
    assert len(stored(gps_dsn, other_id)) == 1
    reasons = [reason for reason, _ in quarantined(gps_dsn, phone)]
    assert any("too short" in reason for reason in reasons)
    assert any("checksum" in reason for reason in reasons)


def test_a_stream_of_garbage_cannot_fill_the_disk(gps_dsn):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, quarantine_per_minute=5) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            await line.send(b"\x7enonsense\x7e" * 1000)
            assert (await line.ask(body.HEARTBEAT)).result == body.RESULT_OK

    asyncio.run(scene())
    reasons = [reason for reason, _ in quarantined(gps_dsn, phone)]
    assert len(reasons) == 6
    assert reasons[-1] == "995 more bad pieces of this connection were not kept"


def test_an_unknown_terminal_gets_result_4_and_is_noted(gps_dsn):
    phone = new_phone()

    async def scene():
        async with gateway(gps_dsn) as running, Terminal("127.0.0.1", running.terminals.port, phone) as terminal:
            with pytest.raises(Refused) as refused:
                await terminal.register()
            assert refused.value.result == body.REGISTER_NO_TERMINAL
            with pytest.raises(Refused):
                await terminal.authenticate("anything")
            await terminal.heartbeat()  # the connection is still good

    asyncio.run(scene())
    assert [reason for reason, _ in quarantined(gps_dsn, phone)] == [
        "registration of an unknown terminal",
        "authentication of an unknown terminal",
    ]


def test_a_disabled_terminal_is_unknown_and_loses_its_session(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, logged_in(running.terminals.port, phone) as terminal:
            await running.gateway.sweep(NOW)
            await terminal.send(fix())
            with psycopg.connect(gps_dsn) as conn:
                conn.execute("UPDATE gps_terminal SET enabled = false WHERE id = %s", [terminal_id])
            await running.gateway.sweep(NOW)
            with pytest.raises(ConnectionError):
                await terminal.send(fix(1))
            async with Terminal("127.0.0.1", running.terminals.port, phone) as again:
                with pytest.raises(Refused):
                    await again.register()

    asyncio.run(scene())
    assert len(stored(gps_dsn, terminal_id)) == 1


def test_nothing_is_believed_before_authentication(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            assert (await line.ask(body.HEARTBEAT)).result == body.RESULT_OK
            assert (await line.ask(body.TIME_QUERY)).at == NOW
            location = body.encode_location(fix())
            assert (await line.ask(body.LOCATION, location)).result == body.RESULT_FAILED
            assert (await line.ask(body.LOGOUT)).result == body.RESULT_FAILED
            assert (await line.ask(body.AUTHENTICATE, b"never registered")).result == body.RESULT_FAILED
            await line.log_in()
            assert (await line.ask(body.AUTHENTICATE, b"wrong")).result == body.RESULT_FAILED
            assert (await line.ask(body.LOCATION, location)).result == body.RESULT_OK

    asyncio.run(scene())
    assert len(stored(gps_dsn, terminal_id)) == 1
    reasons = [reason for reason, _ in quarantined(gps_dsn, phone)]
    assert reasons == ["sent before authentication"] * 2 + ["wrong authentication code"] * 2


def test_an_authenticated_link_does_not_speak_for_another_terminal(gps_dsn):
    _, phone = add_terminal(gps_dsn)
    other_id, other = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            line.form = header_form(other)
            return (await line.ask(body.LOCATION, body.encode_location(fix()))).result

    assert asyncio.run(scene()) == body.RESULT_FAILED
    assert stored(gps_dsn, other_id) == []


@pytest.mark.parametrize(
    ("msg_id", "content", "result"),
    [
        (0x0705, b"\x00\x01CAN", body.RESULT_UNSUPPORTED),
        (body.LOCATION, b"too short", body.RESULT_BAD_MESSAGE),
        (body.LOCATION, body.encode_location(fix())[:22] + bytes.fromhex("991399000000"), body.RESULT_BAD_MESSAGE),
    ],
)
def test_every_message_is_answered(gps_dsn, msg_id, content, result):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            return await line.ask(msg_id, content, 77)

    assert asyncio.run(scene()) == body.Answer(77, msg_id, result)
    assert len(quarantined(gps_dsn, phone)) == (result == body.RESULT_BAD_MESSAGE)


def test_an_encrypted_message_is_refused_and_kept(gps_dsn):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            data = bytearray(unescape(line.frame(body.LOCATION, b"", 3)[1:-1])[:-1])  # the check byte may be escaped
            data[2] |= 0x04
            check = 0
            for byte in data:
                check ^= byte
            await line.send(b"\x7e" + escape(bytes([*data, check])) + b"\x7e")
            answer = (await line.answer())[1]
            assert (await line.ask(body.HEARTBEAT)).result == body.RESULT_OK, "the connection lives"
            return answer

    assert asyncio.run(scene()).result == body.RESULT_UNSUPPORTED
    [(reason, _)] = quarantined(gps_dsn, phone)
    assert "encryption" in reason


def test_a_position_with_an_absurd_time_is_kept_and_does_not_block_the_terminal(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, logged_in(running.terminals.port, phone) as terminal:
            await terminal.send(fix(at=datetime(2036, 1, 1, tzinfo=UTC)))

    asyncio.run(scene())
    assert stored(gps_dsn, terminal_id) == []
    [(reason, raw)] = quarantined(gps_dsn, phone)
    assert "more than a day ahead" in reason
    assert raw.startswith(b"\x7e\x02\x00")


def test_the_newest_link_of_a_terminal_wins(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, logged_in(running.terminals.port, phone) as old:
            await old.send(fix(0))
            async with logged_in(running.terminals.port, phone) as new:
                with pytest.raises(ConnectionError):
                    await old.send(fix(1))
                await asyncio.sleep(0.05)
                await new.send(fix(2))
                assert len(running.gateway.terminals) == 1

    asyncio.run(scene())
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(0).at, fix(2).at]


def test_a_batch_with_unreadable_items_keeps_the_rest_and_the_frame(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    good = body.encode_location(fix())
    content = b"\x00\x03\x00" + len(good).to_bytes(2) + good + b"\x00\x04abcd"

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            return await line.ask(body.BATCH, content)

    assert asyncio.run(scene()).result == body.RESULT_OK
    assert len(stored(gps_dsn, terminal_id)) == 1
    [(reason, raw)] = quarantined(gps_dsn, phone)
    assert "item 2" in reason
    assert "3 positions declared, 2 sent" in reason
    assert content in raw


def test_sub_packages_are_joined_and_answered_when_the_whole_is_stored(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    content = body.encode_batch([fix(second) for second in range(6)])
    parts = [content[:50], content[50:90], content[90:]]

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            for index in (3, 1):
                await line.send(line.frame(body.BATCH, parts[index - 1], 20 + index, (3, index)))
            with pytest.raises(TimeoutError):
                await line.answer(within_s=0.2)
            await line.send(line.frame(body.BATCH, parts[1], 22, (3, 2)))
            return {(await line.answer())[1] for _ in range(3)}

    assert asyncio.run(scene()) == {body.Answer(serial, body.BATCH, body.RESULT_OK) for serial in (21, 22, 23)}
    assert len(stored(gps_dsn, terminal_id)) == 6


def test_answers_repeat_the_header_of_the_terminal(gps_dsn):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            line.form = header_form(phone, "2019")
            await line.send(line.frame(body.HEARTBEAT))
            return (await line.answer())[0], line.form

    message, form = asyncio.run(scene())
    assert (message.version, message.protocol_version, message.phone_raw) == ("2019", 1, form.phone_raw)


def test_a_silent_connection_is_closed(gps_dsn):
    async def scene():
        async with gateway(gps_dsn, login_s=0.2) as running, wire(running.terminals.port, "1") as line:
            assert (await line.ask(body.HEARTBEAT)).result == body.RESULT_OK
            return await asyncio.wait_for(line.reader.read(), 5)

    assert asyncio.run(scene()) == b""
