"""What a terminal reports beside positions, and messages in pieces, over a real socket into a real database."""

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from telematics.protocols import jt808_body as body
from telematics.protocols import jt808_report as report
from tests.telematics.running import NOW, add_terminal, events, fix, gateway, quarantined, stored, wire

CARD_AT = datetime(2024, 5, 20, 1, 2, 3, tzinfo=UTC)
CARD = b"\x01" + bytes.fromhex("240520090203") + b"\x00\x04" + "张三".encode("gbk") + b"L1".ljust(20, b"\0") + b"\x02AB"
CARD += bytes.fromhex("20270131")
ATTRIBUTES = b"\x00\x07" + b"MAKER" + b"MODEL".ljust(20, b"\0") + b"ID7".ljust(7, b"\0")
ATTRIBUTES += bytes.fromhex("89860012345678901234") + b"\x02H1\x03F22\x03\x20"


@pytest.mark.parametrize(("version", "layout"), [("2013", "2011"), ("2013", "2013"), ("2019", "2019")])
def test_a_whole_session_in_every_edition(gps_dsn, version, layout):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone, version) as line:
            code = await line.log_in(layout)
            assert (await line.ask(body.HEARTBEAT)).result == body.RESULT_OK
            assert (await line.ask(body.TIME_QUERY)).at == NOW
            assert (await line.ask(body.LOCATION, body.encode_location(fix(0)))).result == body.RESULT_OK
            batch = body.encode_batch([fix(1), fix(2)], blind=True)
            assert (await line.ask(body.BATCH, batch)).result == body.RESULT_OK
            answer = (b"\x00\x09" + body.encode_location(fix(3)), b"\x00\x09" + body.encode_location(fix(4)))
            assert (await line.ask(body.LOCATION_ANSWER, answer[0])).result == body.RESULT_OK
            assert (await line.ask(body.VEHICLE_CONTROL_ANSWER, answer[1])).result == body.RESULT_OK
            message, answered = await line.answer_to(body.LOGOUT)
            assert (message.version, message.phone_raw, answered.result) == (version, line.form.phone_raw, 0)
            assert await line.reader.read() == b""
            return code

    assert len(asyncio.run(scene())) == 16
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(second).at for second in range(5)]


