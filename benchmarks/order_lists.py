"""Lists of orders at 200,000 orders: seconds of a page as people open it, p50 and p95, and its statements, as JSON.

Pages: the list of a dispatcher of the whole city (first page, a tab, a text, a plate's digits, a late page), of a district, of
an applicant, the approver's inbox, the orders that wait for a vehicle, and whom every order waits for. The bound is the bare
SQL of one page as superuser: twenty-five orders by an index, without permission, row-level security, counting, template and HTTP.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.order_lists [--orders 200000] [--rounds 20] [--target-ms 150]

Makes a database of its own and drops it; ``ratio`` is p95 / the bound's p95. A page must ask as often at any size: it is
counted at a tenth of the orders first.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import event

from benchmarks.database import own_database
from fleetapp import wiring
from fleetapp.factory import create_app
from fleetapp.kit import clock
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings
from tests import world

ROOT = Path(__file__).parents[1]
BOUND = "SELECT * FROM travel_order ORDER BY start_at DESC, id DESC LIMIT 25"
PAGES = {
    "city": ("dispatcher.city", "/orders"),
    "city tab": ("dispatcher.city", "/orders?group=over"),
    "city waiting": ("dispatcher.city", "/orders?group=to_dispatch"),
    "city common text": ("dispatcher.city", "/orders?q=调研"),
    "city rare text": ("dispatcher.city", "/orders?q=独一无二"),
    "city number": ("dispatcher.city", "/orders?q=B0007777"),
    "city late page": ("dispatcher.city", "/orders?page=40"),
    "district": ("dispatcher.xihu", "/orders"),
    "applicant": ("applicant.xhedu", "/orders"),
    "inbox": ("approver.xhedu", "/orders/inbox"),
    "waiting on whom": ("dispatcher.city", "/orders/waiting"),
}
UNITS = """
WITH ids AS (SELECT d.*, n, nextval(pg_get_serial_sequence('organisation', 'id')) AS new_id FROM organisation d, generate_series(1, 60) n
             WHERE d.kind = 'district')
INSERT INTO organisation (id, parent_id, kind, code, name_zh, name_en, adcode, path) OVERRIDING SYSTEM VALUE
SELECT new_id, id, 'unit', code || '-B' || n, name_zh || '单位' || n, 'Unit ' || n, adcode, path || new_id || '/' FROM ids;
INSERT INTO user_account (username, name_zh, name_en, org_id, password_hash, created_at)
SELECT 'b' || id || '.' || n, '申请人' || id || n, 'Applicant ' || id || n, id, 'x', now() FROM organisation, generate_series(1, 5) n
WHERE code LIKE '%-B%';
"""
ORDERS = """
WITH people AS (SELECT id, org_id, row_number() OVER (ORDER BY id) - 1 AS place, count(*) OVER () AS places FROM user_account
                WHERE username LIKE 'b%%' OR username = 'applicant.xhedu'),
made AS (
    INSERT INTO travel_order (org_id, number, kind, purpose, reason, applicant_id, filed_by_id, passengers, passenger_count, contact, body,
        start_at, end_at, state, supplementary, created_at, pooling_ok, round_trip, area, route_m, luggage, version, closing_reason)
    SELECT p.org_id, 'B' || lpad(n::text, 7, '0'), CASE WHEN n %% 97 = 0 THEN 'confidential' ELSE 'ordinary' END,
        CASE WHEN n %% 97 = 0 THEN 'meeting' ELSE 'research' END,
        CASE WHEN n = 12345 THEN '独一无二的事由' WHEN n %% 9 = 0 THEN '赴基层调研第' || n ELSE '参加第' || n || '次工作会议' END,
        p.id, p.id, '科室人员' || n %% 331, 2, '0571-87000000', 'sedan', at, at + interval '3 hours',
        CASE WHEN at > now() + interval '2 days' THEN 'SUBMITTED' WHEN at > now() + interval '1 day' THEN 'APPROVED'
             WHEN n %% 20 = 0 THEN 'CANCELLED' ELSE 'CLOSED' END, false, at - interval '1 day', true, true, 'city', 20000, '', 1, 'x'
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) n JOIN people p ON p.place = n %% p.places
    CROSS JOIN LATERAL (SELECT date_trunc('minute', now()) + interval '4 days' - n * interval '7 minutes' AS at) w
    RETURNING id)
