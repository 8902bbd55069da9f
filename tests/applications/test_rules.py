"""Hints, windows, days of a series, names and savings: values in, values out."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.applications import rules
from fleetapp.applications.rules import Figures, Trip
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders.rules import Area, OrderKind
from fleetapp.places import areas
from fleetapp.vehicles.rules import Body
from fleetapp.workdays.rules import Day, DayKind

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)  # Wednesday, 09:00 at the office
FIGURES = Figures(timedelta(minutes=45), 3000, 2, 22, 6)
LEAD = timedelta(minutes=30)
WORKDAY = [Day(date(2026, 11, 18), DayKind.WORKDAY)]


def codes(area=Area.URBAN, days=WORKDAY, night=False, **changes):
    trip = Trip(**{"kind": OrderKind.ORDINARY, "body": Body.SEDAN, "people": 2, "start_at": NOW + timedelta(hours=2),
                   "end_at": NOW + timedelta(hours=4), **changes})  # fmt: skip
    return [
        hint.code for hint in rules.hints(trip, area=area, days=days, night=night, figures=FIGURES, lead=LEAD, now=NOW)
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["subsidy_area"]),
        ({"luggage": True}, []),
        ({"people": 3}, []),
        ({"area": Area.CITY}, []),
        ({"area": None}, []),
        ({"area": Area.BEYOND}, ["area_beyond"]),
        ({"area": Area.PROVINCE}, ["area_province"]),
        ({"people": 5}, ["too_many_people"]),
        ({"people": 5, "body": Body.MPV}, []),
        ({"start_at": NOW + timedelta(minutes=10)}, ["short_notice", "subsidy_area"]),
        ({"start_at": NOW - timedelta(minutes=10)}, ["past", "subsidy_area"]),
        ({"night": True}, ["night"]),
        ({"days": [Day(date(2026, 10, 1), DayKind.HOLIDAY, "国庆节")]}, ["holiday", "subsidy_area"]),
        ({"days": [Day(date(2026, 11, 21), DayKind.REST, known=False)]}, ["rest_day", "calendar_unknown", "subsidy_area"]),
        ({"kind": OrderKind.CONFIDENTIAL}, ["kind_confidential"]),
        ({"kind": OrderKind.EMERGENCY, "start_at": NOW + timedelta(minutes=1)}, ["kind_emergency"]),
    ],
)  # fmt: skip
def test_hints_say_what_matters(changes, expected):
    assert codes(**changes) == expected


def test_a_trip_taken_again_is_on_the_next_working_day_at_the_same_hours():
    content = {"start": "22:30", "end": "01:00", "days": 1}
    window = rules.next_window(content, next_workday=lambda on: on + timedelta(days=2), now=NOW)
    assert window == Span(datetime(2026, 11, 21, 14, 30, tzinfo=UTC), datetime(2026, 11, 21, 17, 0, tzinfo=UTC))


@given(st.dates(date(2026, 1, 1), date(2030, 1, 1)), st.integers(0, 127), st.integers(0, 200), st.integers(1, 9))
def test_days_of_a_series_are_the_asked_weekdays_in_order_without_the_days_off(first, week, length, every):
    weekdays = {day for day in range(7) if week >> day & 1}
    until, skipped = (
        first + timedelta(days=length),
        {first + timedelta(days=n) for n in range(0, 200, every) if every > 1},
    )
    expected = [
        on for n in range(length + 1) if (on := first + timedelta(days=n)).weekday() in weekdays and on not in skipped
    ]

    def make():
        return rules.series_dates(first, weekdays=sorted(weekdays), until=until, skip=skipped.__contains__)

    if weekdays and 0 < len(expected) <= rules.MOST_DATES:
        assert make() == expected
        return
    code = "series_days" if not weekdays else "series_empty" if not expected else "series_long"
    with pytest.raises(RuleBroken, match=code):
        make()


def test_names_are_told_apart_and_counts_are_no_names():
    assert rules.names_of("教研员甲、教研员 乙，Zhang San;科室 2 人") == {"教研员甲", "教研员乙", "zhangsan"}
    assert rules.names_of("科室 2 人") == set()


def test_one_car_for_the_same_way_saves_a_whole_journey_and_never_costs():
    a, b, far = (120.126, 30.264), (120.208, 30.293), (119.72, 30.24)
    alone = areas.journey_m([a, b])
    assert rules.saved_m([a, b], [a, b], areas.journey_m) == pytest.approx(alone, rel=0.01)
    assert rules.saved_m([a, b], [a, far], areas.journey_m) >= 0


def test_the_next_five_minutes_are_offered():
    assert rules.rounded_up(NOW) == NOW
    assert rules.rounded_up(NOW + timedelta(seconds=1)) == NOW + timedelta(minutes=5)
