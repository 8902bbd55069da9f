"""Several gateways on one database: the newest link of a terminal wins, and it alone is sent commands."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import psycopg
import pytest

from telematics import terminal_store
from telematics.gateway.holding import Holding
from telematics.gateway.link import Link
from telematics.protocols import jt808_body as body
from tests.telematics.running import NOW, add_terminal, fix, gateway, logged_in, scene, stored, until, wire

TEXT = 0x8300


def ask(dsn, terminal_id):
    with psycopg.connect(dsn) as conn:
        return terminal_store.add_command(conn, terminal_id, "text", {"text": "hello"}, now=NOW)


def outcome(dsn, command_id):
    with psycopg.connect(dsn) as conn:
        return terminal_store.outcome(conn, command_id)


@scene
async def test_a_login_on_another_gateway_ends_the_old_link_and_takes_the_commands(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    async with AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(gateway(gps_dsn, command_wait_s=2.0)) for _ in range(2)]
        old = await stack.enter_async_context(wire(first.terminals.port, phone))
        code = await old.log_in()
        assert list(first.gateway.terminals) == [terminal_id]
        async with wire(second.terminals.port, phone) as new:
            authentication = body.encode_authentication(body.Authentication(code), "2013")
            assert (await new.ask(body.AUTHENTICATE, authentication)).result == body.RESULT_OK
            await until(lambda: not first.gateway.terminals)
            with pytest.raises(ConnectionError):
                await old.receive()
            commands = [ask(gps_dsn, terminal_id) for _ in range(3)]
            for _ in commands:
                message = await new.receive()
                assert message.msg_id == TEXT
                await new.send(
                    new.frame(body.TERMINAL_ANSWER, body.encode_answer(serial=message.serial, msg_id=TEXT, result=0))
                )
            await until(lambda: all(outcome(gps_dsn, one).result for one in commands))
            assert {outcome(gps_dsn, one).result for one in commands} == {"ok"}
            with pytest.raises(TimeoutError):
                await new.receive(within_s=0.2)  # each once
        async with logged_in(first.terminals.port, phone) as back:  # and back again
            await until(lambda: not second.gateway.terminals)
            await back.send(fix())
    assert len(stored(gps_dsn, terminal_id)) == 1


@scene
async def test_a_gateway_that_still_has_a_dead_link_takes_no_command(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)
    async with gateway(gps_dsn) as found, logged_in(found.terminals.port, phone):
        link = Link(gps_dsn, role="fleet_gateway")
        with psycopg.connect(gps_dsn) as conn:  # another gateway has it, and its word got lost
            conn.execute(
                "UPDATE gps_link SET gateway = 'other', number = number + 1 WHERE terminal_id = %s", [terminal_id]
            )
        command = ask(gps_dsn, terminal_id)
        await asyncio.sleep(0.3)
        assert terminal_id in found.gateway.terminals
        assert outcome(gps_dsn, command).sent_at is None
        async with link.transaction() as connection:
            [claimed] = await terminal_store.claim(connection, [terminal_id], gateway="other", now=NOW)
            assert claimed.id == command
        await link.close()
        await found.gateway.sweep(NOW)
        await until(lambda: not found.gateway.terminals)


@scene
async def test_numbers_grow_and_late_ones_give_way(gps_dsn):
    terminal_id, _ = add_terminal(gps_dsn)
    link = Link(gps_dsn, role="fleet_gateway")
    one, other = Holding(link, gateway="one"), Holding(link, gateway="other")
    later = NOW + timedelta(seconds=5)
    assert await one.log_in(terminal_id, now=NOW) == 1
    assert await other.log_in(terminal_id, now=later) == 2
    assert await one.hold({terminal_id: NOW}, late=True) == {}
    assert await one.hold({terminal_id: later}, late=True) == {terminal_id: 3}
    # A clock that is behind does not keep a terminal from logging in.
    assert await other.log_in(terminal_id, now=NOW) == 4
    assert await one.hold({-1: NOW}) == {}
    await link.close()
