import asyncio
import json
from datetime import UTC, datetime

import psycopg
import pytest

from telematics import store
from tests.telematics.running import NOW, START, add_terminal, gateway, get, http, post, quarantined, stored

POINT = "lat=30.25&lon=120.15&timestamp=1716166800"  # 2024-05-20 01:00 UTC


def phone(dsn, **options):
    return add_terminal(dsn, kind="phone", token="s3cret", **options)


def ask(dsn, request, **limits):
    async def scene():
        async with gateway(dsn, **limits) as running:
            return await request(running.phones.port)

    return asyncio.run(scene())


@pytest.mark.parametrize(("unit", "speed_kmh"), [("knots", 18.5), ("ms", 36.0), ("kmh", 10.0)])
def test_the_speed_unit_belongs_to_the_registered_phone(gps_dsn, unit, speed_kmh):
    terminal, identity = phone(gps_dsn, speed_unit=unit)
    answer = ask(gps_dsn, lambda port: get(port, f"/?id={identity}&token=s3cret&speed=10&{POINT}"))
    assert answer == (200, "")
    [found] = stored(gps_dsn, terminal)
    assert (found.at, found.lat, found.lon, found.speed_kmh, found.source) == (
        START,
        30.25,
        120.15,
        speed_kmh,
        "osmand",
    )


@pytest.mark.parametrize(
    "header", ["Authorization: Bearer s3cret\r\n", "X-Token: s3cret\r\n", "authorization: bearer s3cret\r\n"]
)
def test_the_token_may_come_in_a_header(gps_dsn, header):
    terminal, identity = phone(gps_dsn)
    body = f"id=00{identity}&{POINT}".encode()
    assert ask(gps_dsn, lambda port: post(port, body, headers=header))[0] == 200
    assert len(stored(gps_dsn, terminal)) == 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("id={id}", 401),
        ("id={id}&token=", 401),
        ("id={id}&token=wrong", 403),
        ("id=unknown&token=s3cret", 403),
        ("id=%00&token=s3cret", 400),
        ("id={car}&token=s3cret", 403),
        ("token=s3cret", 400),
    ],
)
def test_who_is_not_a_registered_phone_with_its_token_is_refused(gps_dsn, query, status):
    terminal, identity = phone(gps_dsn)
    _, car = add_terminal(gps_dsn, kind="jt808")
    target = f"/?{query.format(id=identity, car=car)}&{POINT}"
    found, sentence = ask(gps_dsn, lambda port: get(port, target))
    assert found == status
    assert sentence
    assert stored(gps_dsn, terminal) == []


def test_a_disabled_phone_is_refused(gps_dsn):
    terminal, identity = phone(gps_dsn)
    with psycopg.connect(gps_dsn) as conn:
        conn.execute("UPDATE gps_terminal SET enabled = false WHERE id = %s", [terminal])
    assert ask(gps_dsn, lambda port: get(port, f"/?id={identity}&token=s3cret&{POINT}"))[0] == 403


def test_a_bad_point_is_kept_and_still_answered_200(gps_dsn):
    terminal, identity = phone(gps_dsn)
    points = [
        {"id": identity, "lat": 30.25, "lon": 120.15, "timestamp": 1716166800},
        {"id": identity, "lat": "north", "lon": 120.15, "timestamp": 1716166860},
        {"id": identity, "lat": 30.25, "lon": 120.15, "timestamp": 946684799},
    ]
    answer = ask(gps_dsn, lambda port: post(port, json.dumps(points).encode(), target="/?token=s3cret"))
    assert answer[0] == 200
    assert len(stored(gps_dsn, terminal)) == 1
    reasons = sorted(reason for reason, _ in quarantined(gps_dsn, identity))
    assert len(reasons) == 2
    assert "before 2000" in reasons[0]
    assert "north" in reasons[1]


