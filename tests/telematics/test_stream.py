"""The stream between gateways and database: what it has is acknowledged, what it has not is not, nothing is stored twice."""

import asyncio
from contextlib import asynccontextmanager

import nats
import psycopg
import pytest
from nats.js import api

from telematics import store
from telematics.gateway.batches import pack_block, pack_message
from telematics.gateway.drain import draining
from telematics.gateway.limits import Limits
from telematics.gateway.link import StoreUnavailable
from telematics.gateway.process import running
from telematics.gateway.stream import Stream, StreamPlace, WrongStream, refusal
from telematics.gateway.terminal import NoAnswer, Terminal
from telematics.gateway.writer import Incoming
from telematics.protocols import jt808_body as body
from telematics.rows import Quarantined, to_row
from tests.telematics.running import (
    NOW,
    add_terminal,
    events,
    fix,
    get,
    logged_in,
    quarantined,
    run_command,
    scene,
    stored,
    until,
    wire,
)
from tests.telematics.scaled import StreamServer, until_blocks


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    found = StreamServer(tmp_path_factory.mktemp("nats"))
    found.start()
    yield found
    found.kill()


@pytest.fixture
def place(server) -> StreamPlace:
    """Of a stream that is there and empty."""
    found = server.place()

    async def make():
        stream = Stream(found)
        await stream.check()
        await stream.close()
        await until_blocks(server, 0)

    asyncio.run(make())
    return found


@asynccontextmanager
async def gateway(dsn, place, **limits):
    found = Limits(**{"command_poll_s": 0.02, "reread_s": 0.1} | limits)
    async with running(dsn, role="fleet_gateway", clock=lambda: NOW, limits=found, flush_s=5.0, stream=place) as one:
        yield one


def writer(dsn, place):
    return draining(dsn, place, role="fleet_gateway", clock=lambda: NOW)


@scene
async def test_positions_and_all_else_reach_the_database_through_the_stream(gps_dsn, server, place):
    terminal_id, phone = add_terminal(gps_dsn)
    async with gateway(gps_dsn, place) as found:
        async with logged_in(found.terminals.port, phone) as terminal:
            await terminal.send(fix(0))
            await terminal.send_batch([fix(second) for second in range(1, 20)])
        async with wire(found.terminals.port, phone) as line:
            await line.log_in()
            await line.send(line.frame(body.LOCATION, b"too short", serial=9))
            await line.answer()
            assert (await line.ask(0x0900, b"\xf0hello", serial=10)).result == body.RESULT_OK
        assert stored(gps_dsn, terminal_id) == []
        async with writer(gps_dsn, place):
            await until(lambda: len(stored(gps_dsn, terminal_id)) == 20 and events(gps_dsn, terminal_id))
            await until_blocks(server, 0)
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(second).at for second in range(20)]
    assert len(quarantined(gps_dsn, phone)) == 1
    with psycopg.connect(gps_dsn) as conn:
        assert len(store.raw_frames(conn, terminal_id, fix(0).at, fix(20).at)) == 20


@scene
async def test_blocks_that_come_again_change_nothing(gps_dsn, server, place):
    """As after a writer that died between commit and acknowledgement, or a retry whose name the stream has forgotten."""
    terminal_id, phone = add_terminal(gps_dsn)
    entry = Quarantined(NOW, "1.2.3.4:5", phone, "why", b"bytes")
    message = Incoming([to_row(terminal_id, fix(second), b"frame", NOW) for second in range(3)], [entry, entry])
    client = await nats.connect(server.url)
    for _ in range(3):
        await client.jetstream().publish(place.subject, pack_block([pack_message(message)]))
    async with writer(gps_dsn, place), writer(gps_dsn, place):
        await until_blocks(server, 0)
    assert len(stored(gps_dsn, terminal_id)) == 3
    assert len(quarantined(gps_dsn, phone)) == 1
    # One retry within the stream's own memory of names is a single block.
    stream = Stream(place)
    for _ in range(2):
        await stream.store([message])
    assert (await client.jetstream().stream_info(place.name)).state.messages == 1
    async with writer(gps_dsn, place):
        await until_blocks(server, 0)
    await stream.close()
    await client.close()


@scene
async def test_a_row_the_tables_refuse_goes_to_quarantine_and_its_neighbours_do_not_suffer(gps_dsn, server, place):
    terminal_id, _ = add_terminal(gps_dsn)
    bad = to_row(terminal_id, fix(1), b"frame", NOW)
    stream = Stream(place)
    absurd = (*bad[:1], bad[1].replace(year=2150), *bad[2:])  # no partition is made for it
    await stream.store([Incoming([absurd]), Incoming([to_row(terminal_id, fix(2), b"frame", NOW)])])
    async with writer(gps_dsn, place):
        await until_blocks(server, 0)
    await stream.close()
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(2).at]
    assert [raw for _, raw in quarantined(gps_dsn, str(terminal_id))] == [b"frame"]


@scene
async def test_what_a_killed_server_forgot_to_remove_is_removed(gps_dsn, server, place):
    """nats-server 2.9 then has blocks that were acknowledged and that no writer would ever get."""
    terminal_id, _ = add_terminal(gps_dsn)
    stream = Stream(place)
    for second in range(20):
        await stream.store([Incoming([to_row(terminal_id, fix(second), b"frame", NOW)])])
    await stream.close()
    async with draining(gps_dsn, place, role="fleet_gateway", clock=lambda: NOW, tidy_s=0.2):
        await until_blocks(server, 0)
        server.kill()
        server.start()
        await stream.store([Incoming([to_row(terminal_id, fix(20), b"frame", NOW)])])
        await asyncio.sleep(0.5)
        await until_blocks(server, 0)
    await stream.close()
    assert len(stored(gps_dsn, terminal_id)) == 21


