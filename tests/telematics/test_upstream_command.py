"""``python -m telematics upstream`` as a process, and its settings."""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import psycopg
import pytest

from telematics.protocols import jt809_body as link
from tests.telematics.running import ROOT, scene, until
from tests.telematics.superior import CENTRE, PASSWORD, USER, Superior

OPTIONS = ["--host", "127.0.0.1", "--port", "1", "--user", "1", "--centre-id", "1", "--sub-host", "127.0.0.1"]


def environment(dsn=None, **names):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FLEET_")}
    return kept | ({"FLEET_DATABASE_URL": dsn} if dsn else {}) | names


def run(*arguments, **names):
    command = [sys.executable, "-m", "telematics", "upstream", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(**names), capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def vehicles(gps_dsn):
    with psycopg.connect(gps_dsn) as conn:
        conn.execute("""
            CREATE OR REPLACE FUNCTION gps_upstream_vehicles() RETURNS TABLE (
                terminal_id bigint, during tstzrange, plate text, colour integer) LANGUAGE sql SECURITY DEFINER
            AS $$ SELECT id, tstzrange(NULL, NULL), '浙A7', 1 FROM gps_terminal $$""")
    return gps_dsn


@scene
async def test_process_logs_in_with_a_password_from_a_file_and_logs_out_when_told(vehicles, tmp_path):
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n")
    async with Superior("2019") as superior:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "telematics", "upstream", "--port", str(superior.port), "--user", str(USER),
            "--centre-id", str(CENTRE), "--sub-host", "127.0.0.1", "--sub-port", "0", "--password-file", str(secret),
            cwd=ROOT, env=environment(vehicles, FLEET_UPSTREAM_HOST="127.0.0.1", FLEET_UPSTREAM_VERSION="2019"),
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        await until(lambda: superior.said)
        child.send_signal(signal.SIGTERM)
        _, errors = await asyncio.wait_for(child.communicate(), 20)
    assert child.returncode == 0, errors
    assert superior.others[-1] == link.Logout(USER, PASSWORD)
    assert superior.said[0] == link.Code(link.Id.SUB_LOGIN_ANSWER, 0)
    assert PASSWORD.encode() not in errors


def test_retired_queue_is_gone_and_says_so(gps_dsn):
    with psycopg.connect(gps_dsn) as conn:
        conn.execute("INSERT INTO gps_upstream (name, since) VALUES ('old', '2026-01-01 00:00+00')")
    assert run("--retire", "--name", "old", dsn=gps_dsn)[:2] == (0, "the queue of old is gone\n")
    assert run("--retire", "--name", "old", dsn=gps_dsn)[:2] == (0, "there is no queue of old\n")


@pytest.mark.parametrize(
    ("arguments", "names", "reason"),
    [
        (OPTIONS, {}, "No database"),
        (OPTIONS[2:], {"dsn": "x"}, "--host is missing: give it or set FLEET_UPSTREAM_HOST"),
        (OPTIONS, {"dsn": "x"}, "No password"),
        (OPTIONS, {"dsn": "x", "FLEET_UPSTREAM_PASSWORD": "123456789"}, "at most 8 bytes"),
        ([*OPTIONS, "--password-file", "/no/such"], {"dsn": "x"}, "Cannot read /no/such"),
        (OPTIONS, {"dsn": "x", "FLEET_UPSTREAM_PASSWORD": "1", "FLEET_UPSTREAM_CIPHER": "0,1,2"}, "M1,IA1,IC1"),
        (OPTIONS, {"dsn": "x", "FLEET_UPSTREAM_VERSION": "2013"}, "one of 2011, 2019"),
        ([*OPTIONS, "--user", "-1"], {"dsn": "x", "FLEET_UPSTREAM_PASSWORD": "1"}, "does not fit the login"),
    ],
)
def test_setting_that_is_missing_or_wrong_is_named(arguments, names, reason):
    status, _, errors = run(*arguments, **names)
    assert status == 2
    assert reason in errors
    assert "123456789" not in errors


def test_port_that_is_taken_is_named(gps_dsn):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, errors = run(
            *OPTIONS, "--sub-listen", "127.0.0.1", "--sub-port", str(port), dsn=gps_dsn, FLEET_UPSTREAM_PASSWORD="1"
        )
    assert status == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in errors
