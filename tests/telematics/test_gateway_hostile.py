"""Whatever arrives, the gateway lives, neighbours are served, and good frames afterwards are stored."""

import asyncio
import contextlib
import random
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telematics.gateway.limits import Allowance
from telematics.protocols import jt808_body as body
from telematics.protocols import jt808_report as report
from telematics.protocols.jt808 import FLAG, FrameSplitter, Message, Reassembly, encode_frame, header_form
from telematics.protocols.jt808_fields import BodyError
from tests.telematics.running import NOW, add_terminal, fix, gateway, quarantined, stored, udp_wire, wire

FORM = header_form("13900000000")
GOOD = [
    encode_frame(msg_id, content, like=header_form("13900000000", version), serial=7)
    for version in ("2013", "2019")
    for msg_id, content in (
        (body.LOCATION, body.encode_location(fix(1))),
        (body.BATCH, body.encode_batch([fix(1), fix(2)])),
        (body.LOCATION_ANSWER, b"\x00\x01" + body.encode_location(fix(3))),
        (report.DRIVER_CARD, b"\x02" + bytes.fromhex("240520180000")),
        (report.ATTRIBUTES, bytes(60)),
        (report.PARAMETERS, bytes.fromhex("0001 01 00000029 04 0000001e")),
        (report.RESEND_REQUEST, bytes.fromhex("0001 01 0002")),
        (report.TRANSPARENT, b"\x41abc"),
        (body.TERMINAL_ANSWER, bytes(5)),
        (body.REGISTER, bytes(60)),
        (body.AUTHENTICATE, b"\x04code"),
    )
]
NOISE = random.Random(808)
HOSTILE = {
    "random bytes": lambda _line: NOISE.randbytes(200_000),
    "flags only": lambda _line: FLAG * 200_000,
    "escapes only": lambda _line: FLAG + b"\x7d" * 200_000 + FLAG,
    "one endless frame": lambda line: line.frame(body.LOCATION)[:-1] + bytes(200_000),
    "a header that promises more": lambda line: line.frame(body.LOCATION, bytes(1023))[:40] + FLAG,
    "batch items of 65535 bytes": lambda line: line.frame(body.BATCH, b"\xff\xff\x00\xff\xff" + bytes(100)),
    "compressed, 4 GB declared": lambda line: line.frame(report.COMPRESSED, b"\xff\xff\xff\xff\x1f\x8b"),
    "parameters that overrun": lambda line: line.frame(report.PARAMETERS, b"\0\0\xff\0\0\0\x10\xff"),
    "a resend of everything": lambda line: line.frame(report.RESEND_REQUEST, b"\0\0\xff\xff" + bytes(1000)),
    "names longer than the body": lambda line: line.frame(report.DRIVER_CARD, b"\x01" + bytes.fromhex("240520180000") + b"\0\xffa"),
    "65535 pieces": lambda line: line.frame(body.BATCH, b"x", 5, (65_535, 65_535)),
    "pieces of many messages": lambda line: b"".join(line.frame(body.BATCH, b"x", 5, (n, 1)) for n in range(2, 3000)),
    "items of every length": lambda line: b"".join(
        line.frame(body.LOCATION, body.encode_location(fix(900)) + bytes((0x01, n)) + bytes(7)) for n in range(256)
    ),
}  # fmt: skip


