"""What the terminals of the demo city would send from now on, without end."""

import heapq
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from fleetapp.demo.city import City
from fleetapp.demo.drive import drive, park
from fleetapp.demo.fleet import Vehicle
from fleetapp.demo.records import Leg, Story
from fleetapp.demo.tours import pace_at
from fleetapp.demo.tracks import fixes_between
from fleetapp.places.roads import RoadGraph
from telematics.model import Fix

BEAT_S = 300
PAUSE_S = (60, 240)
PAUSE_BEAT_S = 60


def position_stream(city: City, story: Story, roads: RoadGraph, *, now: datetime) -> Iterator[tuple[str, Fix]]:
    """Yield (terminal phone, fix) in time order from ``now`` on, for ever; the caller waits until each fix is due.

    Vehicles whose order is being driven finish their round and then repeat it again and again; all others stand where
    they are and send a heartbeat every five minutes, spread evenly.
    """
    driving = {order.plate for order in story.orders if order.state == "driving"}
    streams = [
        _rounds(city, story, roads, vehicle, now)
        if vehicle.plate in driving
        else _standing(story, vehicle, now + timedelta(seconds=number * BEAT_S / len(city.vehicles)))
        for number, vehicle in enumerate(city.vehicles)
    ]
    return heapq.merge(*streams, key=lambda pair: (pair[1].at, pair[0]))


def _rounds(city: City, story: Story, roads: RoadGraph, vehicle: Vehicle, now: datetime) -> Iterator[tuple[str, Fix]]:
    order = next(order.key for order in story.orders if order.state == "driving" and order.plate == vehicle.plate)
    legs = [leg for leg in story.legs[vehicle.plate] if leg.order == order]
    at = max(now, legs[-1].end_at)
    for fix in fixes_between(city, story, roads, plate=vehicle.plate, start_at=now, end_at=at):
        yield vehicle.terminal_phone, fix
    odometer_m = legs[-1].odometer_m + legs[-1].length_m
    rng = Random(f"live {vehicle.plate} {story.now.isoformat()}")
    while True:
        for leg in legs:
            fixes = _pause(leg, at, rng, odometer_m)
            at += timedelta(seconds=rng.randint(*PAUSE_S))
            fixes = [fix for fix in fixes if fix.at < at]
            route = roads.route(leg.origin.lonlat, leg.destination.lonlat)
            run = drive(route, at, rng, odometer_m=odometer_m, pace=pace_at(at))
            for fix in (*fixes, *run):
                yield vehicle.terminal_phone, fix
            at = run[-1].at
            odometer_m += route.length_m


def _pause(leg: Leg, at: datetime, rng: Random, odometer_m: float) -> list[Fix]:
    end_at = at + timedelta(seconds=PAUSE_S[1])
    return park(leg.origin.lonlat, at, end_at, rng, odometer_m=odometer_m, every_s=PAUSE_BEAT_S)


def _standing(story: Story, vehicle: Vehicle, first_at: datetime) -> Iterator[tuple[str, Fix]]:
    gone = [leg for leg in story.legs[vehicle.plate] if leg.end_at <= story.now]
    point = gone[-1].destination if gone else vehicle.home
    odometer_m = gone[-1].odometer_m + gone[-1].length_m if gone else float(vehicle.odometer_m)
    rng = Random(f"live {vehicle.plate} {story.now.isoformat()}")
    at = first_at.replace(microsecond=0)
    while True:
        beat = park(point.lonlat, at, at + timedelta(seconds=1), rng, odometer_m=odometer_m, every_s=BEAT_S, first_s=0)
        yield vehicle.terminal_phone, beat[0]
        at += timedelta(seconds=BEAT_S)
