"""The gateway under simulated terminals while it, its database or its disk fail: no acknowledged position is missing.

A cluster of its own, with fsync, is killed and filled here. `make torture` (TORTURE=long) takes its time: ten minutes
without a database. What runs the processes in production is played by the tests: it starts again what was killed.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from itertools import count
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine

from telematics import tables
from tests.telematics.running import ROOT

SCRIPTS = str(ROOT / "scripts")
if SCRIPTS not in sys.path:
    sys.path.append(SCRIPTS)
import cluster  # noqa: E402

LONG = os.environ.get("TORTURE") == "long"
TERMINALS, RATE_HZ = (400, 1) if LONG else (40, 3)
LOAD_S = 60 if LONG else 4
DOWN_S = 600 if LONG else 3
STUCK_S = 60 if LONG else 3
DISK = "1g" if LONG else "256m"
"""Room for the log of the database under that load: it is the ballast that fills it, not the positions."""
GROWTH_MAX_KB = 150_000
"""The queue of 20,000 rows, sessions and buffers; what is beyond would be a leak."""


class Gateway:
    """A gateway whose log goes to a file, started again on the same port."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.port = self.http_port = 0
        self._dsn = dsn
        self._log = folder / "gateway.log"
        self.start()

    def start(self) -> None:
        ports = ["--port", str(self.port), "--http-port", str(self.http_port), "--database-url", self._dsn]
        with self._log.open("a") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "telematics", "serve", *ports],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        if self.port == 0:
            self.port, self.http_port = map(int, re.findall(r":(\d+) \(", self.child.stdout.readline()))

    def kill(self) -> None:
        self.child.kill()
        self.child.communicate()

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/healthz", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    @property
    def memory_kb(self) -> int:
        text = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1])


