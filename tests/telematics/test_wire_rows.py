"""The quick way of a read to rows and answers gives what the long way gives, refusals included."""

import asyncio
import struct
from datetime import UTC, datetime, timedelta
from functools import reduce
from operator import xor

import psycopg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from telematics import store
from telematics.blocks import Block, joined
from telematics.bulk import SEEN_STAGE, write_block
from telematics.gateway import wire_rows
from telematics.gateway.content import incoming
from telematics.gateway.directory import Known
from telematics.gateway.wire_rows import Run, answers, header_of, runs
from telematics.model import Fix
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import (
    FLAG,
    FrameSplitter,
    Message,
    ProtocolError,
    encode_frame,
    escape,
    header_form,
    xor_of,
)
from telematics.protocols.jt808_body import BASE
from telematics.protocols.jt808_items import NUMBERS
from telematics.rows import to_row
from tests.telematics.running import add_terminal, gateway, wire

NOW = datetime(2024, 5, 20, 4, 0, tzinfo=UTC)
PHONE = "13900000000"
OURS = Known(7, PHONE, None, None, "knots")

plain_items = st.lists(st.sampled_from(NUMBERS), max_size=6).flatmap(
    lambda chosen: st.tuples(
        *(
            st.binary(min_size=length, max_size=length).map(lambda value, head=(number, length): bytes(head) + value)
            for number, length, _, _ in chosen
        )
    ).map(b"".join)
)
times = st.datetimes(datetime(1999, 12, 30), datetime(2024, 5, 23)).map(  # noqa: DTZ001 - of no zone yet
    lambda at: bytes.fromhex(at.strftime("%y%m%d%H%M%S"))
)
u32, u16 = st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1)
lat, lon = (st.one_of(st.integers(0, most), u32) for most in (90_000_000, 180_000_000))
bases = st.builds(
    BASE.pack, u32, u32, lat, lon, st.integers(-(2**15), 2**15 - 1), u16, u16, times | st.binary(min_size=6, max_size=6)
)
bodies = st.one_of(
    st.builds(bytes.__add__, bases, plain_items),
    st.builds(bytes.__add__, bases, st.binary(max_size=30)),
    st.binary(max_size=40),
)
batches = st.builds(
    lambda declared, kind, items: (
        (len(items) if declared is None else declared).to_bytes(2)
        + bytes((kind,))
        + b"".join(len(item).to_bytes(2) + item for item in items)
    ),
    st.none() | st.integers(0, 5),
    st.integers(0, 2),
    st.lists(bodies, max_size=4),
)
contents = st.one_of(
    st.tuples(st.just(body.LOCATION), bodies),
    st.tuples(st.just(body.BATCH), batches | st.binary(max_size=60)),
    st.tuples(st.sampled_from([body.HEARTBEAT, body.LOCATION_ANSWER, 0x0F00]), st.binary(max_size=40)),
)


@st.composite
def streams(draw):
    """Header form of our terminal, and frames of it and of others, sound and damaged, with the serials counting."""
    version = draw(st.sampled_from(["2013", "2019"]))
    sent = b""
    for serial, (msg_id, content) in enumerate(draw(st.lists(contents, max_size=8)), start=0x7D7C):
        other = draw(st.sampled_from([version] * 8 + ["2013", "2019"]))
        phone = draw(st.sampled_from([PHONE] * 8 + ["13900000001"]))
        piece = draw(st.sampled_from([None] * 10 + [(2, 1)]))
        frame = encode_frame(msg_id, content, like=header_form(phone, other), serial=serial, sub_package=piece)
        damage = draw(st.sampled_from(["none"] * 8 + ["byte", "cut", "flag", "escape", "length"]))
        at = draw(st.integers(1, len(frame) - 2))
        if damage == "byte":
            frame = frame[:at] + bytes((draw(st.integers(0, 255)),)) + frame[at + 1 :]
        elif damage == "cut":
            frame = frame[:at] + frame[at + 1 :]
        elif damage == "flag":
            frame = frame[:at] + FLAG + frame[at:]
        elif damage == "escape":
            frame = frame[:at] + b"\x7d" + frame[at:]
        elif damage == "length":  # a sound check byte, but the header gives another length
            inside = (
                msg_id.to_bytes(2) + (len(content) + 1).to_bytes(2) + header_form(phone).phone_raw + b"\0\1" + content
            )
            frame = FLAG + escape(inside + bytes((xor_of(inside),))) + FLAG
        sent += frame
    return header_form(PHONE, version), sent


def of(message: Message):
    """Rows and quarantine of a message the long way, or the reason it is refused for."""
    try:
        brought = incoming(OURS, message, body.parse_body(message), now=NOW, peer="")
    except ProtocolError as error:
        return str(error)
    return list(brought.rows), list(brought.quarantined)


def long_way(data: bytes) -> list:
    return [
        (of(piece) if isinstance(piece, Message) and piece.msg_id in (body.LOCATION, body.BATCH) else piece)
        for piece in FrameSplitter().feed(data)
    ]


