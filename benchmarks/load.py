"""The whole system under 300 people and 3,000 terminals: answer times, errors, memory over time, processor shares, as one JSON object.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.load --locust PATH [--users 300] [--terminals 3000] [--minutes 30] [--cars 3000]
        [--orders 30000] [--fix-every 15]

Starts web (``config/gunicorn.py``, two workers), gateway and scheduler as `make run` does, on a database of its own with three years of
journeys, and lets locust play the roles of ``_journeys.py``; locust has an environment of its own (`make load` makes var/loadvenv).
Measured after everybody has signed in. ``memory_mb`` is the proportional set of each program: at the begin, at the end, and its slope
in MB a minute over the second half. Wanted on two cores: p95 300 ms for pages and 150 ms for the API, no error, memory level.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg

from benchmarks import years
from benchmarks.database import own_database
from benchmarks.live_map import prepare
from fleetapp.kit import clock
from tests import world
from tests.serving import environment

ROOT = Path(__file__).parents[1]
SPAWN_RATE = 2.0
"""People signing in a second: a password is dear on purpose."""
FIRST_PHONE = 13_800_000_001
TARGETS = {"pages": 300, "api": 150}
TICKS = os.sysconf("SC_CLK_TCK")
PEOPLE = """
CREATE TEMP TABLE clerk AS SELECT u.id, u.org_id, o.path, split_part(u.username, '.', 3)::int AS n FROM user_account u JOIN organisation o ON o.id = u.org_id
    WHERE u.username ~ '^years[.][0-9]';
INSERT INTO role_grant (user_id, role, org_id) SELECT id, CASE n WHEN 4 THEN 'approver' ELSE 'applicant' END, org_id FROM clerk WHERE n <= 4;
INSERT INTO role_grant (user_id, role, org_id)
    SELECT c.id, (ARRAY['dispatcher', 'auditor', 'leader'])[1 + place % 3], city.id
    FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM clerk WHERE n = 5) c, (SELECT id FROM organisation WHERE kind = 'city') city;
