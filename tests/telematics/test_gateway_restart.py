"""A gateway that is stopped in order and started again: nobody loses a position, and everybody who watches knows."""

import asyncio
from datetime import UTC, datetime

import psycopg

from telematics.gateway.process import running
from telematics.gateway.wire_rows import warm
from telematics.simulator.fleet import admit, numbers, simulate
from telematics.simulator.ledger import Ledger, compare
from telematics.simulator.vehicle import Plan
from tests.telematics.running import scene, until

TERMINALS = 8


def clock():
    return datetime.now(UTC)


def beats(dsn):
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT place, gateway, ended_at IS NOT NULL FROM gps_gateway ORDER BY since").fetchall()  # fmt: skip


@scene
async def test_a_restart_under_load_loses_no_position_and_repeats_none_that_was_acknowledged(gps_dsn, tmp_path):
    phones = numbers(17_200_000_000, TERMINALS)
    with psycopg.connect(gps_dsn) as connection:
        admit(connection, phones)
    warm()
    path = tmp_path / "ledger"
    with Ledger(path) as ledger:
        async with running(gps_dsn, role="fleet_gateway", clock=clock) as first:
            port = first.terminals.port
            plan = Plan(host="127.0.0.1", port=port, rate_hz=10.0, wait_s=1.0)
            driving = asyncio.create_task(
                simulate(phones, plan, seconds=4.0, patience_s=30.0, seed=1, clock=clock, ledger=ledger)
            )
            await until(lambda: first.services.writer.tally.committed >= 5 * TERMINALS)
        assert first.services.writer.depth == 0  # what was accepted is durable before the end
        stopped = beats(gps_dsn)
        async with running(gps_dsn, role="fleet_gateway", clock=clock, port=port) as second:
            counts = await driving
            working = beats(gps_dsn)
    assert second.services.writer.tally.committed > 0
    assert counts.connections > TERMINALS
    assert (counts.waiting, counts.forgotten) == (0, 0)
    with psycopg.connect(gps_dsn) as connection:
        found = compare(path, connection)
    assert found.missing == 0
    assert found.sent == found.acknowledged == found.stored
    assert [ended for _, _, ended in stopped] == [True]
    [(place, run, ended)] = working
    assert (place, ended) == (stopped[0][0], False)
    assert run != stopped[0][1]
