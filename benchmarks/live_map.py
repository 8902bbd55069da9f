"""The live map with 3,000 vehicles that all move: frames a second while it is dragged, time to the first vehicle, size of an update, JSON.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.live_map [--vehicles 3000] [--seconds 6] [--chromium /usr/bin/chromium]

Runs the web server on a database of its own and a headless Chromium without a graphics card; every two seconds each vehicle
gets a new position, stored as the gateway stores it. ``bound`` is the same drag over the same map with no vehicle on it.
"""

import argparse
import gzip
import json
import math
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import psycopg
from alembic import command
from alembic.config import Config
from playwright.sync_api import Page, sync_playwright

from benchmarks.database import own_database
from fleetapp import wiring
from fleetapp.kit import clock
from fleetapp.kit.db import Database, make_engine
from telematics import store
from telematics.model import Fix
from tests import world
from tests.serving import Caller, web

ROOT = Path(__file__).parents[1]
SEED = """
WITH unit AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS places FROM organisation WHERE kind = 'unit'),
made AS (
    INSERT INTO vehicle (org_id, plate, vin, category, body, energy, seats, model, state, registered_on, created_at, version)
    SELECT u.id, '浙B' || lpad(n::text, 5, '0'), 'BENCH' || lpad(n::text, 12, '0'), 'YJBZ', 'sedan', 'petrol', 5, '示例车型', 'IN_SERVICE',
        '2022-03-01', now(), 1
    FROM generate_series(1, %(vehicles)s) n JOIN unit u ON u.place = n %% u.places RETURNING id, org_id, plate),
fitted AS (INSERT INTO gps_terminal (phone, kind) SELECT '139' || substr(plate, 3), 'jt808' FROM made RETURNING id, phone)
INSERT INTO terminal_binding (org_id, vehicle_id, terminal_id, during)
SELECT m.org_id, m.id, f.id, tstzrange('2022-03-01', NULL) FROM made m JOIN fitted f ON f.phone = '139' || substr(m.plate, 3)
RETURNING terminal_id
"""
FRAMES = """() => { window.stamps = []; const note = (at) => { window.stamps.push(at); window.noting = requestAnimationFrame(note); };
    window.noting = requestAnimationFrame(note); }"""
GAPS = """() => { cancelAnimationFrame(window.noting); return window.stamps.slice(1).map((at, i) => at - window.stamps[i]); }"""
PAINT = """() => performance.getEntriesByName("first-contentful-paint")[0].startTime"""


def prepare(url: str) -> None:
    """Make the schema and the world."""
    for role, work in ((None, _migrate), ("fleet_app", None)):
        engine = make_engine(url, role=role) if role is None else make_engine(url)
        if work:
            work(engine)
        else:
            world.build(Database(engine, wiring.CONSTRAINT_ERRORS), clock.now())
        engine.dispose()


def _migrate(engine: Any) -> None:
    config = Config(ROOT / "migrations" / "alembic.ini")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


class Traffic:
    """Moves every vehicle along its own circle, a position every ``every_s``."""

    def __init__(self, url: str, vehicles: int, every_s: float) -> None:
        self.writes_ms: list[float] = []
        self._url, self._every_s, self._stop = url, every_s, threading.Event()
        with psycopg.connect(url) as connection:
            self._terminals = [row[0] for row in connection.execute(SEED, {"vehicles": vehicles})]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def write(self) -> None:
        """Store one position of everybody."""
        now = clock.now()
        fixes = []
        for place, terminal in enumerate(self._terminals):
            angle = now.timestamp() / 40 + place
            lat = 30.26 + ((place * 37) % 101 - 50) / 900 + math.sin(angle) / 400
            lon = 120.15 + ((place * 53) % 103 - 51) / 700 + math.cos(angle) / 400
            direction = round(math.degrees(-angle)) % 360
            fixes.append(
                (
                    terminal,
                    Fix(at=now, lat=lat, lon=lon, speed_kmh=20.0 + place % 40, direction_deg=direction, acc=True),
                    None,
                )
            )
        began = time.perf_counter()
        with psycopg.connect(self._url) as connection:
            store.save(connection, fixes, now, peer="benchmark")
        self.writes_ms.append((time.perf_counter() - began) * 1000)

    def __enter__(self) -> Self:
        self.write()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.write()


