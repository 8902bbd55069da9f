"""Two gateways behind HAProxy, a stream server, two writers: whatever is killed, no acknowledged position is missing.

`make torture` (TORTURE=long) kills each by itself under more load, and takes the database away for minutes.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from itertools import count

import psycopg
import pytest

from tests.telematics.running import ROOT
from tests.telematics.scaled import Balancer, Serving, StreamServer, Writer, until_blocks

LONG = os.environ.get("TORTURE") == "long"
TERMINALS, RATE_HZ = (300, 1) if LONG else (30, 3)
LOAD_S = 60 if LONG else 5
AWAY_S = 180


class Stage:
    """All of it; each scene drives terminals no scene before has used."""

    numbers = count(17_000_000_000, 1000)

    def __init__(self, folder, dsn: str, sink: str) -> None:
        self.dsn, self.folder = dsn, folder
        self.server = StreamServer(folder) if sink == "nats" else None
        options = ["--sink", "nats", *self.server.options()] if self.server else []
        first, second = (Serving(folder, f"gateway{n}", dsn, *options, behind=True) for n in (1, 2))
        self.gateways = (first, second)
        self.writers = (
            [Writer(folder, f"writer{n}", dsn, *self.server.options()) for n in (1, 2)] if self.server else []
        )
        self.balancer = Balancer(folder, self.gateways)
        self.parts = [*([self.server] if self.server else []), *self.gateways, *self.writers, self.balancer]

    def prepare(self) -> None:
        *behind, balancer = self.parts
        for part in behind:
            part.begin()
        for part in behind:
            part.ready()
        balancer.start()  # last: a gateway it cannot reach at first gets nobody for two seconds

    def end(self) -> None:
        for part in self.parts:
            part.kill()

    def under_load(self, mishap) -> dict:
        ledger = self.folder / f"ledger{next(self.numbers)}"
        command = [
            sys.executable, "-m", "telematics", "simulate", "--port", self.balancer.port, "--first", next(self.numbers),
            "--terminals", TERMINALS, "--rate", RATE_HZ, "--seconds", LOAD_S, "--patience", 300, "--timeout", 2,
            "--database", self.dsn, "--ledger", ledger,
        ]  # fmt: skip
        begun_at = datetime.now(UTC)
        with subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as terminals:
            self.wait_for_logins(terminals, begun_at)
            time.sleep(LOAD_S / 3)
            mishap()
            printed, _ = terminals.communicate()
        assert terminals.returncode == 0, "positions stayed without an acknowledgement"
        if self.server:
            asyncio.run(until_blocks(self.server, 0, within_s=300))
        check = [sys.executable, "-m", "telematics", "simulate", "--check", ledger, "--database", self.dsn]
        done = subprocess.run([*map(str, check)], cwd=ROOT, capture_output=True, text=True, check=False)
        found = {**json.loads(printed), **json.loads(done.stdout)}
        print(json.dumps(found))
        assert found["missing"] == 0
        assert found["sent"] == found["acknowledged"] == found["stored"] > 200
        with psycopg.connect(self.dsn) as conn:
            rows, identities = conn.execute(
                "SELECT count(*), count(DISTINCT (terminal_id, at, digest)) FROM gps_fix"
            ).fetchone()
        assert rows == identities
        return found

    def wait_for_logins(self, terminals: subprocess.Popen, since: datetime) -> None:
        """Until every terminal has a link, so that a kill hits some."""
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            query = "SELECT count(*) FROM gps_link WHERE since >= %s"
            while conn.execute(query, [since]).fetchone()[0] < TERMINALS:
                assert terminals.poll() is None
                time.sleep(0.05)


@pytest.fixture(scope="module", params=["nats", *(["postgres"] if LONG else [])])
def stage(request, tmp_path_factory, gps_dsn):
    found = Stage(tmp_path_factory.mktemp(request.param), gps_dsn, request.param)
    try:
        found.prepare()
        yield found
    finally:
        found.end()


def test_kill_9_of_gateway_writer_and_stream_server(stage):
    """The first gateway stays dead: its terminals find the other one through the balancer."""

    def mishap():
        stage.gateways[0].kill()
        time.sleep(LOAD_S / 6)
        if stage.server:
            stage.writers[0].kill()
            stage.server.kill()
            time.sleep(0.3)
            stage.server.start()
            stage.writers[0].start()

    found = stage.under_load(mishap)
    assert found["connections"] > TERMINALS
    assert "is DOWN" in stage.balancer.log.read_text() or not LONG
    stage.gateways[0].start()


if LONG:

    @pytest.mark.parametrize("victim", ["gateway", "writer", "stream", "balancer"])
    def test_kill_9_of_one_again_and_again(stage, victim):
        part = {"gateway": stage.gateways[1], "balancer": stage.balancer, "stream": stage.server, "writer": None}[
            victim
        ]
        if victim == "writer" and stage.writers:
            part = stage.writers[0]

        def mishap():
            for _ in range(4 if part else 0):  # without a stream there is no writer either
                part.kill()
                time.sleep(1)
                part.begin()
                time.sleep(5)

        stage.under_load(mishap)

    def test_writers_away_for_minutes(stage):
        """The stream takes everything meanwhile."""

        def mishap():
            for writer in stage.writers:
                writer.kill()
            time.sleep(AWAY_S)
            for writer in stage.writers:
                writer.start()

        stage.under_load(mishap)