@scene
async def test_an_unreadable_block_stays_and_holds_nobody_up(gps_dsn, server, place):
    terminal_id, _ = add_terminal(gps_dsn)
    client = await nats.connect(server.url)
    context = client.jetstream()
    await context.publish(place.subject, b"GPS9 of a later release")
    row = to_row(terminal_id, fix(), b"frame", NOW)
    await context.publish(place.subject, pack_block([pack_message(Incoming([row]))]))
    async with writer(gps_dsn, place):
        await until(lambda: len(stored(gps_dsn, terminal_id)) == 1)
        await until_blocks(server, 1)
    stream = Stream(place)
    assert (await stream.first_left())[1] == b"GPS9 of a later release"
    await stream.close()
    await context.purge_stream(place.name)
    await client.close()


@scene
async def test_terminals_log_in_and_are_acknowledged_while_the_database_is_away(gps_dsn, server, place):
    terminal_id, phone = add_terminal(gps_dsn)
    _, never = add_terminal(gps_dsn)
    async with gateway(gps_dsn, place) as found:
        async with logged_in(found.terminals.port, phone) as terminal:
            code = await terminal.register()
        await found.services.directory.read_all()
        with psycopg.connect(gps_dsn, autocommit=True) as conn:
            conn.execute("ALTER TABLE gps_terminal RENAME TO gps_away")
            try:
                async with Terminal("127.0.0.1", found.terminals.port, phone) as terminal:
                    await terminal.authenticate(code)
                    await terminal.send(fix(0))
                    await terminal.send(fix(1))
                async with Terminal("127.0.0.1", found.terminals.port, never, wait_s=0.2, retries=0) as terminal:
                    with pytest.raises(NoAnswer):  # it has no code yet: that needs the database
                        await terminal.register()
                found.services.directory._keep_s = 1e-9
                async with Terminal("127.0.0.1", found.terminals.port, phone, wait_s=0.2, retries=0) as terminal:
                    with pytest.raises(NoAnswer):  # the list is too old
                        await terminal.authenticate(code)
            finally:
                conn.execute("ALTER TABLE gps_away RENAME TO gps_terminal")
    async with writer(gps_dsn, place):
        await until_blocks(server, 0)
    assert len(stored(gps_dsn, terminal_id)) == 2


@scene
async def test_a_full_stream_acknowledges_nothing_until_a_writer_makes_room(gps_dsn, server):
    place = server.place(name="SMALL", most_bytes=20_000)
    terminal_id, phone = add_terminal(gps_dsn)
    async with gateway(gps_dsn, place) as found, logged_in(found.terminals.port, phone, wait_s=30) as terminal:
        sent = 0
        tally = found.services.writer.tally
        while not tally.failing:
            sending = asyncio.create_task(terminal.send_batch([fix(sent + second) for second in range(20)]))
            await until(lambda: sending.done() or tally.failing)  # noqa: B023
            sent += 20 * sending.done()
        status, text = await get(found.phones.port, "/healthz")
        assert (status, '"status": "store unavailable"' in text) == (503, True)
        assert "maximum bytes" in tally.failing
        await terminal.heartbeat()
        async with writer(gps_dsn, place):
            await asyncio.wait_for(sending, 10)
            await until(lambda: len(stored(gps_dsn, terminal_id)) == sent + 20)
        assert (await get(found.phones.port, "/healthz"))[0] == 200
    assert sent > 40


@pytest.mark.parametrize(
    ("version", "changes", "words"),
    [
        ((2, 10), {}, ""),
        ((2, 9), {}, "sync_interval: always"),
        ((2, 10), {"storage": api.StorageType.MEMORY}, "in memory"),
        ((2, 10), {"discard": api.DiscardPolicy.OLD}, "discard new"),
        ((2, 10), {"retention": api.RetentionPolicy.LIMITS}, "workqueue"),
        ((2, 10), {"max_age": 60.0}, "no age limit"),
    ],
)
def test_a_stream_that_may_lose_what_it_acknowledged_is_refused(version, changes, words):
    good = {
        "storage": api.StorageType.FILE,
        "discard": api.DiscardPolicy.NEW,
        "retention": api.RetentionPolicy.WORK_QUEUE,
        "max_age": 0.0,
    }
    said = refusal(version, api.StreamConfig(**good | changes), disk_syncs=False)
    assert words in said
    assert bool(said) == bool(words)
    assert refusal((2, 9), api.StreamConfig(**good), disk_syncs=True) == ""


@scene
async def test_a_stream_made_by_somebody_else_for_another_purpose_is_refused(server):
    place = server.place(name="OTHERS")
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name=place.name, subjects=[place.subject], storage=api.StorageType.MEMORY)
    stream = Stream(place)
    with pytest.raises(WrongStream, match="in memory"):
        await stream.check()
    await stream.close()
    await client.jetstream().delete_stream(place.name)
    await client.close()
    nowhere = Stream(StreamPlace(servers=("nats://127.0.0.1:9",)), wait_s=0.5)
    with pytest.raises(StoreUnavailable):
        await nowhere.check()
    await nowhere.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--sink", "nats", "--database-url", "postgresql:///x"], "--nats"),
        (["serve", "--trust-proxy", "10.0.0.1/8", "--database-url", "postgresql:///x"], "10.0.0.0/24"),
        (["write", "--database-url", "postgresql:///x"], "FLEET_NATS_URL"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(words, said, monkeypatch):
    monkeypatch.delenv("FLEET_NATS_URL", raising=False)
    status, _, errors = run_command(*words)
    assert status == 2
    assert said in errors
