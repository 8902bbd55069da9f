"""The same messages as datagrams, on the port number of TCP."""

import asyncio
import contextlib
import socket

import psycopg
import pytest

from telematics.gateway import datagrams
from telematics.protocols import jt808_body as body
from telematics.protocols import jt808_report as report
from tests.telematics.running import (
    NOW,
    add_terminal,
    events,
    fix,
    gateway,
    logged_in,
    quarantined,
    stored,
    udp_wire,
    until,
)


@pytest.mark.parametrize("version", ["2013", "2019"])
def test_a_session_in_datagrams(gps_dsn, version):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, udp=True) as running, udp_wire(running.terminals.port, phone, version) as line:
            await line.log_in()
            assert list(running.gateway.terminals) == [terminal_id]
            assert (await line.ask(body.HEARTBEAT)).result == body.RESULT_OK
            assert (await line.ask(body.TIME_QUERY)).at == NOW
            location = line.frame(body.LOCATION, body.encode_location(fix(0)), 9)
            for _ in range(3):  # the answer may have been lost: the terminal sends it again
                await line.send(location)
            answers = [(await line.answer())[1] for _ in range(3)]
            assert answers == [body.Answer(9, body.LOCATION, body.RESULT_OK)] * 3
            assert (await line.ask(body.BATCH, body.encode_batch([fix(1), fix(2)]))).result == body.RESULT_OK
            assert (await line.ask(report.TRANSPARENT, b"\x41x")).result == body.RESULT_OK
            message, answer = await line.answer_to(body.LOGOUT)
            assert (message.version, answer.result) == (version, body.RESULT_OK)
            await until(lambda: not running.gateway.terminals)
            late = await line.ask(body.LOCATION, body.encode_location(fix(3)))
            assert late.result == body.RESULT_FAILED, "after the logout the address is a stranger's again"

    asyncio.run(scene())
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(second).at for second in range(3)]
    assert len(events(gps_dsn, terminal_id)) == 1


def test_a_datagram_is_answered_only_after_the_commit(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, udp=True) as running, udp_wire(running.terminals.port, phone) as line:
            await line.log_in()
            with psycopg.connect(gps_dsn) as locker:
                locker.execute("LOCK TABLE gps_touched IN ACCESS EXCLUSIVE MODE")
                await line.send(line.frame(body.LOCATION, body.encode_location(fix(0)), 3))
                with pytest.raises(TimeoutError):
                    await line.answer(within_s=0.3)
            return (await line.answer())[1].serial

    assert asyncio.run(scene()) == 3
    assert len(stored(gps_dsn, terminal_id)) == 1


def test_every_source_proves_who_it_is(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    location = body.encode_location(fix(0))

    async def scene():
        async with gateway(gps_dsn, udp=True) as running:
            port = running.terminals.port
            async with udp_wire(port, phone) as honest, udp_wire(port, phone) as stranger:
                await honest.log_in()
                assert (await stranger.ask(body.LOCATION, location)).result == body.RESULT_FAILED
                assert (await stranger.ask(body.AUTHENTICATE, b"guess")).result == body.RESULT_FAILED
                assert (await honest.ask(body.LOCATION, location)).result == body.RESULT_OK
                await stranger.log_in()  # the terminal behind another address: the newest wins
                await until(lambda: len(running.gateway.connections()) == 1)
                assert (await honest.ask(body.LOCATION, body.encode_location(fix(1)))).result == body.RESULT_FAILED
                assert (await stranger.ask(body.LOCATION, body.encode_location(fix(2)))).result == body.RESULT_OK

    asyncio.run(scene())
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(0).at, fix(2).at]
    reasons = [reason for reason, _ in quarantined(gps_dsn, phone)]
    assert reasons == ["sent before authentication", "wrong authentication code", "sent before authentication"]


def test_a_terminal_that_changes_from_tcp_to_udp_is_one_terminal(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, udp=True) as running:
            port = running.terminals.port
            async with logged_in(port, phone) as old, udp_wire(port, phone) as line:
                await old.send(fix(0))
                await line.log_in()
                with pytest.raises(ConnectionError):
                    await old.send(fix(1))
                assert (await line.ask(body.LOCATION, body.encode_location(fix(2)))).result == body.RESULT_OK
                assert len(running.gateway.terminals) == 1

    asyncio.run(scene())
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(0).at, fix(2).at]


def test_silent_and_surplus_sources_are_forgotten(gps_dsn):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, udp=True, login_s=1, udp_sources=1) as running:
            port = running.terminals.port
            async with udp_wire(port, phone) as first, udp_wire(port, phone) as second:
                await second.send(b"no frame opens a line")
                await first.ask(body.HEARTBEAT)
                await second.send(second.frame(body.HEARTBEAT))
                with pytest.raises(TimeoutError):
                    await second.answer(within_s=0.1)
                await until(lambda: not running.gateway.connections())
                return (await second.ask(body.HEARTBEAT)).result

    assert asyncio.run(scene()) == body.RESULT_OK


def test_without_the_setting_nobody_listens_to_datagrams(gps_dsn):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, udp_wire(running.terminals.port, phone) as line:
            with contextlib.suppress(OSError):
                await line.send(line.frame(body.HEARTBEAT))
            with pytest.raises(TimeoutError):
                await line.answer(within_s=0.2)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
                free.bind(("127.0.0.1", running.terminals.port))
                return free.getsockname()[1] == running.terminals.port

    assert asyncio.run(scene())


def test_what_waits_is_bounded_and_given_back(monkeypatch):
    monkeypatch.setattr(datagrams, "WAITING_BYTES", 100)
    opened = []

    async def scene():
        loop = asyncio.get_running_loop()
        endpoint = datagrams.Datagrams(opened.append, most=5)
        await loop.create_datagram_endpoint(lambda: endpoint, local_addr=("127.0.0.1", 0))
        for port in range(4):
            endpoint.datagram_received(b"\x7e" * 40, ("127.0.0.1", port))
        assert (len(opened), endpoint.waiting_bytes) == (4, 80)
        assert len(await opened[0].read()) == 40
        opened[1].abort()
        endpoint.close()
        await asyncio.sleep(0)
        return endpoint.waiting_bytes

    assert asyncio.run(scene()) == 0