@pytest.mark.parametrize("opened", [wire, udp_wire])
@pytest.mark.parametrize("what", HOSTILE)
def test_a_good_frame_after_it_is_stored_and_a_neighbour_is_served(gps_dsn, what, opened):
    terminal_id, phone = add_terminal(gps_dsn)
    other_id, other = add_terminal(gps_dsn)

    async def settle(line):
        """The answer to one last good position, whatever else is answered before; sent again if it was lost."""
        for _ in range(5):
            await line.send(line.frame(body.LOCATION, body.encode_location(fix(1)), 60_001))
            with contextlib.suppress(TimeoutError):
                while True:
                    answer = body.parse_body(await line.receive(within_s=3))
                    if isinstance(answer, body.Answer) and answer.serial == 60_001:
                        return answer.result
        return None

    async def scene():
        async with gateway(gps_dsn, udp=True) as running:
            port = running.terminals.port
            async with opened(port, phone) as line, wire(port, other) as neighbour:
                await line.log_in()
                await neighbour.log_in()
                data = HOSTILE[what](line)
                for at in range(0, len(data), 1400):
                    await line.send(data[at : at + 1400])
                    if opened is udp_wire and at % 14_000 == 0:
                        await asyncio.sleep(0.001)  # the network drops what comes faster
                if what != "flags only":
                    await line.send(FLAG)
                assert (await neighbour.ask(body.LOCATION, body.encode_location(fix(2)))).result == body.RESULT_OK
                await asyncio.sleep(0.05 if opened is udp_wire else 0)
                assert await settle(line) == body.RESULT_OK
                assert not any(task.done() for task in running.tasks)

    asyncio.run(scene())
    assert fix(1).at in [one.at for one in stored(gps_dsn, terminal_id)]
    assert [one.at for one in stored(gps_dsn, other_id)] == [fix(2).at]


@pytest.mark.parametrize("logged_in", [False, True])
def test_dripping_bytes_keep_no_connection_open(gps_dsn, logged_in):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, login_s=1, idle_s=1) as running, wire(running.terminals.port, phone) as line:
            if logged_in:
                await line.log_in()
            drip = asyncio.create_task(drop_by_drop(line))
            assert await asyncio.wait_for(line.reader.read(), 8) == b""
            drip.cancel()
            await asyncio.gather(drip, return_exceptions=True)
            return len(running.gateway.connections())

    async def drop_by_drop(line):
        while True:
            await line.send(b"\x7e\x02")
            await asyncio.sleep(0.05)

    assert asyncio.run(scene()) == 0


def test_heartbeats_alone_are_no_login(gps_dsn):
    async def scene():
        async with gateway(gps_dsn, login_s=0.4) as running, wire(running.terminals.port, "1") as line:
            for beats in range(100):
                try:
                    await line.ask(body.HEARTBEAT)
                except ConnectionError:
                    return beats
                await asyncio.sleep(0.05)
            return None

    beats = asyncio.run(scene())
    assert beats is not None
    assert 0 < beats < 20


