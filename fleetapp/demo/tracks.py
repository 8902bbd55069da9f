"""The fixes of one vehicle over a span, made when asked for, so that a month never lies in memory."""

from bisect import bisect_right
from datetime import date, datetime, timedelta
from random import Random

from fleetapp.demo.city import City
from fleetapp.demo.drive import drive, park
from fleetapp.demo.places import Point
from fleetapp.demo.records import Leg, Story
from fleetapp.demo.tours import local_moment
from fleetapp.places.roads import RoadGraph
from telematics.model import Fix

AWAY_BEAT_S = 300
HOME_BEAT_S = 3600
SETTLE = timedelta(minutes=30)
"""After so long at home a terminal falls asleep and reports by the hour (JT/T 808 parameter 0x0027, sleep interval)."""


def vehicle_day(city: City, story: Story, roads: RoadGraph, *, plate: str, on: date) -> list[Fix]:
    """Return the fixes of a vehicle on one local day up to the story's ``now``, in time order."""
    start_at = local_moment(on, 0.0)
    return fixes_between(
        city, story, roads, plate=plate, start_at=start_at, end_at=min(story.now, local_moment(on, 24.0))
    )


def fixes_between(
    city: City, story: Story, roads: RoadGraph, *, plate: str, start_at: datetime, end_at: datetime
) -> list[Fix]:
    """Return the fixes of a vehicle over ``[start_at, end_at)``, also beyond ``now`` where legs are planned.

    Drives come out the same for any span that cuts them; heartbeats between them may differ by a metre.
    """
    vehicle = city.vehicle(plate)
    legs = story.legs[plate]
    rng = Random(f"{plate} {start_at.isoformat()}")
    fixes: list[Fix] = []
    first = bisect_right([leg.start_at for leg in legs], start_at) - 1
    if first < 0:
        until = min(end_at, legs[0].start_at) if legs else end_at
        fixes += _stay(
            vehicle.home,
            rng,
            since=local_moment(story.first_on, 0.0),
            start_at=start_at,
            until=until,
            odometer_m=vehicle.odometer_m,
            at_home=True,
        )
    for index in range(max(first, 0), len(legs)):
        leg = legs[index]
        if leg.start_at >= end_at:
            break
        if leg.end_at > start_at:
            fixes += repeated(leg, roads)
        until = min(end_at, legs[index + 1].start_at) if index + 1 < len(legs) else end_at
        if not leg.quirks.basement:
            fixes += _stay(
                leg.destination,
                rng,
                since=leg.end_at,
                start_at=start_at,
                until=until,
                odometer_m=leg.odometer_m + leg.length_m,
                at_home=leg.destination == vehicle.home,
            )
    return [fix for fix in fixes if start_at <= fix.at < end_at]


def repeated(leg: Leg, roads: RoadGraph) -> list[Fix]:
    """Return the fixes of one leg; always the same ones."""
    route = roads.route(leg.origin.lonlat, leg.destination.lonlat)
    return drive(route, leg.start_at, Random(leg.seed), odometer_m=leg.odometer_m, pace=leg.pace, quirks=leg.quirks)


def _stay(
    point: Point,
    rng: Random,
    *,
    since: datetime,
    start_at: datetime,
    until: datetime,
    odometer_m: float,
    at_home: bool,
) -> list[Fix]:
    """Heartbeats from ``since`` to ``until`` as far as they lie past ``start_at``; sleepy and silent at night at home."""
    awake_until = min(until, since + SETTLE) if at_home else until
    fixes = []
    if awake_until > start_at:
        skipped = max(0, (start_at - since) // timedelta(seconds=AWAY_BEAT_S))
        fixes += park(
            point.lonlat,
            since + timedelta(seconds=skipped * AWAY_BEAT_S),
            awake_until,
            rng,
            odometer_m=odometer_m,
            every_s=AWAY_BEAT_S,
        )
    if at_home and until > awake_until:
        skipped = max(0, (start_at - awake_until) // timedelta(seconds=HOME_BEAT_S))
        fixes += park(
            point.lonlat,
            awake_until + timedelta(seconds=skipped * HOME_BEAT_S),
            until,
            rng,
            odometer_m=odometer_m,
            every_s=HOME_BEAT_S,
            night_silence=True,
        )
    return fixes
