"""Fixes and frames as a fleet would send them, made for tests and benchmarks of the store."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from telematics.model import Fix
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import encode_frame, header_form


def drive(start_at: datetime, fixes: int, step_s: int, seed: int) -> Iterator[tuple[Fix, bytes]]:
    """Fixes of one car with the frames that brought them: it drives, turns, stands, climbs; all values change."""
    chance = random.Random(seed)
    lat_e6, lon_e6 = 30_250_000 + chance.randrange(200_000), 120_150_000 + chance.randrange(200_000)
    speed, direction, odometer_m, altitude = 0, chance.randrange(360), chance.randrange(2_000_000) * 100, 12
    rest_m = 0.0
    form = header_form(f"139{seed % 10**8:08}")
    for number in range(fixes):
        if chance.random() < 0.02:
            speed = 0 if speed else 300
        if speed:
            speed = min(max(speed + chance.randrange(-60, 61), 50), 900)
            direction = (direction + chance.randrange(-15, 16)) % 360
            altitude = max(altitude + chance.randrange(-1, 2), 0)
        rest_m += speed / 36 * step_s
        odometer_m += int(rest_m // 100) * 100
        rest_m %= 100
        lat_e6 += round(speed / 36 * step_s * 9 * chance.uniform(-1, 1))
        lon_e6 += round(speed / 36 * step_s * 10 * chance.uniform(-1, 1))
        fix = Fix(
            at=start_at + timedelta(seconds=number * step_s), lat=lat_e6 / 1e6, lon=lon_e6 / 1e6, speed_kmh=speed / 10,
            direction_deg=direction, altitude_m=altitude, acc=True, odometer_m=odometer_m, status=3,
            items={"satellites": 9 + chance.randrange(6), "signal": 20 + chance.randrange(11)},
        )  # fmt: skip
        yield fix, encode_frame(body.LOCATION, body.encode_location(fix), like=form, serial=number % 65536)