UPDATE user_account SET password_hash = (SELECT password_hash FROM user_account WHERE username = 'dispatcher.city') WHERE username LIKE 'years.%';
"""


def seed(url: str, cars: int, orders: int) -> dict[str, Any]:
    """Fill the database; returns what the journeys know: accounts by role, the password, vehicles."""
    prepare(url)
    years.fill(url, cars=cars, orders=orders, now=clock.now(), units=30)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(PEOPLE)  # type: ignore[call-overload]
        found = connection.execute(
            "SELECT role, array_agg(username ORDER BY user_id) FROM role_grant JOIN user_account u ON u.id = user_id WHERE username LIKE 'years.%' GROUP BY role"
        ).fetchall()
    people = {str(role): [str(one) for one in names][:300] for role, names in found}
    people["watcher"] = people["dispatcher"]
    return {"people": people, "password": world.PASSWORD, "cars": [100_000 + n for n in range(1, cars + 1)]}


@contextmanager
def running(
    name: str, command: Sequence[str], env: Mapping[str, str], logs: Path, ready: str
) -> Iterator[tuple[int, re.Match[str]]]:
    """Run a program until the block ends; gives its process id and the match of what it says when it is ready."""
    log = logs / f"{name}.log"
    with log.open("wb") as out:
        child = subprocess.Popen(command, cwd=ROOT, env=dict(env), stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 180
        while not (found := re.search(ready, log.read_text(encoding="utf-8", errors="replace"))):
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{name} did not start:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
            time.sleep(0.2)
        yield child.pid, found
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Watch:
    """Looks at processes every few seconds: memory (proportional set) and processor time by program, children included."""

    def __init__(self, pids: Mapping[str, int], database: str, every_s: float) -> None:
        self.pids, self.database, self.every_s = dict(pids), database, every_s
        self.samples: list[tuple[float, dict[str, float], dict[int, tuple[str, float]]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.every_s if self.samples else 0):
            self.samples.append(self._look())

    def _look(self) -> tuple[float, dict[str, float], dict[int, tuple[str, float]]]:
        memory: dict[str, float] = defaultdict(float)
        spent: dict[int, tuple[str, float]] = {}
        parents: dict[int, tuple[int, float, str]] = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    text = (folder / "stat").read_text()
                    line = (folder / "cmdline").read_bytes().decode(errors="replace")
                except OSError:
                    continue
                rest = text.rpartition(")")[2].split()
                parents[int(folder.name)] = (int(rest[1]), (int(rest[11]) + int(rest[12])) / TICKS, line)
        for pid, (_, cpu_s, line) in parents.items():
            name = (
                f"postgres ({self.database})"
                if line.startswith("postgres:") and self.database in line
                else self._owner(pid, parents)
            )
            if name:
                spent[pid] = (name.split(" ")[0], cpu_s)
                if not name.startswith("postgres"):
                    memory[name] += _pss_mb(pid)
        return time.monotonic(), dict(memory), spent

    def _owner(self, pid: int, parents: Mapping[int, tuple[int, float, str]]) -> str | None:
        owners = {pid: name for name, pid in self.pids.items()}
        while pid in parents:
            if pid in owners:
                return owners[pid]
            pid = parents[pid][0]
        return None

    def told(self) -> dict[str, Any]:
        """Return memory and processor shares (cores) by program."""
        begun_s, last_s = self.samples[0][0], self.samples[-1][0]
        memory = {}
        for name in self.samples[-1][1]:
            series = [(at, found[name]) for at, found, _ in self.samples if name in found]
            memory[name] = {
                "first": round(series[0][1], 1),
                "last": round(series[-1][1], 1),
                "slope_a_minute": slope(series[len(series) // 2 :]),
            }
        cores: dict[str, float] = defaultdict(float)
        for (_, _, before), (_, _, after) in pairwise(self.samples):
            for pid, (name, cpu_s) in after.items():
                cores[name] += max(0.0, cpu_s - before.get(pid, (name, cpu_s))[1])
        return {
            "memory_mb": memory,
            "cores": {name: round(value / max(1.0, last_s - begun_s), 2) for name, value in cores.items()},
        }


def _pss_mb(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def slope(series: Sequence[tuple[float, float]]) -> float:
    """Return the slope of a line through (seconds, value), a minute."""
    if len(series) < 3:
        return 0.0
    mean_x, mean_y = (sum(pair[at] for pair in series) / len(series) for at in (0, 1))
    below = sum((x - mean_x) ** 2 for x, _ in series)
    return round(60 * sum((x - mean_x) * (y - mean_y) for x, y in series) / below, 3) if below else 0.0


def percentiles(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return counts and p50, p95, p99 (ms) of some of locust's entries together."""
    times: dict[float, int] = defaultdict(int)
    for entry in entries:
        for ms, number in entry["response_times"].items():
            times[float(ms)] += number
    total, found = sum(times.values()), {}
    for share in (50, 95, 99):
        seen = 0
        for ms in sorted(times):
            seen += times[ms]
            if seen * 100 >= total * share:
                found[f"p{share}_ms"] = ms
                break
    return {
        "requests": sum(entry["num_requests"] for entry in entries),
        "errors": sum(entry["num_failures"] for entry in entries),
        **found,
    }


