"""Rentals beside idle cars, yearly cost, standards by kind of energy, fillings of others, nights away: at, below and above."""

from dataclasses import replace
from datetime import date

import pytest

from fleetapp.findings import assembly, scene
from fleetapp.findings.known import Away, Car, Life, Part, Peers, Poi, Rental, SealFacts, Stay, Trip, Work
from fleetapp.findings.rules import Clue, Silence, figures_on
from tests.findings.test_families import DAY, HOUR, MINUTE, ROWS, TEN, ask, colours, fill, known, order, trip

SATURDAY = TEN + 3 * DAY
CAR = Car(id=1, org_id=1, org_path="/1/", plate="浙A1", parking_id=1, seats=5)


def rented(**given):
    return Rental(**{
        "id": 4, "number": "Y-4", "start_at": TEN, "end_at": TEN + 2 * HOUR, "passengers": 3, "price": 300.0, "idle": (1, 2), **given,
    })  # fmt: skip


SEALED = SealFacts(id=1, start_on=date(2026, 11, 17), end_on=date(2026, 11, 20), state="SEALED", sealed_at=TEN - HOUR)
IN_SHOP = Work(id=1, number="W", supplier="a", contracted=True, in_at=TEN + HOUR, out_at=TEN + 3 * HOUR)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["yellow"]),
        ({"peers": Peers(rentals=[rented(idle=(2, 1))])}, []),
        ({"peers": Peers(rentals=[rented(idle=())])}, []),
        ({"peers": Peers(rentals=[rented(start_at=TEN - 3 * DAY, end_at=TEN - 2 * DAY)])}, []),
        ({"trips": [trip(TEN + 2 * HOUR - MINUTE, HOUR)]}, []),
        ({"trips": [trip(TEN + 2 * HOUR, HOUR)]}, ["yellow"]),
        ({"works": [IN_SHOP]}, []),
        ({"seals": [SEALED]}, []),
        ({"car": replace(CAR, state="SUSPENDED")}, []),
        ({"covered": {}}, [Silence.INSUFFICIENT_DATA]),
    ],
)
def test_a_rental_beside_a_car_that_stood_idle(given, expected):
    assert colours(ask("I-09", **{"peers": Peers(rentals=[rented()]), **given})) == expected


@pytest.mark.parametrize(
    ("spent", "expected"), [(None, []), (23_999.0, []), (24_000.0, ["yellow"]), (30_000.0, ["yellow"]), (30_000.5, ["orange"])]
)  # fmt: skip
def test_cost_of_the_year_near_and_over_the_norm(spent, expected):
    assert colours(ask("I-08", life=Life(running_cny=spent))) == expected


def test_repairs_out_of_line_are_told_once_a_year():
    car = replace(
        CAR, price=100_000.0, registered_on=date(2022, 11, 18)
    )  # half of it is left after four of eight years
    works = [
        Work(id=n, number="W", supplier="a", contracted=True, in_at=TEN, out_at=TEN + n * MINUTE, cost=15_000.0)
        for n in (1, 2, 3)
    ]
    assert ask("I-04", car=car, works=works[:1]) == []
    assert len(ask("I-04", car=car, works=works)) == 1


BOUGHT = figures_on(ROWS, on=date(2019, 5, 1), org_path="/1/", whole=False)


@pytest.mark.parametrize(
    ("car", "expected"),
    [
        (replace(CAR, price=120_000.0, displacement_ml=1_600), []),
        (replace(CAR, price=120_001.0), ["red"]),
        (replace(CAR, displacement_ml=1_601), ["red"]),
        (replace(CAR, price=180_000.0, energy="bev"), []),
        (replace(CAR, price=180_001.0, energy="bev"), ["red"]),
        (replace(CAR, price=150_000.0, displacement_ml=2_000, energy="phev"), []),
    ],
)
def test_the_standard_is_that_of_the_kind_of_energy_in_force_at_the_contract(car, expected):
    assert colours(ask("K-02", car=car, life=Life(figures_on_contract=BOUGHT))) == expected
    assert ask("K-02", car=car, life=Life(figures_on_contract=BOUGHT, special_approval=True)) == []
    before = figures_on(ROWS, on=date(2016, 5, 1), org_path="/1/", whole=False)
    assert ask("K-02", car=car, life=Life(figures_on_contract=before)) == []


def test_fillings_are_compared_with_those_of_the_other_vehicles():
    rows = [(car, TEN - DAY, 40.0) for car in (2, 3, 4, 5)] + [(1, TEN - n * HOUR, 40.0) for n in range(6)]
    small, large = assembly.fill_limits(rows, own_id=1, small_cny=50.0, large_cny=800.0)
    assert (small, large) == ({"2026-11": 1.0}, {"2026-11": 0.0})
    own = [fill(TEN - n * HOUR, 5.0, id=n) for n in range(6)]
    assert colours(ask("G-08", fills=own, peers=Peers(small_fills=small))) == ["yellow"]
    assert ask("G-08", fills=own[:3], peers=Peers(small_fills=small)) == []
    assert ask("G-08", fills=own, peers=Peers(small_fills={"2026-11": 6.0})) == []
    others = [(car, TEN - DAY, 400.0) for car in range(6, 12)]
    second = [(2, TEN - n * HOUR, 40.0) for n in range(6)]
    beside, _ = assembly.fill_limits([*rows, *second, *others], own_id=1, small_cny=50.0, large_cny=800.0)
    assert 1.0 < beside["2026-11"] < 6.0
    assert colours(ask("G-08", fills=own, peers=Peers(small_fills=beside))) == ["yellow"], (
        "one who does the same hides nobody"
    )
    alone = assembly.fill_limits(rows[1:], own_id=1, small_cny=50.0, large_cny=800.0)
    assert alone == ({}, {}), "three others are no measure"


