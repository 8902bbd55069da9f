"""A gateway at work for the tests, in this process or as a real one."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path

import psycopg

from telematics import store
from telematics.gateway.limits import Limits
from telematics.gateway.process import running
from telematics.gateway.terminal import Terminal
from telematics.gateway.wire_rows import warm
from telematics.model import Fix
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import FrameSplitter, encode_frame, header_form

ROOT = Path(__file__).parents[2]
NOW = datetime(2024, 5, 20, 4, 0, tzinfo=UTC)
START = datetime(2024, 5, 20, 1, 0, tzinfo=UTC)


def fix(second: int = 0, **changes) -> Fix:
    at = START + timedelta(seconds=second)
    return Fix(**{"at": at, "lat": 30.25 + second / 1e5, "lon": 120.15, "speed_kmh": 36.0, "acc": True} | changes)


def new_phone() -> str:
    return f"1{uuid.uuid4().int % 10**10:010}"


def add_terminal(dsn: str, **options) -> tuple[int, str]:
    phone = options.pop("phone", None) or new_phone()
    with psycopg.connect(dsn) as conn:
        return store.add_terminal(conn, phone=phone, **options), phone


def stored(dsn: str, terminal: int) -> list[Fix]:
    with psycopg.connect(dsn) as conn:
        return store.read_fixes(conn, terminal, START - timedelta(days=400), START + timedelta(days=400))


def quarantined(dsn: str, phone: str) -> list[tuple[str, bytes]]:
    with psycopg.connect(dsn) as conn:
        return conn.execute("SELECT reason, raw FROM gps_quarantine WHERE phone = %s ORDER BY id", [phone]).fetchall()


def scene(play):
    """Make a test of a coroutine function."""

    @wraps(play)
    def test(*args, **kwargs):
        asyncio.run(play(*args, **kwargs))

    return test


async def until(condition) -> None:
    """Wait until it is so; fails after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of this test
            await asyncio.sleep(0.01)


@asynccontextmanager
async def gateway(dsn: str, *, udp: bool = False, clock=lambda: NOW, **limits):
    """A gateway in this process whose clock stands still at ``NOW``."""
    warm()  # as the command does: compiling takes longer than a test waits for an answer
    async with running(
        dsn, role="fleet_gateway", clock=clock, udp=udp, limits=Limits(**{"command_poll_s": 0.02} | limits), flush_s=5.0
    ) as found:
        yield found


@asynccontextmanager
async def logged_in(port: int, phone: str, **options):
    async with Terminal("127.0.0.1", port, phone, **options) as terminal:
        await terminal.log_in()
        yield terminal


class Wire:
    """A terminal's connection that sends any bytes and reads the answers one by one."""

    def __init__(self, reader, writer, phone, version="2013"):
        self.reader, self.writer = reader, writer
        self.form = header_form(phone, version)
        self.splitter = FrameSplitter()
        self.found = []

    def frame(self, msg_id, content=b"", serial=0, sub_package=None):
        return encode_frame(msg_id, content, like=self.form, serial=serial, sub_package=sub_package)

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, within_s=5):
        async with asyncio.timeout(within_s):
            while not self.found:
                data = await self.reader.read(4096)
                if not data:
                    raise ConnectionError
                self.found += self.splitter.feed(data)
        return self.found.pop(0)

    async def answer(self, within_s=5):
        message = await self.receive(within_s)
        return message, body.parse_body(message)

    async def ask(self, msg_id, content=b"", serial=0):
        return (await self.answer_to(msg_id, content, serial))[1]

    async def answer_to(self, msg_id, content=b"", serial=0):
        await self.send(self.frame(msg_id, content, serial))
        return await self.answer()

    async def log_in(self, layout=None):
        version = self.form.version
        registration = body.Registration(layout or version, 33, 100, "T", "T", "T", 1, "浙A00000")
        answer = await self.ask(body.REGISTER, body.encode_registration(registration))
        content = body.encode_authentication(body.Authentication(answer.code), version)
        assert (await self.ask(body.AUTHENTICATE, content)).result == body.RESULT_OK
        return answer.code


@asynccontextmanager
async def wire(port, phone, version="2013"):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Wire(reader, writer, phone, version)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


class UdpWire(Wire, asyncio.DatagramProtocol):
    """The same over UDP: a datagram for each ``send``."""

    def __init__(self, phone, version="2013"):
        super().__init__(None, None, phone, version)
        self.datagrams = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.datagrams.put_nowait(data)

    async def send(self, data):
        self.transport.sendto(data)

    async def receive(self, within_s=5):
        async with asyncio.timeout(within_s):
            while not self.found:
                self.found += FrameSplitter().feed(await self.datagrams.get())
        return self.found.pop(0)


@asynccontextmanager
async def udp_wire(port, phone, version="2013"):
    loop = asyncio.get_running_loop()
    transport, line = await loop.create_datagram_endpoint(
        lambda: UdpWire(phone, version), remote_addr=("127.0.0.1", port)
    )
    try:
        yield line
    finally:
        transport.close()


def events(dsn: str, terminal: int) -> list[tuple]:
    """Kind, time, body and raw bytes of what a terminal reported beside positions."""
    with psycopg.connect(dsn, options="-c timezone=UTC") as conn:
        query = "SELECT kind, at, body, raw FROM terminal_event WHERE terminal_id = %s ORDER BY id"
        return conn.execute(query, [terminal]).fetchall()


async def http(port: int, request: bytes) -> tuple[int, str]:
    """Send bytes, return the status and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode().strip()


async def get(port: int, target: str, headers: str = "") -> tuple[int, str]:
    return await http(port, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())


async def post(port: int, body: bytes, *, target: str = "/", headers: str = "") -> tuple[int, str]:
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return await http(port, head.encode() + body)


class Process:
    """``python -m telematics serve`` as a child; ``port`` and ``http_port`` once it is ready."""

    def __init__(self, dsn: str, *arguments: str) -> None:
        environment = os.environ | {"FLEET_DATABASE_URL": dsn, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "telematics", "serve", "--port", "0", "--http-port", "0", *arguments]
        self.child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.port = self.http_port = 0

    def ready(self) -> None:
        line = self.child.stdout.readline()
        found = re.fullmatch(r"gateway listening on [\d.]+:(\d+) \(JT/T 808\), [\d.]+:(\d+) \(phones\)\n", line)
        assert found, line + self.child.stderr.read()
        self.port, self.http_port = map(int, found.groups())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, return exit status and standard error."""
        self.child.send_signal(number)
        _, errors = self.child.communicate(timeout=20)
        return self.child.returncode, errors


@contextmanager
def serving(dsn: str, *arguments: str):
    process = Process(dsn, *arguments)
    try:
        process.ready()
        yield process
    finally:
        process.child.kill()
        process.child.communicate()


def run_command(*arguments: str) -> tuple[int, dict, str]:
    """``python -m telematics ...``: exit status, the JSON printed, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "telematics", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr
