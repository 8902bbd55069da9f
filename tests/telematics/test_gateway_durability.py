import asyncio
import contextlib
import itertools
import signal
import socket
import time

import psycopg

from telematics.gateway.terminal import NoAnswer
from telematics.protocols import jt808_body as body
from tests.telematics.running import (
    Process,
    add_terminal,
    fix,
    gateway,
    get,
    logged_in,
    quarantined,
    serving,
    stored,
    until,
)


def test_an_acknowledgement_comes_only_after_the_commit(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, logged_in(running.terminals.port, phone) as terminal:
            with psycopg.connect(gps_dsn) as locker:
                locker.execute("LOCK TABLE gps_touched IN ACCESS EXCLUSIVE MODE")
                sending = asyncio.create_task(terminal.send(fix()))
                await asyncio.sleep(0.4)
                assert not sending.done(), "acknowledged although nothing can be committed"
                await terminal.heartbeat()  # answered: only the position waits
                assert running.services.writer.depth == 1
            await asyncio.wait_for(sending, 5)
            return len(stored(gps_dsn, terminal_id))

    assert asyncio.run(scene()) == 1


def test_a_batch_is_stored_as_a_whole_or_not_at_all(gps_dsn):
    """A trigger refuses one of three fixes: none is stored, the bytes are in quarantine, neighbours are not harmed."""
    terminal_id, phone = add_terminal(gps_dsn)
    other_id, other = add_terminal(gps_dsn)
    refused_at = fix(101).at
    with psycopg.connect(gps_dsn) as conn:
        conn.execute(f"""
            CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF NEW.at = '{refused_at.isoformat()}' THEN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END IF;
                RETURN NEW;
            END $$""")
        conn.execute("CREATE TRIGGER refuse_one BEFORE INSERT ON gps_fix FOR EACH ROW EXECUTE FUNCTION refuse_one()")

    async def scene():
        async with gateway(gps_dsn) as running:
            async with (
                logged_in(running.terminals.port, phone) as terminal,
                logged_in(running.terminals.port, other) as neighbour,
            ):
                await asyncio.gather(
                    terminal.send_batch([fix(100), fix(101), fix(102)]),
                    terminal.send_batch([fix(110), fix(111)]),
                    *(neighbour.send(fix(second)) for second in range(10)),
                )

    try:
        asyncio.run(scene())
    finally:
        with psycopg.connect(gps_dsn) as conn:
            conn.execute("DROP FUNCTION refuse_one CASCADE")
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(110).at, fix(111).at]
    assert len(stored(gps_dsn, other_id)) == 10
    kept = quarantined(gps_dsn, str(terminal_id))
    assert [raw for _, raw in kept] == [body.encode_location(fix(second)) for second in (100, 101, 102)]


def test_a_full_queue_stops_the_reading_and_loses_nothing(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn, queue_rows=20, unanswered=50) as running:
            async with logged_in(running.terminals.port, phone, wait_s=30) as terminal:
                with psycopg.connect(gps_dsn) as locker:
                    locker.execute("LOCK TABLE gps_touched IN ACCESS EXCLUSIVE MODE")
                    sending = []
                    for some in (
                        range(10),
                        range(10, 20),
                        range(20, 300),
                    ):  # one read of all would wait for the first answer
                        sending += [asyncio.create_task(terminal.send(fix(second))) for second in some]
                        await until(lambda some=some: running.services.writer.depth > min(some[-1], 19))
                    await asyncio.sleep(0.2)
                    assert running.services.writer.depth < 20 + 50  # the messages of one read go together
                await asyncio.wait_for(asyncio.gather(*sending), 20)

    asyncio.run(scene())
    assert len(stored(gps_dsn, terminal_id)) == 300


def test_lost_database_connections_are_made_again(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, logged_in(running.terminals.port, phone) as terminal:
            await terminal.send(fix(0))
            with psycopg.connect(gps_dsn, autocommit=True) as conn:
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fleet-gateway' AND datname = current_database()"
                )
            await terminal.send(fix(1))
            await asyncio.sleep(0.1)
            async with logged_in(running.terminals.port, phone) as again:
                await again.send(fix(2))
            return running.services.writer.tally

    tally = asyncio.run(scene())
    assert len(stored(gps_dsn, terminal_id)) == 3
    assert (tally.committed, tally.failing) == (3, "")