def test_the_request_is_kept_as_evidence_without_the_token(gps_dsn):
    terminal, identity = phone(gps_dsn)
    flat = {"id": identity, "token": "s3cret", "lat": 30.25, "lon": 120.15}

    async def scene(port):
        await get(port, f"/?id={identity}&token=s3cret&{POINT}")
        await post(port, f"token=s3cret&id={identity}&{POINT}0".encode())
        await post(port, json.dumps([{**flat, "timestamp": 1716166802 + n} for n in range(2)]).encode())

    ask(gps_dsn, scene)
    with psycopg.connect(gps_dsn) as conn:
        raws = store.raw_frames(
            conn, terminal, datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
        ).values()
    assert len(raws) == 3
    assert all(b"s3cret" not in raw and identity.encode() in raw for raw in raws)


def test_a_retry_after_a_lost_answer_is_stored_once(gps_dsn):
    terminal, identity = phone(gps_dsn)

    async def twice(port):
        return [await get(port, f"/?id={identity}&token=s3cret&{POINT}") for _ in range(2)]

    assert ask(gps_dsn, twice) == [(200, "")] * 2
    assert len(stored(gps_dsn, terminal)) == 1


def test_503_when_the_store_does_not_take_it_and_200_on_the_retry(gps_dsn):
    terminal, identity = phone(gps_dsn)
    target = f"/?id={identity}&token=s3cret&{POINT}"

    async def scene(port):
        with psycopg.connect(gps_dsn) as locker:
            locker.execute("LOCK TABLE gps_touched IN ACCESS EXCLUSIVE MODE")
            first = await get(port, target)
        return first[0], (await get(port, target))[0]

    assert ask(gps_dsn, scene, store_wait_s=0.3) == (503, 200)
    assert len(stored(gps_dsn, terminal)) == 1


def test_one_connection_may_carry_many_requests(gps_dsn):
    terminal, identity = phone(gps_dsn)

    async def scene(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for second in range(3):
            body = f"id={identity}&token=s3cret&lat=30.25&lon=120.15&timestamp={1716166800 + second}".encode()
            head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
            writer.write(head.encode())
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"Connection: keep-alive" in answer
        writer.close()
        await writer.wait_closed()

    ask(gps_dsn, scene)
    assert len(stored(gps_dsn, terminal)) == 3


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/3\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nContent-Length: 1048577\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n[[", 400),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_what_is_not_a_sound_request_gets_its_status(gps_dsn, request_bytes, status):
    closing = request_bytes.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    assert ask(gps_dsn, lambda port: http(port, closing))[0] == status


def test_a_slow_request_does_not_hold_a_connection(gps_dsn):
    async def scene(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
        found = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
        return found

    assert ask(gps_dsn, scene, login_s=0.2) == b""


def test_health_counts_what_was_committed(gps_dsn):
    _, identity = phone(gps_dsn)

    async def scene(port):
        empty = await get(port, "/healthz")
        await get(port, f"/?id={identity}&token=s3cret&{POINT}")
        return empty, await get(port, "/healthz")

    (before, text), (after, later) = ask(gps_dsn, scene)
    assert (before, after) == (200, 200)
    assert json.loads(text)["last_commit_at"] is None
    found = json.loads(later)
    assert (found["status"], found["terminals"], found["queue_depth"], found["committed"]) == ("ok", 0, 0, 1)
    assert found["last_commit_at"] == NOW.isoformat()


def test_a_phone_heard_of_is_noted_as_seen(gps_dsn):
    terminal, identity = phone(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running:
            await get(running.phones.port, f"/?id={identity}&token=s3cret&{POINT}")
            await running.gateway.sweep(datetime(2024, 5, 20, 5, tzinfo=UTC))

    asyncio.run(scene())
    with psycopg.connect(gps_dsn) as conn:
        found = conn.execute("SELECT last_seen_at FROM gps_terminal WHERE id = %s", [terminal]).fetchone()
    assert found == (datetime(2024, 5, 20, 5, tzinfo=UTC),)
