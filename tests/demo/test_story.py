import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from fleetapp.demo.drive import LOCAL, PLAIN
from fleetapp.demo.purposes import PURPOSES
from fleetapp.demo.story import month
from fleetapp.demo.tours import Ledger
from fleetapp.demo.tracks import fixes_between, repeated, vehicle_day
from fleetapp.places.roads import distance_m

ROOT = Path(__file__).parents[2]
MOVED = ("done", "driving")


def spans_of(story, name):
    """Window and real use together, by vehicle or by driver."""
    spans = defaultdict(list)
    for order in story.orders:
        if getattr(order, name) and order.state in (*MOVED, "dispatched"):
            starts = [at for at in (order.start_at, order.checked_out_at) if at]
            ends = [at for at in (order.end_at, order.checked_in_at) if at]
            spans[getattr(order, name)].append((min(starts), max(ends)))
    return spans


@pytest.mark.parametrize("name", ["plate", "driver"])
def test_nobody_is_booked_twice(story, name):
    spans = spans_of(story, name)
    assert any(len(each) > 1 for each in spans.values())
    for each in spans.values():
        assert all(a[1] <= b[0] for a, b in pairwise(sorted(each)))


def test_a_vehicle_drives_on_from_where_it_stands_and_its_odometer_rises(city, story):
    for vehicle in city.vehicles:
        here, reading_m, free_at = vehicle.home, vehicle.odometer_m, None
        for leg in story.legs[vehicle.plate]:
            assert leg.origin == here
            assert leg.odometer_m == pytest.approx(reading_m, abs=1)
            assert free_at is None or leg.start_at > free_at
            assert leg.end_at > leg.start_at
            here, reading_m, free_at = leg.destination, leg.odometer_m + leg.length_m, leg.end_at
        assert here == vehicle.home


def test_times_of_an_order_follow_one_another(story):
    for order in story.orders:
        steps = [
            order.created_at,
            order.decided_at,
            order.dispatched_at,
            order.accepted_at,
            order.checked_out_at,
            *order.arrivals,
            order.checked_in_at,
        ]
        known = [at for at in steps if at]
        assert known == sorted(known), order
        assert all(at <= story.now for at in known), order
        assert order.start_at < order.end_at
        assert order.created_at < order.start_at


def test_people_of_an_order_are_accounts_with_the_right_role_and_all_different(city, story):
    roles = {account.username: account.role for account in city.accounts}
    for order in story.orders:
        assert roles[order.applicant] == "applicant"
        assert roles[order.approver] == "approver"
        assert order.dispatcher is None or roles[order.dispatcher] == "dispatcher"
        assert order.driver is None or roles[order.driver] == "driver"


def test_vehicles_suit_their_orders(city, story):
    units = {org.code: org for org in city.orgs}
    licence = {driver.username: driver for driver in city.drivers}
    for order in story.orders:
        if order.plate is None:
            continue
        vehicle = city.vehicle(order.plate)
        assert vehicle.model.seats > order.passengers
        assert vehicle.org in (order.unit, units[order.unit].pool)
        assert licence[order.driver].org == vehicle.org
        assert vehicle.model.body != "coach" or licence[order.driver].licence == "A1"
        if order.purpose in PURPOSES:
            assert vehicle.category in PURPOSES[order.purpose].categories


def test_done_orders_reach_their_stops_and_count_their_kilometres(story):
    legs = defaultdict(list)
    for leg in story.all_legs():
        legs[leg.order].append(leg)
    done = [order for order in story.orders if order.state == "done"]
    for order in done:
        assert len(order.arrivals) == len(order.stops)
        assert set(order.stops) <= {leg.destination for leg in legs[order.key]}
        driven_m = sum(leg.length_m for leg in legs[order.key])
        assert order.odometer_in_m - order.odometer_out_m == pytest.approx(driven_m, abs=2)
    assert len(done) > 150


def test_orders_without_a_story_keep_their_window(story):
    storied = {label.order for label in story.labels if label.deviates}
    for order in story.orders:
        if order.state == "done" and order.key not in storied:
            assert order.start_at - timedelta(minutes=30) < order.checked_out_at <= order.start_at
            assert order.checked_in_at <= order.end_at + timedelta(minutes=10)


