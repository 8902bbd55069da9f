"""A real terminal day, if the optional reference data is there."""

import json
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from telematics.model import Fix
from telematics.segment import segment

JIANDE = Path(__file__).parents[2] / "../shared/data/jiande_2023-12-11.json"


@pytest.mark.reference
@pytest.mark.skipif(not JIANDE.exists(), reason="optional reference data (one terminal day in Jiande) is not there")
@pytest.mark.parametrize("cut_at", [None, "09:30", "10:45"])
def test_a_real_day_at_one_fix_a_minute_is_within_three_percent_of_the_platform(cut_at):
    """Platform mileage 30.44 km; whatever order boundary cuts the day, the trips add up."""
    beijing = ZoneInfo("Asia/Shanghai")
    recorded = json.loads(JIANDE.read_text(encoding="utf-8"))
    fixes = [
        Fix(
            at=datetime.fromisoformat(row["dataTime"]).replace(tzinfo=beijing),
            lat=row["latitude"],
            lon=row["longitude"],
            speed_kmh=float(row["speed"]),
            direction_deg=row["direction"],
        )
        for row in recorded["traceDataList"]
    ]
    edges = [datetime.fromisoformat(f"2023-12-11 {cut_at}").replace(tzinfo=beijing)] if cut_at else []
    result = segment(fixes, boundaries=edges)
    assert sum(trip.distance.best_m for trip in result.trips) == pytest.approx(1000 * recorded["mileage"], rel=0.03)
    assert not result.rejected
    assert not result.gaps
    assert max(trip.max_speed_kmh for trip in result.trips) == recorded["maxSpeed"]
