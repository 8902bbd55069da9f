"""Check a long audit chain piece by piece as the command and the page do; prints seconds and entries a second as JSON.

The bound is one pass of the database over the same rows that computes SHA-256 of the stored hash alone: reading and hashing, no chain.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.audit_verify [--entries 1000000] [--target-s 60]

Makes a database of its own and drops it; ``ratio`` is seconds of the check / seconds of the bound.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config

from benchmarks.database import own_database
from fleetapp import wiring
from fleetapp.audit import queries
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine

ROOT = Path(__file__).parents[1]
BATCH = 50_000
FILL = """
    INSERT INTO audit_entry (at, actor_name, action, subject_type, subject_id, data)
    SELECT now(), '张三', 'orders.approved', 'travel_order', n::text, jsonb_build_object('before', 'APPROVING', 'after', 'APPROVED', 'n', n)
    FROM generate_series(1, %s) n
"""


def main() -> int:
    """Print the result; exit status 1 if the target is missed or the chain is not whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--target-s", type=float, default=60.0)
    asked = parser.parse_args()
    with own_database() as url:
        engine = make_engine(url, role=None)
        config = Config(ROOT / "migrations" / "alembic.ini")
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
        engine.dispose()
        with psycopg.connect(url, autocommit=True) as connection:
            for first in range(0, asked.entries, BATCH):
                connection.execute(FILL, [min(BATCH, asked.entries - first)])
            connection.execute("VACUUM ANALYZE audit_entry")
            began = time.perf_counter()
            connection.execute("SELECT count(sha256(prev_hash || hash)) FROM audit_entry").fetchone()
            bound = time.perf_counter() - began
        engine = make_engine(url)
        with Database(engine, wiring.CONSTRAINT_ERRORS).transaction(SYSTEM) as session:
            began = time.perf_counter()
            faults = [
                fault for _, found in queries.walk(session, first=1, last=queries.head(session).seq) for fault in found
            ]
            seconds = time.perf_counter() - began
        engine.dispose()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    met = seconds <= asked.target_s and not faults
    print(json.dumps({"entries": asked.entries, "seconds": round(seconds, 2), "entries_per_s": round(asked.entries / seconds),
                      "bound_s": round(bound, 2), "ratio": round(seconds / bound, 1), "faults": len(faults), "peak_mb": round(peak_mb),
                      "target_s": asked.target_s, "met": met}))  # fmt: skip
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
