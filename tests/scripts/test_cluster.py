import os
import signal
import subprocess
import time
from pathlib import Path

import cluster
import psycopg
import pytest
from plain import Refused


@pytest.fixture
def private(tmp_path):
    """A disposable cluster in a folder of its own; the folders above pytest's are closed to the server's user."""
    found = cluster.find_cluster(test=True, var=tmp_path / "var")
    yield found
    cluster.stop(found)
    elsewhere = found.home.parent if found.home.parent.name.startswith("fleet-") else found.home
    subprocess.run(["rm", "-rf", elsewhere, found.socket], check=True)


def test_cluster_answers_on_its_private_socket_only_and_survives_a_kill(private):
    assert cluster.start(private)
    assert not cluster.start(private), "a running cluster is left alone"
    with psycopg.connect(cluster.url_of(private)) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()[0]
            for name in ("listen_addresses", "fsync", "server_encoding")
        }
        assert shown == {"listen_addresses": "", "fsync": "off", "server_encoding": "UTF8"}
        connection.execute("SET synchronous_commit = on")
        connection.execute("CREATE TABLE kept (x int)")
        connection.commit()
    assert oct(private.socket.stat().st_mode & 0o777) == "0o700"

    os.kill(cluster.server_pid(private), signal.SIGKILL)
    deadline = time.monotonic() + 5
    while cluster.server_pid(private) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert cluster.start(private), "a stale postmaster.pid does not stop the next start"
    with psycopg.connect(cluster.url_of(private)) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)

    assert cluster.stop(private)
    assert not cluster.is_ready(private)
    assert not cluster.stop(private), "stopping twice does no harm"


def test_pid_file_of_another_program_counts_as_not_running(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/postmaster.pid").write_text(f"{os.getpid()}\n")
    assert cluster.server_pid(cluster.Cluster(tmp_path, tmp_path / "sock", None, disposable=True)) is None


def test_socket_of_a_deep_clone_moves_to_a_short_path():
    deep = Path("/home/someone") / ("d" * 80) / "var/pg"
    assert cluster.choose_socket(Path("/srv/fleet/var/pg")) == Path("/srv/fleet/var/pg/sock")
    short = cluster.choose_socket(deep)
    assert short.parent == Path("/tmp")
    assert short == cluster.choose_socket(deep)
    assert short != cluster.choose_socket(deep.parent)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the server as another user")
def test_closed_folder_moves_the_data_where_the_server_may_go(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "var").mkdir()
    home = cluster.choose_home(closed / "var/pg", "postgres")
    assert home.parts[:3] == ("/", "var", "lib")
    (closed / "var/pg").symlink_to("/somewhere/pg")
    assert cluster.choose_home(closed / "var/pg", "postgres") == Path("/somewhere/pg"), "a link is followed ever after"


def test_folder_of_another_user_is_refused(tmp_path):
    owner = cluster.Cluster(tmp_path, tmp_path, None, disposable=True)
    (tmp_path / "target").mkdir()
    (tmp_path / "sock").symlink_to(tmp_path / "target")
    with pytest.raises(Refused, match="belongs to another user"):
        cluster.make_folder(tmp_path / "sock", 0o700, owner)


def test_data_of_an_absent_version_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/PG_VERSION").write_text("9\n")
    kept = cluster.Cluster(tmp_path, tmp_path / "sock", None, disposable=False)
    with pytest.raises(Refused, match="made by PostgreSQL 9, here is") as refused:
        cluster.programs(kept)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "data/PG_VERSION").exists(), "data that may matter are never removed"
