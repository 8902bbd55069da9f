"""The gateway in the migrated database: its role passes the row-level security of what it writes, and no further."""

import asyncio

import psycopg
import pytest

from telematics import terminal_store
from telematics.gateway.link import driver_address
from telematics.protocols import jt808_body as body
from telematics.protocols import jt808_report as report
from tests.telematics.running import NOW, events, gateway, until, wire


def test_events_properties_and_commands_pass_the_row_level_security(live_database_url):
    dsn = driver_address(live_database_url)
    with psycopg.connect(dsn) as conn:
        terminal_id, phone = conn.execute("SELECT id, phone FROM gps_terminal ORDER BY id LIMIT 1").fetchone()
        command = terminal_store.add_command(conn, terminal_id, "text", {"text": "x"}, now=NOW)

    def outcome():
        with psycopg.connect(dsn) as conn:
            return terminal_store.outcome(conn, command)

    async def scene():
        async with gateway(dsn) as running, wire(running.terminals.port, phone) as line:
            await line.log_in()
            message, _ = await line.answer()
            general = body.encode_answer(serial=message.serial, msg_id=message.msg_id, result=0)
            await line.send(line.frame(body.TERMINAL_ANSWER, general))
            await until(lambda: outcome().result)
            assert (await line.ask(report.TRANSPARENT, b"\x41x")).result == body.RESULT_OK
            attributes = b"\x00\x07" + bytes(32) + bytes(10) + b"\x00\x00\x03\x20"
            assert (await line.ask(report.ATTRIBUTES, attributes)).result == body.RESULT_OK

    asyncio.run(scene())
    assert outcome().result == "ok"
    assert len(events(dsn, terminal_id)) == 1
    with psycopg.connect(dsn) as conn:
        assert conn.execute("SELECT properties FROM gps_terminal WHERE id = %s", [terminal_id]).fetchone()[0]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO terminal_command (terminal_id, kind, created_at, expires_at) VALUES (1, 'text', now(), now() + '1 h')",
        "UPDATE terminal_command SET parameters = '{}'",
        "UPDATE terminal_event SET body = '{}'",
        "SELECT * FROM driver",
    ],
)
def test_the_gateway_does_nothing_else(live_database_url, statement):
    with psycopg.connect(driver_address(live_database_url)) as conn:
        conn.execute("SET ROLE fleet_gateway")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)
