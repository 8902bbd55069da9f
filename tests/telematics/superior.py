"""A superior platform for the tests: listens for the main link, connects back for the sub link, over real TCP."""

import asyncio
import uuid
from contextlib import asynccontextmanager, suppress
from random import Random

import psycopg

from telematics import store
from telematics.gateway.link import Link
from telematics.protocols import jt809_body as link
from telematics.protocols import jt809_vehicle as moving
from telematics.protocols.jt809 import VERSIONS, Frame, FrameSplitter, encode_frame
from telematics.upstream.client import Client
from telematics.upstream.outbox import Outbox
from telematics.upstream.settings import Settings, Timing
from tests.telematics.running import NOW, add_terminal

USER, PASSWORD, CENTRE, CODE = 4711, "geheim", 1200, 20242024
QUICK = {"keep_alive_s": 0.05, "dead_s": 5.0, "answer_s": 2.0, "poll_s": 0.01, "retry_first_s": 0.02}


class Superior:
    """What it heard: ``vehicles`` (0x1200), ``positions`` (plate, sub-type, position), ``others`` (main), ``said`` (sub).

    ``cuts`` aborts the next main links, each after so many bytes; ``deaf`` makes it hear and say nothing after the login.
    """

    def __init__(self, edition="2011", cipher=None, password=PASSWORD):
        self.edition, self.cipher, self.password = edition, cipher, password
        self.vehicles, self.positions, self.others, self.said = [], [], [], []
        self.logins, self.refused, self.port = 0, 0, 0
        self.cuts, self.deaf, self.answers = [], False, True
        self.code = CODE
        self.sub = self.main = self.server = None
        self.tasks, self.writers = set(), []
        self.frames = []

    async def __aenter__(self):
        await self.listen()
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def listen(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def close(self):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for writer in self.writers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def frame(self, msg_id, body=b""):
        key = 99 if self.cipher else None
        frame = Frame(msg_id, 1, CENTRE, body, version=VERSIONS[self.edition], key=key, at=NOW)
        return encode_frame(frame, self.edition, self.cipher)

    def say(self, writer, content):
        writer.write(self.frame(*link.encode_link_body(content, self.edition)))

    def ask(self, vehicle):
        self.sub.write(self.frame(*moving.encode_vehicle(vehicle, self.edition)))

    async def serve(self, reader, writer):
        task = asyncio.current_task()
        self.tasks.add(task)
        self.main = writer
        self.writers.append(writer)
        splitter = FrameSplitter(self.edition, self.cipher)
        cut = self.cuts.pop(0) if self.cuts else None
        try:
            while data := await reader.read(4096 if cut is None else max(cut, 1)):
                if cut is not None:
                    cut -= len(data)
                for frame in splitter.feed(data):
                    assert isinstance(frame, Frame), frame
                    await self.take(frame, writer)
                if cut is not None and cut <= 0:
                    writer.write(self.frame(link.Id.KEEP_ALIVE_ANSWER)[:9])
                    await writer.drain()
                    writer.transport.abort()
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def take(self, frame, writer):
        self.frames.append(frame)
        if frame.msg_id == link.Id.UP_VEHICLE:
            vehicle = moving.parse_vehicle(frame.body, self.edition)
            self.vehicles.append(vehicle)
            match vehicle.content:
                case moving.Live():
                    self.positions.append((vehicle.plate, 0x1202, vehicle.content.position))
                case moving.CatchUp():
                    self.positions += [(vehicle.plate, 0x1203, position) for position in vehicle.content.positions]
            return
        content = link.parse_link_body(frame.msg_id, frame.body, self.edition)
        self.others.append(content)
        match content:
            case link.Login():
                await self.log_in(content, writer)
            case link.Empty(link.Id.KEEP_ALIVE) if self.answers and not self.deaf:
                self.say(writer, link.Empty(link.Id.KEEP_ALIVE_ANSWER))
            case link.Logout():
                self.say(writer, link.Empty(link.Id.LOGOUT_ANSWER))

    async def log_in(self, login, writer):
        right = (login.user, login.password) == (USER, self.password)
        self.say(writer, link.LoginAnswer(0 if right else 4, CODE if right else 0))
        if not right:
            self.refused += 1
            return
        self.logins += 1
        await self.connect_back(login.host, login.port, self.code)

    async def connect_back(self, host, port, code):
        reader, self.sub = await asyncio.open_connection(host, port)
        self.writers.append(self.sub)
        self.say(self.sub, link.Verify(link.Id.SUB_LOGIN, code))
        task = asyncio.create_task(self.hear(reader))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def hear(self, reader):
        splitter = FrameSplitter(self.edition, self.cipher)
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                for frame in splitter.feed(data):
                    self.said.append(link.parse_link_body(frame.msg_id, frame.body, self.edition))


class Fleet:
    """Terminals of one test and what is allowed of them; ``now`` is the client's clock."""

    def __init__(self, dsn):
        self.dsn, self.name, self.now = dsn, uuid.uuid4().hex, NOW
        with psycopg.connect(dsn) as conn:
            conn.execute(
                "CREATE TABLE IF NOT EXISTS allowed (fleet text, terminal_id bigint, during tstzrange, plate text, colour int)"
            )
            conn.execute("GRANT SELECT ON allowed TO fleet_gateway")

    def add(self, plate="浙A00001", colour=1, *, allowed=True):
        terminal, _ = add_terminal(self.dsn)
        if allowed:
            with psycopg.connect(self.dsn) as conn:
                conn.execute("INSERT INTO allowed VALUES (%s, %s, '[,)', %s, %s)", [self.name, terminal, plate, colour])
        return terminal

    def forbid(self, terminal):
        with psycopg.connect(self.dsn) as conn:
            conn.execute("DELETE FROM allowed WHERE terminal_id = %s", [terminal])

    def save(self, terminal, *fixes, received_at=NOW):
        with psycopg.connect(self.dsn) as conn:
            assert store.save(conn, [(terminal, one, None) for one in fixes], received_at) == len(fixes)

    def rows(self, query):
        with psycopg.connect(self.dsn) as conn:
            return conn.execute(query, [self.name]).fetchall()

    def queued(self):
        return self.rows(
            "SELECT q.sent FROM gps_upstream_queue q JOIN gps_upstream u ON u.id = q.upstream_id WHERE u.name = %s"
        )

    def gaps(self):
        return self.rows("SELECT received, sent_least, sent_most FROM gps_upstream_gap WHERE upstream = %s")

    def outbox(self):
        vehicles = f"SELECT terminal_id, during, plate, colour FROM allowed WHERE fleet = '{self.name}'"
        return Outbox(Link(self.dsn, role="fleet_gateway"), name=self.name, vehicles=vehicles)

    async def open(self):
        """Make the queue as an earlier start of the client would have."""
        outbox = self.outbox()
        await outbox.open(now=NOW)
        await outbox._link.close()

    @asynccontextmanager
    async def client(self, superior, *, kill=False, timing=None, **changes):
        settings = {
            "name": self.name, "host": "127.0.0.1", "port": superior.port, "user": USER, "password": PASSWORD,
            "centre_id": CENTRE, "edition": superior.edition, "cipher": superior.cipher,
        }  # fmt: skip
        outbox = self.outbox()
        times = Timing(**QUICK | (timing or {}))
        client = Client(Settings(**settings | changes), times, outbox, clock=lambda: self.now, rng=Random(1))
        task = asyncio.create_task(client.run())
        try:
            yield client
            if not kill:
                await client.stop()
                await asyncio.wait_for(task, 5)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await outbox._link.close()
