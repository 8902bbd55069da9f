"""Fixes a second from columns to trips, stops, gaps and kilometres on one core, next to trackintel and MovingPandas.

Made days of a vehicle in town (drives with lights, stays, parking, receiver noise), one fix every 1, 10 and 30 s. Ours is
``segment_track`` whole: cleaning, movement, stays, trips, three distances. The peers do what they are made for: trackintel
stay points, triplegs and trips, MovingPandas stops by duration and the segments between them; neither measures mileage three ways.
They are run by a Python that has them, in a process of its own, on the same fixes; a peer that is not there is left out.
Target: 1,000,000 fixes/s.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install trackintel movingpandas
    python -m benchmarks.segmentation [--days 5] [--peer-python /tmp/peers/bin/python]

Prints one JSON object.
"""

import argparse
import json
import os
import random
import subprocess
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from telematics.segment import segment_track
from telematics.track import Track, columns
from tests.telematics.driving import MORNING, drive, park, reported, streets

PEERS = Path(__file__).with_name("_segmentation_peers.py")
PEERS_EVERY_S = 30
"""Denser days take the peers minutes."""


def day(every_s: int) -> Track:
    """Columns of one vehicle-day."""
    rng, at, east_m, north_m, seconds = random.Random(1), MORNING, 0.0, 0.0, []
    for leg in range(8):
        corners = [(x + east_m, y + north_m) for x, y in streets(leg, 25)]
        seconds += drive(corners, start_at=at, light_s=[rng.choice([0, 30, 60]) for _ in corners[1:]])
        seconds += park(seconds[-1], rng.choice([400, 1500, 3000, 5000]))
        at, east_m, north_m = seconds[-1].at, seconds[-1].east_m, seconds[-1].north_m
    seconds += park(seconds[-1], int((MORNING + timedelta(days=1) - at).total_seconds()))
    return columns(reported(seconds, every_s=every_s, odometer_start_m=1_000_000))


def ours(track: Track, days: int) -> dict:
    """Rate of the best of five rounds over a number of days, one after the other."""
    segment_track(track)
    rounds = []
    for _ in range(5):
        began_s = time.process_time()
        for _ in range(days):
            found = segment_track(track)
        rounds.append(time.process_time() - began_s)
    return {
        "fixes": len(track), "trips": len(found.trips), "stops": len(found.stops),
        "fixes_per_s": round(len(track) * days / min(rounds)), "km": round(sum(t.distance.best_m for t in found.trips) / 1000, 1),
    }  # fmt: skip


def peers(track: Track, python: Path) -> dict:
    """What the peers take for one day."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "day.npz"
        np.savez(file, at_s=track.at_s, lat=track.lat, lon=track.lon)
        told = subprocess.run([python, PEERS, file], capture_output=True, text=True, check=False)
    if told.returncode:
        return {"error": told.stderr.strip().splitlines()[-1]}
    return json.loads(told.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=5, help="of each sampling, a round")
    parser.add_argument("--peer-python", type=Path)
    args = parser.parse_args()
    found: dict = {}
    for every_s in (1, 10, 30):
        track = day(every_s)
        found[f"every_{every_s}_s"] = entry = {"ours": ours(track, args.days)}
        if args.peer_python and every_s == PEERS_EVERY_S:
            entry["peers"] = theirs = peers(track, args.peer_python)
            entry["ratio"] = {
                name: round(entry["ours"]["fixes_per_s"] / one["fixes_per_s"])
                for name, one in theirs.items()
                if isinstance(one, dict) and "fixes_per_s" in one
            }
    found["load"] = round(os.getloadavg()[0], 1)
    found["meets"] = found["every_1_s"]["ours"]["fixes_per_s"] >= 1_000_000
    print(json.dumps(found))


if __name__ == "__main__":
    main()
