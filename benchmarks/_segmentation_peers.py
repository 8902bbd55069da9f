"""The peers' side of benchmarks/segmentation.py, run by a Python that has them; prints one JSON object."""

import json
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd

warnings.simplefilter("ignore")


def table(day: dict) -> pd.DataFrame:
    """The day as both libraries like it."""
    return pd.DataFrame(
        {"tracked_at": pd.to_datetime(day["at_s"], unit="s", utc=True), "lat": day["lat"], "lon": day["lon"]}
    )


def rate(n: int, work: Callable[[], dict]) -> dict:
    """Fixes a second of CPU, reading of the table left out."""
    began_s = time.process_time()
    found = work()
    return {"fixes_per_s": round(n / (time.process_time() - began_s)), **found}


def trackintel(day: dict) -> dict:
    """Stay points, triplegs, trips."""
    import geopandas as gpd
    import trackintel as ti
    from trackintel.preprocessing import generate_trips

    fixes = ti.io.read_positionfixes_gpd(
        gpd.GeoDataFrame(
            table(day).assign(user_id=1), geometry=gpd.points_from_xy(day["lon"], day["lat"]), crs=4326
        ),
        geom_col="geometry",
    )  # fmt: skip

    def work() -> dict:
        points, stays = fixes.generate_staypoints(
            dist_threshold=80, time_threshold=5, gap_threshold=15, include_last=True
        )
        stays = stays.create_activity_flag(time_threshold=15)
        points, legs = points.generate_triplegs(stays, gap_threshold=15)
        _, _, trips = generate_trips(stays, legs, gap_threshold=15)
        return {"stays": len(stays), "trips": len(trips)}

    return rate(len(fixes), work)


def movingpandas(day: dict) -> dict:
    """Stops of five minutes within 160 m, and the pieces between."""
    import movingpandas as mpd

    frame = table(day)
    frame["tracked_at"] = frame["tracked_at"].dt.tz_localize(None)
    line = mpd.Trajectory(frame, traj_id=1, t="tracked_at", x="lon", y="lat")

    def work() -> dict:
        finder = mpd.TrajectoryStopDetector(line)
        stops = finder.get_stop_points(min_duration=timedelta(minutes=5), max_diameter=160)
        pieces = mpd.StopSplitter(line).split(min_duration=timedelta(minutes=5), max_diameter=160)
        return {"stays": len(stops), "trips": len(pieces), "km": round(sum(p.get_length() for p in pieces) / 1000, 1)}

    return rate(len(frame), work)


def main() -> None:
    """Run both on the file named."""
    with np.load(sys.argv[1]) as file:
        day = dict(file)
    found = {}
    for peer in (trackintel, movingpandas):
        try:
            found[peer.__name__] = peer(day)
        except Exception as error:  # noqa: BLE001 -- a peer that fails is reported beside the other
            found[peer.__name__] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
