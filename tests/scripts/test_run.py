import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import processes
import pytest
import run
from plain import Busy, Refused, locked

ROOT = Path(__file__).parents[2]
PORTS = {"FLEET_PORT": 8000, "FLEET_GATEWAY_PORT": 6808, "FLEET_PHONE_PORT": 5055}


def one_sentence(error):
    text = str(error.value)
    assert "\n" not in text
    zh, en = text.split(" / ")
    assert any("\u4e00" <= character <= "\u9fff" for character in zh)
    assert en.isascii()
    return text


def test_ports_default_and_follow_the_environment():
    assert run.read_ports({}) == PORTS
    assert run.read_ports({"FLEET_PORT": "9000"})["FLEET_PORT"] == 9000


@pytest.mark.parametrize("wrong", ["0", "65536", "-1", "web", "８０００"])
def test_wrong_port_is_refused_by_the_name_of_its_setting(wrong):
    with pytest.raises(Refused, match="FLEET_PORT must be a port") as error:
        run.read_ports({"FLEET_PORT": wrong})
    assert "\n" not in str(error.value)


def test_two_programs_cannot_share_a_port():
    with pytest.raises(Refused, match="FLEET_PHONE_PORT and FLEET_GATEWAY_PORT are both 6808") as error:
        run.read_ports({"FLEET_PHONE_PORT": "6808"})
    one_sentence(error)


def test_taken_port_is_refused_and_a_free_one_is_not():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Refused, match=f"port {port} is in use") as error:
            run.refuse_taken_ports("127.0.0.1", {"FLEET_PORT": port}, patience_s=0)
        assert f"FLEET_PORT={port + 1} make run" in one_sentence(error)
    run.refuse_taken_ports("127.0.0.1", {"FLEET_PORT": port}, patience_s=0)


def test_production_is_refused_and_development_is_not():
    with pytest.raises(Refused, match=r"docs/operations\.md") as error:
        run.refuse_production({"FLEET_ENV": "production"})
    one_sentence(error)
    run.refuse_production({"FLEET_ENV": "development"})


def test_dead_database_is_told_without_its_password():
    env = {**os.environ, "FLEET_DATABASE_URL": "postgresql://someone:se-cret@127.0.0.1:1/fleet"}
    with pytest.raises(Refused, match="does not answer") as error:
        run.refuse_dead_database(env)
    assert "se-cret" not in one_sentence(error)


def test_children_get_the_key_file_unless_a_key_is_given():
    made = run.child_environment({"FLEET_PORT": "x"}, "postgresql://y", PORTS)
    assert (made["FLEET_PORT"], made["FLEET_DATABASE_URL"]) == ("8000", "postgresql://y")
    assert made["FLEET_SECRET_KEY_FILE"].endswith("var/secret_key")
    assert "FLEET_SECRET_KEY_FILE" not in run.child_environment({"FLEET_SECRET_KEY": "k"}, "u", PORTS)


def test_second_holder_of_the_lock_is_told_who_holds_it(tmp_path, monkeypatch):
    monkeypatch.setattr("plain.VAR", tmp_path)
    with locked("run", wait=False) as lock:
        lock.write_text("pid 7, http://127.0.0.1:8000/")
        with pytest.raises(Busy, match=r"already running \(pid 7, http://127.0.0.1:8000/\)"), locked("run", wait=False):
            pass
    with locked("run", wait=False):
        pass


@pytest.fixture
def logs(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LOGS", tmp_path)
    return tmp_path


def python(name, source, is_ready=lambda: True):
    return processes.Program(name, "测试程序", "test program", [sys.executable, "-c", source], is_ready)


def test_program_that_dies_is_told_with_its_last_words(logs, capsys):
    one = processes.launch(python("dying", "print('the disk is full'); raise SystemExit(7)", lambda: False), os.environ)
    with pytest.raises(Refused, match=r"the test program ended \(status 7\)") as error:
        processes.wait_ready([one], limit_s=5)
    one_sentence(error)
    assert "the disk is full" in capsys.readouterr().out


def test_program_that_never_gets_ready_is_told(logs):
    one = processes.launch(python("slow", "import time; time.sleep(60)", lambda: False), os.environ)
    with pytest.raises(Refused, match="was not ready within 0 s"):
        processes.wait_ready([one], limit_s=0.3)
    processes.stop_all([one], limit_s=1)
    assert one.process.returncode == -signal.SIGTERM


def test_stop_ends_a_program_that_ignores_the_signal_and_its_children(logs):
    source = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        " child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        " print(child.pid, flush=True); time.sleep(60)"
    )
    one = processes.launch(python("stubborn", source), os.environ)
    deadline = time.monotonic() + 5
    while not one.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(one.log.read_text())
    processes.stop_all([one], limit_s=0.2)
    assert one.process.returncode == -signal.SIGKILL
    stat = Path(f"/proc/{child}/stat")
    deadline = time.monotonic() + 5
    while stat.exists() and stat.read_text().rsplit(") ", 1)[1][0] != "Z" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not stat.exists() or stat.read_text().rsplit(") ", 1)[1][0] == "Z"


def test_make_run_speaks_plainly_in_production():
    env = {**os.environ, "FLEET_ENV": "production"}
    for argument in ([], ["reset"]):
        asked = subprocess.run(
            [sys.executable, "scripts/run.py", *argument],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert asked.returncode == 1
        assert asked.stdout == ""
        assert asked.stderr.startswith("✗ FLEET_ENV=production")
        assert asked.stderr.count("\n") == 1
