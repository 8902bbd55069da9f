"""D-08 at, below and above its figures; what excuses a car that is far away, and a sealed one that drives."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fleetapp.findings.known import Away, Life, SealFacts
from fleetapp.findings.rules import Silence
from tests.findings.test_families import DAY, HOUR, TEN, ask, colours, limit, order, stay, trip

SATURDAY = TEN + 3 * DAY
GOAL = (30.60, 119.80)
AT_WORK = [stay("", at=TEN - n * DAY) for n in range(1, 8)]
"""A week of days with a stay some kilometres from home: the car has familiar places."""


def near_goal(*days_before, north_m=0.0):
    return [stay("", at=SATURDAY - n * DAY, lat=GOAL[0] + north_m / 111_195, lon=GOAL[1]) for n in days_before]


def lending(*, stays=(), start=SATURDAY, life=None, home_m=50_000.0, order_id=None, **given):
    out = trip(start, HOUR, order_id=order_id, metres=60_000.0, path=((30.25, GOAL[0]), (120.16, GOAL[1])))
    window = {"start": start - 10 * HOUR, "end": start + DAY, "now": start + DAY}
    return colours(
        ask(
            "D-08",
            trips=[out],
            stays=[*AT_WORK, *stays],
            life=life,
            away={out.id: Away(0.0, home_m, home_m)},
            **window,
            **given,
        )
    )


FAR_M = limit("D-08.far_km") * 1000
LONGEST = round(limit("K-07.max_days"))


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([], ["red"]),
        (near_goal(20), ["red"]),
        (near_goal(20, 20), ["red"]),
        (near_goal(20, 6), []),
        (near_goal(40, 35), ["red"]),
        (near_goal(20, 6, north_m=FAR_M - 10), []),
        (near_goal(20, 6, north_m=FAR_M + 10), ["red"]),
    ],
)
def test_a_place_is_familiar_from_its_second_day_within_the_radius_on(stays, expected):
    assert lending(stays=stays) == expected


def test_neither_an_order_nor_work_hours_nor_the_neighbourhood_is_lending():
    assert lending(order_id=7) == []
    assert lending(orders=[order(start_at=SATURDAY - HOUR, end_at=SATURDAY + HOUR)]) == []
    assert lending(start=TEN + DAY) == [], "a Thursday morning"
    assert lending(home_m=FAR_M) == []
    assert lending(home_m=FAR_M + 1) == ["red"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [(0, [Silence.ORDER_IN_FORCE]), (LONGEST, [Silence.ORDER_IN_FORCE]), (LONGEST + 1, ["red"]), (-1, ["red"])],
)
def test_a_loan_excuses_from_its_first_day_until_it_is_longer_than_it_may_be(days, expected):
    assert lending(life=Life(borrowed_since=SATURDAY.date() - timedelta(days=days))) == expected


@pytest.mark.parametrize(
    ("kind", "expected"), [("emergency", [Silence.EMERGENCY_ORDER]), ("ordinary", ["red"]), ("service", ["red"])]
)
def test_only_an_activated_emergency_calls_a_sealed_vehicle_out(kind, expected):
    seal = SealFacts(
        id=1, start_on=TEN.date(), end_on=TEN.date() + timedelta(days=3), state="SEALED", sealed_at=TEN - HOUR
    )
    assert colours(ask("B-04", trips=[trip()], seals=[seal], orders=[order(kind=kind)])) == expected
    assert colours(ask("B-04", trips=[replace(trip(), matches=[])], seals=[seal], orders=[order(kind=kind)])) == ["red"]