def test_a_driver_card_is_an_event_with_its_time_and_a_copy_is_none(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            answers = [await line.ask(report.DRIVER_CARD, CARD, serial) for serial in (5, 6, 6)]
            await line.ask(report.DRIVER_CARD, b"\x02" + bytes.fromhex("240520180000"), 7)
            assert (await line.ask(report.DRIVER_CARD, b"\x01\x99", 8)).result == body.RESULT_BAD_MESSAGE
            return [answer.result for answer in answers], line.frame(report.DRIVER_CARD, CARD, 5)

    results, frame = asyncio.run(scene())
    assert results == [body.RESULT_OK] * 3
    put_in, taken_out = events(gps_dsn, terminal_id)
    assert put_in[:2] == ("driver_card", CARD_AT)
    assert put_in[2] == {
        "status": "in", "read_result": 0, "name": "张三", "licence": "L1", "agency": "AB", "valid_until": "2027-01-31",
        "id_card": "",
    }  # fmt: skip
    assert put_in[3] == frame
    assert (taken_out[1], taken_out[2]["status"]) == (datetime(2024, 5, 20, 10, tzinfo=UTC), "out")
    assert len(quarantined(gps_dsn, phone)) == 1


def test_attributes_are_kept_as_the_newest_properties(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            await line.ask(report.ATTRIBUTES, ATTRIBUTES)
            assert (await line.ask(report.ATTRIBUTES, ATTRIBUTES.replace(b"F22", b"F23"))).result == body.RESULT_OK
            assert (await line.ask(report.ATTRIBUTES, ATTRIBUTES[:-1])).result == body.RESULT_BAD_MESSAGE

    asyncio.run(scene())
    with psycopg.connect(gps_dsn) as conn:
        query = "SELECT properties, properties_at FROM gps_terminal WHERE id = %s"
        properties, at = conn.execute(query, [terminal_id]).fetchone()
    assert at == NOW
    wanted = ("MAKER", "MODEL", "H1", "F23", "89860012345678901234")
    assert tuple(properties[key] for key in ("manufacturer", "model", "hardware", "firmware", "iccid")) == wanted


def test_passed_through_and_compressed_data_are_kept_raw(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    sent = [(report.TRANSPARENT, b"\x41\x00data", 1), (report.TRANSPARENT, b"\x41\x00data", 1)]
    sent += [(report.TRANSPARENT, b"\x41\x00data", 2), (report.COMPRESSED, b"\xff\xff\xff\xff\x1f\x8b", 3)]

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            answers = [await line.ask(*one) for one in sent]
            return [answer.result for answer in answers], line.frame(*sent[0])

    results, frame = asyncio.run(scene())
    assert results == [body.RESULT_OK] * 4
    found = events(gps_dsn, terminal_id)
    assert [(kind, at) for kind, at, _, _ in found] == [("pass_through", NOW)] * 2 + [("compressed", NOW)]
    assert found[0][2:] == ({"type": 0x41, "hex": b"\x00data".hex()}, frame)
    assert found[2][2] == {"declared_bytes": 0xFFFFFFFF, "hex": "1f8b"}


def test_events_can_not_be_changed(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            await line.ask(report.TRANSPARENT, b"\x41x")

    asyncio.run(scene())
    for statement in ("UPDATE terminal_event SET kind = 'parameters'", "DELETE FROM terminal_event"):
        with psycopg.connect(gps_dsn) as conn, pytest.raises(psycopg.Error, match="never changed"):
            conn.execute(statement)
    assert len(events(gps_dsn, terminal_id)) == 1


def test_an_event_is_acknowledged_only_after_the_commit(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            with psycopg.connect(gps_dsn) as locker:
                locker.execute("LOCK TABLE terminal_event IN ACCESS EXCLUSIVE MODE")
                await line.send(line.frame(report.DRIVER_CARD, CARD, 3))
                with pytest.raises(TimeoutError):
                    await line.answer(within_s=0.3)
            return (await line.answer())[1]

    assert asyncio.run(scene()) == body.Answer(3, report.DRIVER_CARD, body.RESULT_OK)
    assert len(events(gps_dsn, terminal_id)) == 1


@pytest.mark.parametrize("version", ["2013", "2019"])
def test_missing_pieces_are_asked_for(gps_dsn, version):
    terminal_id, phone = add_terminal(gps_dsn)
    content = body.encode_batch([fix(second) for second in range(8)])
    parts = [content[at : at + 60] for at in range(0, len(content), 60)]
    total = len(parts)

    async def scene():
        async with (
            gateway(gps_dsn, piece_wait_s=0.3) as running,
            wire(running.terminals.port, phone, version) as line,
        ):
            await line.log_in()
            for index in (2, total):
                await line.send(line.frame(body.BATCH, parts[index - 1], 99 + index, (total, index)))
            message, _ = await line.answer()
            asked = report.parse_resend(message.body, version)
            for index in asked.indexes:
                await line.send(line.frame(body.BATCH, parts[index - 1], 99 + index, (total, index)))
            answers = [(await line.answer())[1] for _ in range(total)]
            return message.msg_id, asked, {answer.serial for answer in answers}

    msg_id, asked, answered = asyncio.run(scene())
    assert msg_id == 0x8003
    assert asked == report.Resend(100, tuple(index for index in range(1, total + 1) if index not in (2, total)))
    assert answered == set(range(100, 100 + total))
    assert len(stored(gps_dsn, terminal_id)) == 8


def test_pieces_that_never_come_are_asked_for_three_times_and_given_up(gps_dsn):
    _, phone = add_terminal(gps_dsn)
    clock = [NOW]

    async def scene():
        async with (
            gateway(gps_dsn, piece_wait_s=0.05, clock=lambda: clock[0]) as running,
            wire(running.terminals.port, phone) as line,
        ):
            await line.log_in()
            await line.send(line.frame(body.BATCH, b"\x00\x01", 4, (2, 1)))
            asked = [(await line.answer())[0].msg_id for _ in range(3)]
            with pytest.raises(TimeoutError):
                await line.answer(within_s=0.3)
            clock[0] += timedelta(minutes=2)
            await line.ask(body.HEARTBEAT)
            await line.ask(body.HEARTBEAT)
            return asked

    assert asyncio.run(scene()) == [0x8003] * 3
    assert [reason for reason, _ in quarantined(gps_dsn, phone)] == ["sub-packages missing of 2: 2"]


def test_every_piece_of_a_message_that_can_not_be_read_is_answered(gps_dsn):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            for index in (1, 2):
                await line.send(line.frame(report.ATTRIBUTES, b"short", 40 + index, (2, index)))
            return {(await line.answer())[1] for _ in range(2)}

    expected = {body.Answer(serial, report.ATTRIBUTES, body.RESULT_BAD_MESSAGE) for serial in (41, 42)}
    assert asyncio.run(scene()) == expected
    assert len(quarantined(gps_dsn, phone)) == 1