def measure(args: argparse.Namespace, url: str, logs: Path) -> dict[str, Any]:
    """Run everything once."""
    known = logs / "people.json"
    known.write_text(json.dumps(seed(url, args.cars, args.orders)), encoding="utf-8")
    env = environment(url, FLEET_PORT="0")
    seconds, spawning_s = round(args.minutes * 60), args.users / SPAWN_RATE
    with ExitStack() as stack:

        def start(
            name: str, command: Sequence[str], ready: str, extra: Mapping[str, str] | None = None
        ) -> tuple[int, re.Match[str]]:
            return stack.enter_context(running(name, command, {**env, **(extra or {})}, logs, ready))

        python = sys.executable
        web, at = start(
            "web",
            [python, "-m", "gunicorn", "-c", "config/gunicorn.py", "wsgi:app"],
            r"Listening at: (http://127\.0\.0\.1:\d+)",
        )
        gateway, port = start(
            "gateway",
            [python, "-m", "telematics", "serve", "--port", "0", "--http-port", "0"],
            r"listening on 127\.0\.0\.1:(\d+) \(JT/T 808\)",
        )
        scheduler, _ = start("scheduler", [python, "-m", "fleetapp.scheduler"], "scheduler_leads")
        ledger = logs / "ledger"
        simulate = subprocess.Popen(
            [python, "-m", "telematics", "simulate", "--port", port[1], "--terminals", str(args.terminals), "--rate", str(1 / args.fix_every),
             "--seconds", str(seconds + spawning_s), "--first", str(FIRST_PHONE), "--ledger", str(ledger), "--database", url],
            cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        locust = subprocess.Popen(
            [args.locust, "-f", str(ROOT / "benchmarks" / "_journeys.py"), "--headless", "--json", "--reset-stats", "--only-summary", "-u", str(args.users),
             "-r", str(SPAWN_RATE), "-t", f"{seconds + round(spawning_s)}s", "--host", at[1], "--loglevel", "WARNING"],
            cwd=logs, env={**os.environ, "FLEET_LOAD_PEOPLE": str(known)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            time.sleep(spawning_s)
            pids = {
                "web": web,
                "gateway": gateway,
                "scheduler": scheduler,
                "terminals": simulate.pid,
                "locust": locust.pid,
            }
            with Watch(pids, urlsplit(url).path[1:], args.sample_s) as watch:
                printed, complaints = locust.communicate(timeout=seconds + 600)
            terminals, _ = simulate.communicate(timeout=600)
        finally:
            for child in (simulate, locust):
                if child.poll() is None:
                    child.kill()
        check = subprocess.run(
            [python, "-m", "telematics", "simulate", "--check", str(ledger), "--database", url],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
    entries = json.loads(printed)
    kinds = {
        "pages": [one for one in entries if one["name"].startswith("page ")],
        "api": [one for one in entries if one["name"].startswith("api ")],
    }
    result: dict[str, Any] = {
        "benchmark": "load",
        "users": args.users,
        "terminals": args.terminals,
        "minutes": args.minutes,
        "machine_cores": os.cpu_count(),
    }
    result |= {kind: percentiles(found) for kind, found in kinds.items()}
    everything = percentiles(entries)
    result["error_rate"] = round(everything["errors"] / max(1, everything["requests"]), 5)
    result["each"] = {one["name"]: percentiles([one]) for one in sorted(entries, key=lambda one: one["name"])}
    result["gateway"] = {**json.loads(terminals or "{}"), "checked": json.loads(check.stdout or "{}")}
    result |= watch.told() | {"load_of_machine": os.getloadavg()}
    if everything["errors"]:
        result["complaints"] = complaints[-3000:]
    return result


def main() -> int:
    """Run and print; status 1 when something is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--locust", default=str(ROOT / "var/loadvenv/bin/locust"), help="its program; default var/loadvenv/bin/locust"
    )
    parser.add_argument("--users", type=int, default=300)
    parser.add_argument("--terminals", type=int, default=3000)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--cars", type=int, default=3000)
    parser.add_argument("--orders", type=int, default=30_000)
    parser.add_argument("--fix-every", type=float, default=15.0, help="seconds between positions of a terminal")
    parser.add_argument("--sample-s", type=float, default=10.0)
    args = parser.parse_args()
    if not Path(args.locust).exists():
        raise SystemExit(f"{args.locust} is not there: run `make load`, or name locust with --locust")
    with tempfile.TemporaryDirectory() as logs, own_database() as url:
        result = measure(args, url, Path(logs))
    print(json.dumps(result, ensure_ascii=False, indent=2))
    slow = any(result[kind]["p95_ms"] > limit for kind, limit in TARGETS.items())
    return int(slow or result["error_rate"] > 0 or result["gateway"]["checked"].get("missing", 1) > 0)


if __name__ == "__main__":
    raise SystemExit(main())