def test_two_links_that_fight_for_one_identity_lose_nothing_that_was_acknowledged(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        acknowledged = []

        async def fight(port, seconds):
            for second in seconds:
                try:
                    async with wire(port, phone) as line:
                        await line.log_in()
                        await line.ask(body.LOCATION, body.encode_location(fix(second)))
                        acknowledged.append(fix(second).at)
                except ConnectionError:
                    continue

        async with gateway(gps_dsn) as running:
            port = running.terminals.port
            await asyncio.wait_for(asyncio.gather(fight(port, range(30)), fight(port, range(30, 60))), 30)
            assert len(running.gateway.terminals) <= 1
        return acknowledged

    acknowledged = asyncio.run(scene())
    assert acknowledged
    assert set(acknowledged) <= {one.at for one in stored(gps_dsn, terminal_id)}


def test_a_clock_that_jumps_years_stops_nothing(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    clock = [NOW]

    async def scene():
        async with (
            gateway(gps_dsn, clock=lambda: clock[0], quarantine_per_minute=1) as running,
            wire(running.terminals.port, phone) as line,
        ):
            await line.log_in()
            for years in (0, 12, -20, 0):
                clock[0] = NOW + timedelta(days=365 * years)
                await line.send(b"\x7erubbish\x7e")
                answer = await line.ask(body.LOCATION, body.encode_location(fix(years + 30)))
                assert answer.result == body.RESULT_OK
                assert (await line.ask(report.TRANSPARENT, bytes((0x41, years % 100)))).result == body.RESULT_OK
                await running.gateway.sweep(clock[0])
            return list(running.gateway.terminals)

    assert asyncio.run(scene()) == [terminal_id]
    times = {one.at for one in stored(gps_dsn, terminal_id)}
    assert times == {fix(30).at, fix(42).at}, "what was ahead of a clock that had been set back is in quarantine"
    reasons = [reason for reason, _ in quarantined(gps_dsn, phone)]
    assert sum("too short" in reason for reason in reasons) == 4, "one a minute, whatever way the clock went"
    assert sum("a day ahead" in reason for reason in reasons) == 1


def test_a_clock_set_back_ends_no_allowance_and_no_wait():
    allowance = Allowance(1)
    assert [allowance.take(NOW), allowance.take(NOW), allowance.take(NOW - timedelta(days=400))] == [True, False, True]
    reassembly = Reassembly()
    first = Message(0x0704, "2013", 0, "1", bytes(6), 1, b"x", (2, 1), raw=b"x")
    assert reassembly.add(first, now=NOW) is None
    assert [lost.missing for lost in reassembly.give_up(now=NOW - timedelta(days=400))] == [(2,)]


def test_only_so_many_messages_are_under_way_in_pieces():
    reassembly = Reassembly()
    for total in range(2, 2000):
        reassembly.add(Message(0x0704, "2013", 0, "1", bytes(6), 1, b"x", (total, 1), raw=b"x"), now=NOW)
    assert len(reassembly.waiting()) == 64
    assert len(reassembly.give_up(now=NOW)) == 1998 - 64


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_mutated_frame_is_read_or_refused_and_the_next_is_whole(data):
    frame = bytearray(data.draw(st.sampled_from(GOOD)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(frame) - 1))
        change = data.draw(st.sampled_from(("set", "insert", "delete")))
        if change == "delete" and len(frame) > 1:
            del frame[at]
        elif change == "insert":
            frame.insert(at, data.draw(st.integers(0, 255)))
        else:
            frame[at] = data.draw(st.integers(0, 255))
    last = encode_frame(body.HEARTBEAT, b"", like=FORM, serial=9)
    found = FrameSplitter().feed(bytes(frame) + last)
    assert isinstance(found[-1], Message)
    assert found[-1].serial == 9
    for message in found:
        if isinstance(message, Message):
            read_or_refused(message)


@settings(max_examples=400, deadline=None)
@given(
    msg_id=st.sampled_from([int.from_bytes(frame[1:3]) for frame in GOOD] + [body.REGISTER_ANSWER, body.TIME_ANSWER]),
    version=st.sampled_from(["2013", "2019"]),
    content=st.binary(max_size=200),
)
def test_any_body_is_read_or_refused(msg_id, version, content):
    read_or_refused(Message(msg_id, version, 1, "1", bytes(6), 1, content))


def read_or_refused(message):
    refused = ""
    found = None
    try:
        found = body.parse_body(message)
    except BodyError as error:
        refused = str(error)
    assert refused or found is not None


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32))
def test_mutated_frames_on_a_live_link_cost_nobody_anything(gps_dsn, seed):
    terminal_id, phone = add_terminal(gps_dsn)
    chance = random.Random(seed)

    async def scene():
        async with gateway(gps_dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            for _ in range(40):
                content = bytearray(body.encode_batch([fix(500), fix(501)]))
                content[chance.randrange(len(content))] = chance.randrange(256)
                frame = bytearray(
                    line.frame(chance.choice(sorted({body.LOCATION, body.BATCH, *report.REPORTS})), content, 3)
                )
                if chance.random() < 0.5:
                    frame[chance.randrange(1, len(frame) - 1)] = chance.randrange(256)
                await line.send(bytes(frame))
            await line.send(line.frame(body.LOCATION, body.encode_location(fix(1)), 60_001))
            while True:
                answer = body.parse_body(await line.receive())
                if isinstance(answer, body.Answer) and answer.serial == 60_001:
                    return answer.result

    assert asyncio.run(scene()) == body.RESULT_OK
    assert fix(1).at in [one.at for one in stored(gps_dsn, terminal_id)]