def measure_api(base: str, rounds: int) -> dict[str, Any]:
    """Time and size of the whole, of an update of everybody and of an answer without news."""
    ask = Caller(base, "dispatcher.city")
    found: dict[str, Any] = {}
    for name, wait_s in (("full", 0.0), ("update", 2.5), ("nothing", 0.0)):
        times, answer = [], None
        for _ in range(rounds):
            since = "" if name == "full" else f"?since={found['next']}"
            time.sleep(wait_s)
            began = time.perf_counter()
            answer = ask("GET", f"/positions{since}")
            times.append((time.perf_counter() - began) * 1000)
            found["next"] = answer.json["next"] if name != "nothing" or not answer.json["positions"] else found["next"]
        assert answer is not None
        found[name] = {
            "positions": len(answer.json["positions"]), "bytes": len(answer.body), "gzip_bytes": len(gzip.compress(answer.body, 5)),
            "ms": round(statistics.median(times), 1),
        }  # fmt: skip
    del found["next"]
    return found


def drag(page: Page, seconds: float) -> dict[str, float]:
    """Drag the map about; frames a second and the longest one."""
    box = page.locator(".fleet-map").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    began, step = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        step += 1
        page.mouse.move(x + 180 * math.sin(step / 12), y + 90 * math.cos(step / 12))
    gaps = page.evaluate(GAPS)
    page.mouse.up()
    return {
        "fps": round(len(gaps) / passed, 1),
        "p95_ms": round(sorted(gaps)[int(len(gaps) * 0.95)], 1),
        "longest_ms": round(max(gaps), 1),
    }


def sign_in(page: Page, base: str) -> None:
    """Sign in as the dispatcher of the city."""
    page.goto(f"{base}/sign-in")
    page.fill("[name=username]", "dispatcher.city")
    page.fill("[name=password]", world.PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda address: "/sign-in" not in address)


def measure(url: str, vehicles: int, seconds: float, chromium: str) -> dict[str, Any]:
    """Run everything once."""
    with tempfile.TemporaryDirectory() as logs, web(url, Path(logs)) as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1366, "height": 768}, locale="zh-CN")
        sign_in(page, base)
        result: dict[str, Any] = {"benchmark": "live_map", "vehicles": vehicles}
        page.goto(f"{base}/live")
        page.wait_for_selector(".fleet-map[data-ready]", state="attached")
        time.sleep(1)
        result["bound"] = drag(page, seconds)
        with Traffic(url, vehicles, 2.0) as traffic:
            began = time.perf_counter()
            page.goto(f"{base}/live")
            page.wait_for_selector(".fleet-map[data-ready]", state="attached")
            result["first_vehicles_ms"] = round((time.perf_counter() - began) * 1000)
            result["first_paint_ms"] = round(page.evaluate(PAINT))
            time.sleep(2)
            result["circles"] = drag(page, seconds)
            for _ in range(2):
                page.locator(".ol-zoom-in").click()
                time.sleep(0.6)
            result["one_by_one"] = drag(page, seconds)
            page.goto("about:blank")
            result["api"] = measure_api(base, 3)
        result["write_ms"] = round(statistics.median(traffic.writes_ms), 1)
        result["ratio"] = round(
            min(result[kind]["fps"] for kind in ("circles", "one_by_one")) / result["bound"]["fps"], 2
        )
        browser.close()
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--chromium", default=shutil.which("chromium") or "chromium")
    args = parser.parse_args()
    with own_database() as url:
        prepare(url)
        print(json.dumps(measure(url, args.vehicles, args.seconds, args.chromium)))


if __name__ == "__main__":
    main()