def test_three_to_five_in_a_hundred_deviate_and_every_kind_is_there(story):
    deviations = [label for label in story.labels if label.deviates]
    assert 0.025 <= len(deviations) / len(story.orders) <= 0.05
    assert {label.rule for label in deviations} == {"A-01", "A-03", "B-02", "E-01", "E-02"}
    cousins = Counter(label.kind for label in story.labels if not label.deviates)
    assert set(cousins) == {
        "service_order", "approved_overnight", "rejected", "cancelled",
        "duty", "data_gap", "blind_upload", "basement", "ignition_flicker",
    }  # fmt: skip


def test_undeclared_trips_lie_far_from_any_order_of_their_vehicle(story):
    for label in story.labels:
        if label.kind != "undeclared":
            continue
        legs = [leg for leg in story.legs[label.plate] if label.start_at <= leg.start_at < label.end_at]
        assert [leg.order for leg in legs] == [None, None]
        for order in story.orders:
            if order.plate == label.plate:
                assert order.end_at + timedelta(hours=1) < label.start_at or label.end_at < order.start_at


def test_overruns_come_back_more_than_an_hour_late(story):
    orders = {order.key: order for order in story.orders}
    late = [orders[label.order] for label in story.labels if label.rule == "A-03"]
    assert late
    assert all(order.checked_in_at - order.end_at > timedelta(minutes=60) for order in late)


def test_nights_out_are_spent_away_from_the_designated_place(city, story, roads):
    """With leave or without, the car stands elsewhere at 22:00; only the window tells the two apart."""
    orders = {order.key: order for order in story.orders}
    nights = [label for label in story.labels if label.rule == "E-02"]
    assert {label.deviates for label in nights} == {True, False}
    for label in nights:
        at_ten = fixes_between(
            city,
            story,
            roads,
            plate=label.plate,
            start_at=label.start_at,
            end_at=label.start_at + timedelta(minutes=10),
        )
        home = city.vehicle(label.plate).home
        assert at_ten
        assert all(distance_m((fix.lon, fix.lat), home.lonlat) > 1_000 for fix in at_ten)
        assert (orders[label.order].end_at < label.start_at) == label.deviates


def test_short_departures_stay_short(story):
    short = [label for label in story.labels if label.rule == "E-01" and label.deviates]
    assert short
    for label in short:
        out = next(leg for leg in story.legs[label.plate] if leg.start_at == label.start_at)
        assert 300 < distance_m(out.origin.lonlat, out.destination.lonlat) < 950


def test_weekends_are_nearly_empty_and_only_duty_has_orders(story):
    started = Counter(order.start_at.astimezone(LOCAL).weekday() for order in story.orders if order.state == "done")
    assert sum(started[day] for day in (5, 6)) < 0.06 * sum(started.values())
    weekend = [order for order in story.orders if order.start_at.astimezone(LOCAL).weekday() >= 5]
    assert {order.kind for order in weekend if order.state == "done"} == {"emergency"}


def test_faulty_data_is_labelled(story):
    faulty = [leg for leg in story.all_legs() if leg.quirks != PLAIN]
    labelled = {(label.plate, label.start_at) for label in story.labels if label.kind in FAULTS}
    assert {(leg.plate, leg.start_at) for leg in faulty} == labelled


FAULTS = ("data_gap", "blind_upload", "basement", "ignition_flicker")

NOWS = {
    "workday noon": datetime(2026, 11, 23, 4, 0, tzinfo=UTC),
    "midnight": datetime(2026, 11, 24, 16, 5, tzinfo=UTC),
    "sunday morning": datetime(2026, 11, 22, 1, 0, tzinfo=UTC),
}


@pytest.mark.parametrize("now", NOWS.values(), ids=NOWS.keys())
def test_today_has_orders_in_every_state_whenever_it_is(city, roads, now):
    story = month(city, roads, seed=1, now=now, days=3, orders_per_day=12)
    states = Counter(order.state for order in story.orders)
    assert states["driving"] >= 8
    assert min(states[state] for state in ("pending", "approved", "dispatched", "rejected", "cancelled")) >= 1
    for order in story.orders:
        if order.state == "driving":
            assert order.checked_out_at < now < order.end_at
            assert story.legs[order.plate][-1].end_at > now
        if order.state in ("pending", "approved", "dispatched"):
            assert order.start_at > now
            assert 6 <= order.start_at.astimezone(LOCAL).hour < 20