def frame(content: bytes, msg_id: int = body.LOCATION) -> bytes:
    return encode_frame(msg_id, content, like=header_form(PHONE), serial=1)


def location(items: bytes = b"", *, position=(30_250_000, 120_150_000), status=3, time="240520093000") -> bytes:
    return BASE.pack(0, status, *position, 12, 450, 90, bytes.fromhex(time)) + items


def stream(*locations: bytes):
    return header_form(PHONE), b"".join(map(frame, locations))


@settings(max_examples=800, deadline=None)
@given(streams(), st.integers(1, 5))
@example(stream(location(), location(status=0xF), location(position=(0, 0)), location(position=(2**32 - 1,) * 2)), 9)
@example(stream(location(time="f" * 12), location(time="240230000000"), location(time="000101070000")), 9)
@example(stream(location(time="000101080000"), location(time="240521120000"), location(time="240521120001")), 9)
@example(stream(*(location(bytes.fromhex(items)) for items in ("0202ffff", "02020195", "02028032", "05", "3001"))), 9)
@example(stream(*(location(bytes.fromhex(items)) for items in ("3001193101", "300119310a", "300119300a"))), 9)
@example(stream(*(location(bytes.fromhex(items)) for items in ("0104ffffffff", "010400000001", "e10400000001"))), 9)
def test_the_quick_way_equals_the_long_one(sent, most):
    form, data = sent
    if not data:
        return
    found, end = [], 0
    for part in runs(data, header_of(form), OURS.id, NOW, most=most):
        assert part.end > end
        end = part.end
        if isinstance(part, Run):
            assert len(part.serials) <= most
            alone = part.incoming().apart()
            assert sum(len(one.rows) for one in alone) == len(part.block)
            found += [(list(one.rows), []) for one in alone]
        else:
            found += long_way(part.frames)
    expected = long_way(data)
    assert found == expected
    for quick, slow in zip(found, expected, strict=True):
        if isinstance(quick, tuple):
            assert [[type(value) for value in row] for row in quick[0]] == [
                [type(value) for value in row] for row in slow[0]
            ]


def test_the_usual_goes_the_quick_way_and_the_unusual_does_not():
    header = header_of(header_form(PHONE))

    def quick(data):
        return [isinstance(part, Run) for part in runs(data, header, 7, NOW, most=100)]

    every = b"".join(bytes((number, length)) + bytes(length) for number, length, _, _ in NUMBERS)
    batch = frame(body.encode_batch([body.parse_location(location())] * 3, blind=True), body.BATCH)
    assert quick(frame(location()) * 3 + frame(location(every)) + batch) == [True]
    for content in (location(time="f" * 12), location(b"\x30\x01"), location(b"\xe1\x01\x01"), location()[:27]):
        assert quick(frame(location()) + frame(content) * 2 + frame(location())) == [True, False, True]
    ahead = (NOW + timedelta(hours=8 + 25)).strftime("%y%m%d%H%M%S")
    assert quick(frame(location(time=ahead))) == [False]
    assert quick(frame(location()) * (wire_rows.MOST_ROWS + 10)) == [False], "more bytes than one call takes"
    assert quick(FLAG * 100) == []


@settings(deadline=None)  # the first call may compile
@given(st.data())
def test_answers_equal_the_long_way(data):
    form = header_form(PHONE, data.draw(st.sampled_from(["2013", "2019"])))
    serials = data.draw(st.lists(u16, min_size=1, max_size=5))
    own, result = data.draw(u16), data.draw(st.integers(0, 3))
    sent = b"".join(encode_frame(body.LOCATION, location(), like=form, serial=serial) for serial in serials)
    [run] = runs(sent, header_of(form), 7, NOW, most=10)
    assert isinstance(run, Run)
    expected = [
        encode_frame(
            body.PLATFORM_ANSWER,
            body.encode_answer(serial=serial, msg_id=body.LOCATION, result=result),
            like=form,
            serial=own + place,
        )
        for place, serial in enumerate(serials)
    ]
    assert answers(run, result, header_of(form), own) == b"".join(expected)


@given(st.lists(st.lists(bases.map(frame), max_size=4), min_size=1, max_size=3))
def test_blocks_give_back_their_rows(groups):
    rows = [
        [row for found in map(of, sent) if not isinstance(found, str) for row in found[0]]
        for sent in map(messages, groups)
    ]
    blocks = [Block.of(group) for group in rows]
    assert [block.to_rows() for block in blocks] == rows
    assert joined(blocks).to_rows() == [row for group in rows for row in group]


def messages(sent):
    return [piece for piece in FrameSplitter().feed(b"".join(sent)) if isinstance(piece, Message)]


