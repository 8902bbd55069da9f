"""Seconds to match one day of trips of 3,000 vehicles to their orders.

Every vehicle has eight made trips and six orders, two of them on one slip, one of the next day; places, drivers and
check-in events as they come. Target: 10 s of one core.

    python -m benchmarks.matching [--vehicles 3000]

Prints one JSON object.
"""

import argparse
import json
import os
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from telematics.match import match
from telematics.model import Distance, Fix, OrderWindow, Place, Stop, Trip

DAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def place(rng: random.Random) -> tuple[float, float]:
    """Somewhere in town."""
    return 30.2 + rng.uniform(0, 0.2), 120.05 + rng.uniform(0, 0.3)


def vehicle_day(rng: random.Random) -> tuple[list[Trip], list[OrderWindow]]:
    """Trips and orders of one vehicle; most trips go to the stop of an order."""
    yard, orders, trips = place(rng), [], []
    for number in range(6):
        start_at = DAY + (1.5 * number + rng.uniform(0, 1)) * HOUR + (number == 5) * timedelta(days=1)
        goals = tuple(Place(*place(rng), rng.choice([200.0, 300.0, 2000.0])) for _ in range(rng.choice([1, 1, 2, 4])))
        orders.append(
            OrderWindow(
                number + 1, f"slip {max(number, 1)}", start_at, start_at + rng.uniform(1, 3) * HOUR, Place(*yard), goals,
                rng.choice([None, 1, 2]), start_at, rng.choice([None, start_at + 2 * HOUR]),
            )
        )  # fmt: skip
    for number in range(8):
        start_at = DAY + (1.2 * number + rng.uniform(0, 0.5)) * HOUR
        end_at = start_at + rng.uniform(0.2, 1) * HOUR
        goal = rng.choice([orders[number % 6].stops[0], Place(*place(rng))])
        ends = (Fix(start_at, *yard), Fix(end_at, goal.lat, goal.lon))
        stops = tuple(Stop(start_at, end_at, *place(rng), 9) for _ in range(rng.randrange(3)))
        trips.append(Trip(start_at, end_at, ends, Distance(9e3, None, None, 9e3, "gps", 90.0), 1.0, 60.0, stops))
    return trips, orders


def main() -> None:
    """Make, match, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=3000)
    args = parser.parse_args()
    rng = random.Random(1)
    days = [vehicle_day(rng) for _ in range(args.vehicles)]
    began_s, used_s = time.perf_counter(), time.process_time()
    kinds = Counter(part.kind.value for trips, orders in days for part in match(trips, orders))
    spent_s, used_s = time.perf_counter() - began_s, time.process_time() - used_s
    print(json.dumps({
        "vehicles": args.vehicles, "trips": 8 * args.vehicles, "orders": 6 * args.vehicles, "parts": dict(kinds),
        "seconds": round(spent_s, 2), "cpu_s": round(used_s, 2), "load": round(os.getloadavg()[0], 1),
        "meets": used_s <= 10,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