def test_a_holiday_calendar_turns_rest_day_use_into_holiday_use(city, roads):
    golden_week = datetime(2026, 10, 8, 6, 0, tzinfo=UTC)
    kind = lambda on: "holiday" if date(2026, 10, 1) <= on <= date(2026, 10, 7) else "workday"
    story = month(city, roads, seed=2, now=golden_week, days=12, orders_per_day=20, day_kind=kind)
    assert {label.rule for label in story.labels if label.rule.startswith("B") and label.deviates} == {"B-01"}


@pytest.mark.parametrize("wrong", [{"days": 1}, {"orders_per_day": 0}, {"now": datetime(2026, 11, 23, 4, 0)}])  # noqa: DTZ001
def test_impossible_stories_are_refused(city, roads, wrong):
    with pytest.raises(ValueError, match="a story needs"):
        month(city, roads, **{"seed": 1, "now": datetime(2026, 11, 23, 4, 0, tzinfo=UTC), **wrong})


def test_a_day_of_fixes_is_in_order_and_ends_at_now(city, story, roads):
    total = 0
    for vehicle in city.vehicles[::10]:
        for back in range(3):
            fixes = vehicle_day(city, story, roads, plate=vehicle.plate, on=story.end_on - timedelta(days=back))
            assert all(a.at < b.at for a, b in pairwise(fixes))
            assert all(a.odometer_m <= b.odometer_m for a, b in pairwise(fixes))
            assert all(fix.at < story.now for fix in fixes)
            assert fixes
            total += len(fixes)
    assert total > 1_000


def test_a_drive_cut_by_a_span_comes_out_the_same(city, story, roads):
    leg = next(
        leg for leg in story.all_legs() if leg.quirks == PLAIN and leg.end_at < story.now and leg.length_m > 5_000
    )
    whole = repeated(leg, roads)
    middle = whole[len(whole) // 2].at
    halves = [
        fix
        for start_at, end_at in ((leg.start_at, middle), (middle, leg.end_at + timedelta(seconds=1)))
        for fix in fixes_between(city, story, roads, plate=leg.plate, start_at=start_at, end_at=end_at)
    ]
    assert halves == whole
    assert whole[-1].at == leg.end_at


def test_the_ledger_keeps_a_buffer_and_refuses_an_overlap():
    ledger = Ledger()
    at = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)
    ledger.book("car", at, at + timedelta(hours=1))
    assert not ledger.free("car", at + timedelta(minutes=70), at + timedelta(hours=2))
    assert ledger.free("car", at + timedelta(minutes=80), at + timedelta(hours=2))
    assert ledger.free("other", at, at + timedelta(hours=1))
    with pytest.raises(ValueError, match="already booked"):
        ledger.book("car", at, at + timedelta(minutes=5))


TELL = """
import hashlib, sys
from datetime import UTC, date, datetime
from fleetapp.demo.city import build
from fleetapp.demo.live import position_stream
from fleetapp.places.roads import load_roads
from fleetapp.demo.story import month
roads = load_roads()
city = build(seed=3, as_of=date(2026, 11, 1), roads=roads)
story = month(city, roads, seed=5, now=datetime(2026, 11, 4, 4, 0, tzinfo=UTC), days=3, orders_per_day=6)
print(hashlib.sha256(repr((city, story)).encode()).hexdigest())
print([name for name in ("flask", "sqlalchemy", "psycopg") if name in sys.modules])
"""


def test_two_processes_tell_the_same_story_without_any_web_or_database_library():
    answers = [
        subprocess.run(
            [sys.executable, "-c", TELL],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout.split("\n")
        for hash_seed in ("1", "2")
    ]
    assert answers[0] == answers[1]
    assert len(answers[0][0]) == len(hashlib.sha256().hexdigest())
    assert answers[0][1] == "[]"