def test_without_a_database_nothing_is_acknowledged_and_health_says_so(gps_dsn):
    _, phone = add_terminal(gps_dsn)

    async def scene():
        async with gateway(gps_dsn) as running, logged_in(running.terminals.port, phone) as terminal:
            await terminal.send(fix(0))
            status, text = await get(running.phones.port, "/healthz")
            assert (status, '"terminals": 1' in text, '"committed": 1' in text) == (200, True, True)
            with psycopg.connect(gps_dsn, autocommit=True) as conn:
                conn.execute("ALTER TABLE gps_touched RENAME TO gps_away")
                sending = asyncio.create_task(terminal.send(fix(1)))
                await asyncio.sleep(0.3)
                assert not sending.done()
                status, text = await get(running.phones.port, "/healthz")
                assert (status, '"status": "store unavailable"' in text) == (503, True)
                conn.execute("ALTER TABLE gps_away RENAME TO gps_touched")
            await asyncio.wait_for(sending, 5)

    asyncio.run(scene())


# -- the process


def test_sigterm_stores_what_was_accepted_and_exits_0(gps_dsn):
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene(process):
        async with logged_in(process.port, phone) as terminal:
            await terminal.send(fix(0))
            sending = [asyncio.create_task(terminal.send(fix(second))) for second in range(1, 200)]
            await asyncio.sleep(0.02)
            status, errors = await asyncio.to_thread(process.end)
            results = await asyncio.gather(*sending, return_exceptions=True)
            return status, errors, 1 + sum(result is None for result in results)

    with serving(gps_dsn) as process:
        status, errors, acknowledged = asyncio.run(scene(process))
    assert status == 0, errors
    assert "Traceback" not in errors
    assert len(stored(gps_dsn, terminal_id)) == acknowledged


def test_after_kill_9_under_load_every_acknowledged_position_is_in_the_database(gps_dsn):
    terminals = [add_terminal(gps_dsn) for _ in range(8)]

    async def drive(port, phone, acknowledged):
        with contextlib.suppress(NoAnswer, OSError):
            async with logged_in(port, phone) as terminal:
                for first in itertools.count(0, 20):
                    seconds = range(first, first + 20)
                    results = await asyncio.gather(*(terminal.send(fix(s)) for s in seconds), return_exceptions=True)
                    acknowledged |= {fix(s).at for s, result in zip(seconds, results, strict=True) if result is None}
                    if any(results):
                        return

    async def scene(process):
        acknowledged = {terminal_id: set() for terminal_id, _ in terminals}
        driving = asyncio.gather(
            *(drive(process.port, phone, acknowledged[terminal_id]) for terminal_id, phone in terminals)
        )
        await asyncio.sleep(1.0)
        await asyncio.to_thread(process.end, signal.SIGKILL)
        await driving
        return acknowledged

    with serving(gps_dsn) as process:
        acknowledged = asyncio.run(scene(process))
    assert sum(map(len, acknowledged.values())) > 50
    for terminal_id, times in acknowledged.items():
        assert times <= {one.at for one in stored(gps_dsn, terminal_id)}


def test_a_taken_port_is_one_sentence_and_status_1(gps_dsn):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = Process(gps_dsn, "--port", str(port))
        output, errors = process.child.communicate(timeout=20)
    assert (process.child.returncode, output) == (1, "")
    assert errors.startswith(f"Cannot listen on 127.0.0.1:{port}")
    assert errors.count("\n") == 1


def test_a_missing_database_is_waited_for(gps_dsn):
    process = Process(gps_dsn.replace("/gps_test", "/absent_gps_test"))
    line = process.child.stderr.readline()
    assert line.startswith("The database cannot be used (")
    assert line.endswith("trying again every second.\n")
    time.sleep(0.2)
    assert process.child.poll() is None, "it must not give up"
    assert process.end(signal.SIGINT) == (0, "")
    process.child.stdout.close()