def away_for_a_night(*, each_way_m, poi=None, until=10 * HOUR):
    """Out on a Saturday at 16:00, home on Sunday: what is known of it."""
    begin = SATURDAY + 6 * HOUR
    out = Trip(
        id=11, start_at=begin, end_at=begin + HOUR, best_m=each_way_m, gps_m=each_way_m, coverage=1.0, matches=[]
    )
    back = replace(out, id=12, start_at=begin + HOUR + until + 6 * HOUR, end_at=begin + until + 8 * HOUR)
    stay = Stay(start_at=out.end_at, end_at=back.start_at, lat=30.6, lon=119.8, home_m=50_000.0, pois=poi or ())
    return known(
        start=SATURDAY - 10 * HOUR, end=SATURDAY + 2 * DAY, now=SATURDAY + 2 * DAY, trips=[out, back], stays=[stay],
        away={11: Away(0.0, 50_000.0, 50_000.0), 12: Away(50_000.0, 0.0, 50_000.0)},
    )  # fmt: skip


def test_a_night_outside_on_a_day_off_counts_with_the_way_there_and_back():
    from fleetapp.findings.families import JUDGES

    def found(one):
        return colours(list(JUDGES["D-05"](one)))

    assert found(away_for_a_night(each_way_m=31_000)) == ["red"]
    assert found(away_for_a_night(each_way_m=30_000)) == []
    assert found(away_for_a_night(each_way_m=31_000, poi=(Poi("shop", "repair", 5.0, 0.9),))) == []
    ordered = away_for_a_night(each_way_m=31_000)
    stay = ordered.stays[0]
    work = Work(id=1, number="W", supplier="a", contracted=True, in_at=stay.start_at - HOUR, out_at=None)
    assert found(replace(ordered, works=[work])) == []
    assert found(replace(ordered, stays=[replace(stay, end_at=stay.start_at + 6 * HOUR)])) == [], (
        "gone before the night was long"
    )


def leg(trip_id, start, kind, **given):
    part = Part(
        id=trip_id,
        start_at=start,
        end_at=start + HOUR,
        order_id=7,
        kind=kind,
        distance_m=9_000.0,
        margin=1.0,
        score=0.5,
    )
    return trip(start, HOUR, id=trip_id, matches=[part], **given)


def test_the_way_home_of_a_sure_journey_is_not_asked_about_again():
    out, back = leg(21, TEN, "matched"), leg(22, TEN + 2 * HOUR, "weak")
    far, home = {21: Away(0.0, 9_000.0, 9_000.0)}, {21: Away(0.0, 0.0, 9_000.0)}
    spans = {"orders": [order()], "slips": {7: "S-7"}}

    def asked(first, away):
        seen = scene.ask(known(trips=[first, back], away={**away, 22: Away(9_000.0, 0.0, 9_000.0)}, **spans))
        return [one for one in seen.clues if isinstance(one, Clue) and one.rule == "A-02"]

    assert asked(out, far) == []
    assert len(asked(out, home)) == 1, "back at its place, another journey begins"
    assert len(asked(leg(21, TEN, "weak"), far)) == 2, "nothing was sure"


@pytest.mark.parametrize(
    ("from_m", "out_at", "expected"), [(9_000.0, TEN, []), (0.0, TEN, ["A-03"]), (9_000.0, TEN - HOUR, ["A-03"])]
)
def test_who_came_home_before_the_check_out_was_not_under_way_on_the_order(from_m, out_at, expected):
    """The end of a night elsewhere reaches into the order's window, and no more than that."""
    early = leg(31, TEN - 80 * MINUTE, "matched")
    one = known(
        trips=[early], away={31: Away(from_m, 0.0, 9_000.0)}, orders=[order(checked_out_at=out_at, returned_at=TEN + 3 * HOUR)],
        slips={7: "S-7"},
    )  # fmt: skip
    assert [clue.rule for clue in scene.ask(one).clues if clue.rule == "A-03"] == expected


@pytest.mark.parametrize(
    ("kind", "back_at", "expected"),
    [
        ("ambiguous", TEN - MINUTE, []),
        ("ambiguous", TEN, []),
        ("ambiguous", TEN + MINUTE, ["A-02"]),
        ("ambiguous", None, ["A-02"]),
        ("weak", TEN - MINUTE, ["A-02"]),
    ],
)
def test_a_duty_that_was_checked_in_before_is_no_rival_of_the_next(kind, back_at, expected):
    second = leg(41, TEN, kind)
    part = replace(
        second.matches[0], margin=0.05, candidates=[{"order_id": 7, "score": 0.9}, {"order_id": 6, "score": 0.85}]
    )
    first = order(order_id=6, slip="S-6", start_at=TEN - 3 * HOUR, end_at=TEN, returned_at=back_at)
    one = known(
        trips=[replace(second, matches=[part])], away={41: Away(9_000.0, 5_000.0, 9_000.0)}, orders=[first, order()],
        slips={6: "S-6", 7: "S-7"},
    )  # fmt: skip
    assert [clue.rule for clue in scene.ask(one).clues if clue.rule == "A-02"] == expected
