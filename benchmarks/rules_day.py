"""All rules over one day of 3,000 vehicles with three weeks of history each, in memory: python -m benchmarks.rules_day

The facts are those of a labelled city; its vehicles are asked again and again until 3,000 vehicle-days are done, each with
its figures and routes worked out anew. Reading the facts from the database is not part of it.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from datetime import timedelta

from fleetapp.demo.labelled import city
from fleetapp.demo.labelled.world import FIRST_ON
from fleetapp.findings import scene
from fleetapp.kit import clock

BOUND_S = 60.0


def main() -> int:
    """Ask every rule about 3,000 vehicle-days and print seconds and the share of the bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vehicles", type=int, default=3_000)
    parser.add_argument("--cars", type=int, default=10)
    parser.add_argument("--days", type=int, default=21)
    asked = parser.parse_args()
    made = city.make_city(cars=asked.cars, days=asked.days, seed=5)
    days = [clock.start_of(FIRST_ON + timedelta(days=asked.days - 1 - back)) for back in (1, 2, 3, 4, 5)]
    clues = done = 0
    begun, begun_cpu = time.perf_counter(), time.process_time()
    while done < asked.vehicles:
        known = made.known[done % len(made.known)]
        start = days[done // len(made.known) % len(days)]
        one = replace(known, start=start, end=start + timedelta(days=1), now=start + timedelta(days=1), cache={})
        clues += len(scene.ask(one).clues)
        done += 1
    seconds = time.perf_counter() - begun
    print(
        json.dumps(
            {
                "vehicle_days": done,
                "clues": clues,
                "seconds": round(seconds, 2),
                "cpu_seconds": round(time.process_time() - begun_cpu, 2),
                "ratio_to_bound": round(seconds / BOUND_S, 3),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
