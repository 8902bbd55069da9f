from collections import defaultdict
from datetime import timedelta
from itertools import islice, pairwise, takewhile

from fleetapp.demo.live import position_stream
from fleetapp.demo.tracks import fixes_between
from fleetapp.places.roads import distance_m


def until(city, story, roads, minutes):
    stream = position_stream(city, story, roads, now=story.now)
    end_at = story.now + timedelta(minutes=minutes)
    return list(takewhile(lambda pair: pair[1].at < end_at, stream))


def test_about_thirty_cars_move_and_all_others_send_heartbeats(city, story, roads):
    pairs = until(city, story, roads, 10)
    moving = {phone for phone, fix in pairs if fix.speed_kmh > 5}
    driving = {city.vehicle(order.plate).terminal_phone for order in story.orders if order.state == "driving"}
    assert 22 <= len(moving) <= 40
    assert moving <= driving
    assert {phone for phone, _ in pairs} == {vehicle.terminal_phone for vehicle in city.vehicles}


def test_fixes_come_in_time_order_from_now_on(city, story, roads):
    stream = list(islice(position_stream(city, story, roads, now=story.now), 2_000))
    assert stream[0][1].at >= story.now
    assert all(a[1].at <= b[1].at for a, b in pairwise(stream))


def test_cars_keep_driving_hours_later_without_a_jump(city, story, roads):
    tracks = defaultdict(list)
    for phone, fix in until(city, story, roads, 300):
        tracks[phone].append(fix)
    late = story.now + timedelta(minutes=280)
    assert sum(any(fix.at > late and fix.speed_kmh > 5 for fix in fixes) for fixes in tracks.values()) >= 20
    for fixes in tracks.values():
        for a, b in pairwise(fixes):
            seconds = (b.at - a.at).total_seconds()
            assert seconds > 0
            assert distance_m((a.lon, a.lat), (b.lon, b.lat)) <= 35 * seconds + 30
            assert a.odometer_m <= b.odometer_m


def test_the_stream_continues_where_the_history_ends(city, story, roads):
    order = next(order for order in story.orders if order.state == "driving")
    before = fixes_between(
        city, story, roads, plate=order.plate, start_at=story.now - timedelta(minutes=8), end_at=story.now
    )[-1]
    phone = city.vehicle(order.plate).terminal_phone
    after = next(fix for owner, fix in position_stream(city, story, roads, now=story.now) if owner == phone)
    seconds = (after.at - before.at).total_seconds()
    assert seconds <= 301
    assert distance_m((before.lon, before.lat), (after.lon, after.lat)) <= 35 * seconds + 30
