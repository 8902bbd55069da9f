"""The parts of a scaled-out gateway as real processes: stream server, load balancer, gateways, writers."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from telematics.gateway.stream import StreamPlace
from tests.telematics.running import ROOT

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def program(name: str) -> str:
    """Path of a program that config/apt.txt names; on CI it must be there, at home its tests may be left out."""
    found = shutil.which(name, path=PATH)
    if found is None:
        message = f"{name} is not installed: apt-get install {name}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, child: subprocess.Popen, within_s: float = 10) -> None:
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        assert child.poll() is None, f"ended with {child.returncode}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}")


class Part:
    """A process that may be killed and started again on the same ports; its log goes to a file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.log = folder / f"{name}.log"
        self.child: subprocess.Popen | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {}

    def ready(self) -> None:
        """Wait until it works."""

    def start(self) -> None:
        self.begin()
        self.ready()

    def begin(self) -> None:
        environment = os.environ | {"PYTHONUNBUFFERED": "1"} | self.environment()
        with self.log.open("a") as log:
            self.child = subprocess.Popen(
                [*map(str, self.command())], cwd=ROOT, env=environment, stdout=log, stderr=log, text=True
            )

    def kill(self) -> None:
        """As ``kill -9`` does."""
        if self.child is not None:
            self.child.kill()
            self.child.wait()

    def stop(self) -> int:
        self.child.terminate()
        return self.child.wait(timeout=20)

    def said(self, pattern: str, within_s: float = 20) -> None:
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            if re.search(pattern, self.log.read_text()):
                return
            assert self.child.poll() is None, self.log.read_text()
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())


class StreamServer(Part):
    """nats-server with the project's own configuration, less what an older version does not know."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "nats")
        self.program = program("nats-server")
        self.port, self.monitor = free_port(), free_port()
        self.folder = folder
        said = subprocess.run([self.program, "--version"], capture_output=True, text=True, check=True).stdout
        self.version = tuple(map(int, re.search(r"v(\d+)\.(\d+)", said).groups()))
        text = (ROOT / "config/nats-server.conf").read_text()
        if not self.syncs:
            text = re.sub(r"(?m)^ *sync_interval:.*\n", "", text)
        self.configuration = folder / "nats-server.conf"
        self.configuration.write_text(text)

    @property
    def syncs(self) -> bool:
        return self.version >= (2, 10)

    @property
    def url(self) -> str:
        return f"nats://gps:secret@127.0.0.1:{self.port}"

    def place(self, **changes) -> StreamPlace:
        return StreamPlace(**{"servers": (self.url,), "most_bytes": 1 << 28, "disk_syncs": not self.syncs} | changes)

    def options(self) -> list[str]:
        return ["--nats", self.url, "--stream-gib", "0.25", *([] if self.syncs else ["--stream-disk-syncs"])]

    def command(self):
        return [self.program, "-c", self.configuration]

    def environment(self):
        return {
            "FLEET_NATS_NAME": "n1", "FLEET_NATS_LISTEN": f"127.0.0.1:{self.port}", "FLEET_NATS_DIR": str(self.folder / "js"),
            "FLEET_NATS_MONITOR": f"127.0.0.1:{self.monitor}", "FLEET_NATS_USER": "gps", "FLEET_NATS_PASSWORD": "secret",
        }  # fmt: skip

    def ready(self):
        wait_for_port(self.port, self.child)


class Serving(Part):
    """A gateway on ports of its own, trusted to be told addresses by a load balancer on this machine if ``behind``."""

    def __init__(self, folder: Path, name: str, dsn: str, *options: str, behind: bool = False) -> None:
        super().__init__(folder, name)
        self.dsn = dsn
        self.options = [*options, *(["--trust-proxy", "127.0.0.1"] if behind else [])]
        self.port, self.http_port = free_port(), free_port()

    def command(self):
        ports = ["--port", self.port, "--http-port", self.http_port, "--database-url", self.dsn]
        return [sys.executable, "-m", "telematics", "serve", *ports, *self.options]

    def ready(self):
        self.said(r"gateway listening")


class Writer(Part):
    """``python -m telematics write``."""

    def __init__(self, folder: Path, name: str, dsn: str, *options: str) -> None:
        super().__init__(folder, name)
        self.dsn = dsn
        self.options = options

    def command(self):
        return [sys.executable, "-m", "telematics", "write", "--database-url", self.dsn, *self.options]

    def ready(self):
        self.said(r"writer takes from")


class Balancer(Part):
    """HAProxy with the project's own configuration in front of two gateways."""

    def __init__(self, folder: Path, gateways: tuple[Serving, Serving]) -> None:
        super().__init__(folder, "haproxy")
        self.program = program("haproxy")
        self.gateways = gateways
        self.port = free_port()

    def command(self):
        return [self.program, "-db", "-f", "config/haproxy.cfg"]

    def environment(self):
        found = {"FLEET_BALANCER": f"127.0.0.1:{self.port}"}
        for number, one in enumerate(self.gateways, start=1):
            name = f"FLEET_GATEWAY_{number}"
            found |= {name: "127.0.0.1", f"{name}_PORT": str(one.port), f"{name}_HTTP": str(one.http_port)}
        return found

    def ready(self):
        wait_for_port(self.port, self.child)


async def until_blocks(server: StreamServer, wanted: int, within_s: float = 20) -> None:
    """Wait until the stream holds so many blocks."""
    import nats

    client = await nats.connect(server.url)
    try:
        async with asyncio.timeout(within_s):
            while (await client.jetstream().stream_info("FLEET_GPS")).state.messages != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        await client.close()