INSERT INTO order_stop (order_id, position, name, point, tolerance_m)
SELECT id, position, '地点' || (id + position) %% 500, ST_SetSRID(ST_MakePoint(120.1 + position * 0.05, 30.2), 4326), 300
FROM made, generate_series(0, 1) position;
"""


def fill(url: str, first: int, last: int) -> None:
    """Write orders and their stops as they would lie after some years, one every seven minutes back from now."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")  # foreign keys and triggers have nothing to say here
        conn.execute(ORDERS, {"first": first, "last": last})
        conn.execute("VACUUM ANALYZE")


def timed(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Return p50 and p95 of a piece of work in milliseconds, after two rounds that warm the caches."""
    found = []
    for n in range(rounds + 2):
        began_s = time.perf_counter()
        work()
        if n >= 2:
            found.append((time.perf_counter() - began_s) * 1000)
    return {"p50_ms": round(statistics.median(found), 1), "p95_ms": round(sorted(found)[int(len(found) * 0.95)], 1)}


class Desk:
    """The application with one signed-in client for every person, and a count of statements."""

    def __init__(self, url: str) -> None:
        self.app = create_app(Settings(database_url=url, secret_key="only for this measurement"))
        self.statements = 0
        self.clients: dict[str, tuple[object, dict[str, str]]] = {}
        event.listen(self.app.extensions["fleet"].database.engine, "before_cursor_execute", self.count)

    def count(self, *_: object) -> None:
        """Count a statement."""
        self.statements += 1

    def open(self, username: str, path: str) -> None:
        """Open a page as a person."""
        if username not in self.clients:
            client = self.app.test_client()
            answer = client.post("/api/v1/tokens", json={"username": username, "password": world.PASSWORD})
            self.clients[username] = (client, {"Authorization": f"Bearer {answer.json['token']}"})
        client, headers = self.clients[username]
        answer = client.get(path, headers=headers)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code} {answer.get_data(as_text=True)[:400]}")

    def queries(self) -> dict[str, int]:
        """Return the statements of every page."""
        found = {}
        for name, (username, path) in PAGES.items():
            self.open(username, path)
            self.statements = 0
            self.open(username, path)
            found[name] = self.statements
        return found


def measure(url: str, orders: int, rounds: int) -> dict[str, object]:
    """Fill and measure."""
    engine = make_engine(url, role=None)
    config = Config(ROOT / "migrations" / "alembic.ini")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()
    engine = make_engine(url)
    world.build(Database(engine, wiring.CONSTRAINT_ERRORS), clock.now())
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(UNITS)
    fill(url, 1, orders // 10)
    desk = Desk(url)
    few = desk.queries()
    fill(url, orders // 10 + 1, orders)
    many = desk.queries()
    with psycopg.connect(url) as conn:
        bound = timed(lambda: conn.execute(BOUND).fetchall(), rounds)
    pages = {
        name: {**timed(lambda who=who: desk.open(*who), rounds), "statements": many[name]}
        for name, who in PAGES.items()
    }
    slowest = max(page["p95_ms"] for page in pages.values())
    return {"benchmark": "order_lists", "orders": orders, "pages": pages, "statements_grow": {k: many[k] - few[k] for k in many if many[k] != few[k]},
            "slowest_p95_ms": slowest, "bound": bound, "ratio": round(slowest / bound["p95_ms"], 1)}  # fmt: skip


def main() -> int:
    """Run and print; status 1 when slower than the target, or when a page asks more often of more orders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--target-ms", type=float, default=150.0)
    args = parser.parse_args()
    with own_database() as url:
        result = measure(url, args.orders, args.rounds)
    print(json.dumps(result, ensure_ascii=False, indent=2))
    return int(result["slowest_p95_ms"] > args.target_ms or bool(result["statements_grow"]))


if __name__ == "__main__":
    raise SystemExit(main())