class Stage:
    """Cluster, database and gateway, and simulated terminals that no scene before has used."""

    numbers = count(18_000_000_000, 1000)

    def __init__(self, private: cluster.Cluster, folder: Path) -> None:
        self.cluster = private
        self.folder = folder
        self.dsn = cluster.url_of(private)
        self.gateway: Gateway | None = None

    def prepare(self) -> None:
        cluster.start(self.cluster)
        engine = create_engine(self.dsn.replace("postgresql://", "postgresql+psycopg://", 1))
        with engine.begin() as connection:
            tables.create_all(connection)
        engine.dispose()
        self.gateway = Gateway(self.dsn, self.folder)

    def end(self) -> None:
        if self.gateway:
            self.gateway.kill()
        cluster.stop(self.cluster)
        elsewhere = (
            self.cluster.home.parent if self.cluster.home.parent.name.startswith("fleet-") else self.cluster.home
        )
        subprocess.run(["rm", "-rf", elsewhere, self.cluster.socket], check=True)

    def kill_database(self) -> None:
        os.kill(cluster.server_pid(self.cluster), signal.SIGKILL)

    def start_database(self) -> None:
        cluster.start(self.cluster)

    def under_load(self, mishap, *, lasts_s: float = 0.0, chaos: bool = True) -> dict:
        """Run terminals, let the mishap happen in the middle, return what the books say."""
        first = next(self.numbers)
        ledger = self.folder / f"ledger-{first}"
        command = [sys.executable, "-m", "telematics", "simulate", "--port", self.gateway.port, "--first", first,
                   "--terminals", TERMINALS, "--rate", RATE_HZ, "--seconds", LOAD_S + lasts_s, "--patience", 300, "--timeout", 2,
                   "--database", self.dsn, "--ledger", ledger, *(["--chaos"] if chaos else [])]  # fmt: skip
        with subprocess.Popen([*map(str, command)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as terminals:
            while terminals.poll() is None and not (ledger.exists() and ledger.stat().st_size):
                time.sleep(0.05)  # on a busy machine they begin late, and a mishap before is none
            time.sleep(LOAD_S / 2)
            before_kb = self.gateway.memory_kb
            mishap()
            printed, _ = terminals.communicate()
        counts = json.loads(printed)
        check = [sys.executable, "-m", "telematics", "simulate", "--check", ledger, "--database", self.dsn]
        done = subprocess.run([*map(str, check)], cwd=ROOT, capture_output=True, text=True, check=False)
        found = {**counts, **json.loads(done.stdout), "growth_kb": self.gateway.memory_kb - before_kb}
        print(json.dumps(found))
        assert done.returncode == 0, "acknowledged positions are missing"
        assert terminals.returncode == 0, "positions stayed without an acknowledgement"
        assert found["growth_kb"] < GROWTH_MAX_KB
        assert self.gateway.is_healthy()
        return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torture")
    found = Stage(cluster.find_cluster(test=False, var=folder / "var"), folder)
    try:
        found.prepare()
        yield found
    finally:
        found.end()


def assert_nothing_lost(found: dict) -> None:
    assert found["missing"] == 0
    assert found["sent"] == found["acknowledged"] == found["stored"] > 200


def test_broken_links_and_bad_frames(stage):
    found = stage.under_load(lambda: None)
    assert_nothing_lost(found)
    assert found["connections"] > TERMINALS


def test_kill_9_of_the_gateway(stage):
    def mishap():
        stage.gateway.kill()
        time.sleep(0.5)
        stage.gateway.start()

    assert_nothing_lost(stage.under_load(mishap))


def test_kill_9_of_the_database(stage):
    gateway = stage.gateway.child.pid

    def mishap():
        stage.kill_database()
        time.sleep(0.5)
        stage.start_database()

    assert_nothing_lost(stage.under_load(mishap))
    assert stage.gateway.child.pid == gateway
    assert stage.gateway.child.poll() is None


def test_kill_9_of_both(stage):
    def mishap():
        stage.kill_database()
        stage.gateway.kill()
        stage.gateway.start()
        time.sleep(0.5)
        stage.start_database()

    assert_nothing_lost(stage.under_load(mishap))


def test_database_down_for_a_while(stage):
    def mishap():
        cluster.stop(stage.cluster)
        time.sleep(DOWN_S)
        assert not stage.gateway.is_healthy()
        stage.start_database()

    assert_nothing_lost(stage.under_load(mishap, lasts_s=DOWN_S, chaos=False))


def test_frozen_database(stage):
    """It neither answers nor ends its connections, as behind a network that swallows everything."""
    server = cluster.server_pid(stage.cluster)
    [backends] = [
        subprocess.run(["pgrep", "-P", str(server)], capture_output=True, text=True, check=True).stdout.split()
    ]

    def mishap():
        for pid in map(int, backends):
            os.kill(pid, signal.SIGSTOP)
        time.sleep(STUCK_S)
        for pid in map(int, backends):
            os.kill(pid, signal.SIGCONT)

    assert_nothing_lost(stage.under_load(mishap, lasts_s=STUCK_S, chaos=False))


def test_full_disk(tmp_path):
    private = cluster.find_cluster(test=False, var=tmp_path / "var")
    cluster.make_folder(private.home, 0o755, private)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=755,uid={private.owner_uid}", "fleet-torture", private.home],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip() or mounted.returncode}")
    stage = Stage(private, tmp_path)
    ballast = private.home / "ballast"

    def mishap():
        with suppress(OSError), ballast.open("wb") as file:  # until it is full
            while file.write(bytes(1 << 16)):
                file.flush()
        with psycopg.connect(stage.dsn, autocommit=True, connect_timeout=5) as conn:
            with pytest.raises(psycopg.Error):
                conn.execute("CREATE TABLE much AS SELECT repeat('x', 100) FROM generate_series(1, 1000000)")
        time.sleep(STUCK_S)
        ballast.unlink()
        stage.start_database()  # unless it still runs

    try:
        stage.prepare()
        assert_nothing_lost(stage.under_load(mishap, lasts_s=STUCK_S, chaos=False))
    finally:
        cluster.stop(private)
        subprocess.run(["umount", "-l", private.home], check=True)
        stage.end()


def test_nothing_is_left_waiting_in_the_database(stage):
    """After a quiet scene and all others of this process: no stuck session, and every position counted once."""
    stage.under_load(lambda: None, chaos=False)
    with psycopg.connect(stage.dsn) as conn:
        identities, rows = conn.execute(
            "SELECT count(DISTINCT (terminal_id, at, digest)), count(*) FROM gps_fix"
        ).fetchone()
        stuck = conn.execute("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'").fetchone()
    assert identities == rows > 0
    assert stuck == (0,)