def tables_of(conn, terminal):
    """What stands in the store of a terminal."""
    one = {"t": terminal}
    fixes = conn.execute(
        "SELECT at, digest, lat_e6, lon_e6, rest FROM gps_fix WHERE terminal_id = %(t)s ORDER BY at, digest", one
    ).fetchall()
    last = conn.execute(
        "SELECT at, lat_e6, lon_e6, speed_dkmh, direction_deg, acc, fixed, odometer_m, received_at,"
        " changed & 4294967295 = xmin::text::bigint FROM gps_last WHERE terminal_id = %(t)s",
        one,
    ).fetchall()
    days = conn.execute(
        "SELECT day, received_at, least_delay_ms, alarms, fixes, unfixed, satellites, with_satellites, heard::text"
        " FROM gps_day WHERE terminal_id = %(t)s ORDER BY day",
        one,
    ).fetchall()
    touched = conn.execute(
        "SELECT day, first_at, last_at FROM gps_touched WHERE terminal_id = %(t)s ORDER BY day", one
    ).fetchall()
    frames = store.raw_frames(conn, terminal, NOW - timedelta(days=9000), NOW + timedelta(days=2))
    queued = conn.execute(
        "SELECT at, digest FROM gps_upstream_queue WHERE terminal_id = %(t)s ORDER BY id", one
    ).fetchall()
    return fixes, last, days, touched, frames, queued


@pytest.mark.usefixtures("fleet")  # a superior platform, which gets every plausible one
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.builds(bytes.__add__, bases, plain_items) | st.just(location()), min_size=1, max_size=12))
def test_the_store_holds_the_same_by_either_way(gps_dsn, sent):
    quick, phone = add_terminal(gps_dsn)
    careful, _ = add_terminal(gps_dsn)
    found = [of(message) for message in messages(map(frame, sent))]
    rows = [row for one in found if not isinstance(one, str) for row in one[0]]

    async def scene():
        async with gateway(gps_dsn, clock=lambda: NOW) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            for content in sent:
                await line.send(line.frame(body.LOCATION, content, 5))
            await line.send(line.frame(body.HEARTBEAT, b"", 9))
            results = []
            while len(results) < len(sent) + 1:
                results.append((await line.answer())[1])
            return sorted(answer.result for answer in results)

    results = asyncio.run(scene())
    assert results == sorted([0] + [2 if isinstance(one, str) else 0 for one in found])
    fixes = [(careful, body.parse_location(content), message.raw) for content, message in sound(sent, phone)]
    with psycopg.connect(gps_dsn, options="-c timezone=UTC") as conn:
        store.save(conn, fixes, NOW)
        conn.commit()
        by_quick, by_careful = tables_of(conn, quick), tables_of(conn, careful)
    assert by_quick == by_careful
    assert len(by_quick[0]) == len({(row[1], row[2]) for row in rows})


positions = st.builds(
    lambda second, delay_ms, satellites, **rest: (
        Fix(
            NOW - timedelta(days=1, seconds=second),
            rest.pop("lat"),
            120.15,
            speed_kmh=36.0,
            items={} if satellites is None else {"satellites": satellites},
            **rest,
        ),
        NOW + timedelta(days=2, milliseconds=delay_ms),
    ),
    st.integers(-120, 120).map(lambda quarter: quarter * 600) | st.integers(-90_000, 90_000),
    st.integers(0, 10**6),
    st.none() | st.integers(-1, 256) | st.just(2.5),
    lat=st.sampled_from([0.0, 30.25, 91.0]),
    alarm=st.just(0) | u32,
    fixed=st.booleans(),
    mock=st.booleans(),
    acc=st.none() | st.booleans(),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(positions, min_size=1, max_size=12, unique_by=lambda one: one[0].at), st.integers(1, 12))
def test_a_day_is_summed_the_same_by_either_way(gps_dsn, found, cut):
    quick, _ = add_terminal(gps_dsn)
    careful, _ = add_terminal(gps_dsn)

    async def write():
        async with await psycopg.AsyncConnection.connect(gps_dsn) as conn:
            await conn.execute(SEEN_STAGE)
            await conn.commit()
            for part in filter(None, (found[:cut], found[cut:])):
                await write_block(conn, Block.of([to_row(quick, fix, b"raw", at) for fix, at in part]))
                await conn.commit()
                await store.write_rows(conn, [to_row(careful, fix, b"raw", at) for fix, at in part], ())
                await conn.commit()

    asyncio.run(write())
    with psycopg.connect(gps_dsn, options="-c timezone=UTC") as conn:
        by_quick, by_careful = tables_of(conn, quick), tables_of(conn, careful)
    assert by_quick == by_careful
    days = by_quick[2]
    assert sum(day[4] for day in days) == len(found)
    assert sum(day[8].count("1") for day in days) == len({fix.at.timestamp() // 900 for fix, _ in found})


def sound(sent, phone):
    for content in sent:
        [message] = FrameSplitter().feed(encode_frame(body.LOCATION, content, like=header_form(phone), serial=5))
        if not isinstance(of(message), str):
            yield content, message


@given(st.binary(max_size=1100))
@example(b"")
@example(struct.pack(">130Q", *range(130)))
def test_the_check_byte_combines_all_bytes(data):
    assert xor_of(data) == reduce(xor, data, 0)
