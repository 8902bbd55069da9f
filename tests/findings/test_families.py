"""Rules of the families at, below and above their figures, on facts written by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from fleetapp.demo.labelled.build import policy_rows
from fleetapp.findings.escalation import Earlier, Steps, escalated
from fleetapp.findings.families import JUDGES
from fleetapp.findings.inputs import ApprovedStop, OrderFacts
from fleetapp.findings.known import (
    Blank,
    Car,
    External,
    Fill,
    Known,
    Life,
    Paper,
    Part,
    Poi,
    Position,
    Reading,
    SealFacts,
    Signal,
    Stay,
    Ticket,
    Trip,
    Work,
)
from fleetapp.findings.rerun import changed_rows, difference
from fleetapp.findings.rules import Clue, Severity, Silence
from fleetapp.workdays.rules import Day, DayKind

ROWS = policy_rows()
TEN = datetime(2026, 11, 18, 2, 0, tzinfo=UTC)
"""Wednesday 10:00 at the office."""
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
HOME = (30.25, 120.16)
DAYS = {
    on: Day(on, DayKind.REST if on.weekday() >= 5 else DayKind.WORKDAY)
    for on in (date(2026, 6, 1) + timedelta(days=n) for n in range(220))
}
NATIONAL_DAY = date(2026, 10, 1)
DAYS[NATIONAL_DAY] = Day(NATIONAL_DAY, DayKind.HOLIDAY, "国庆节")


def known(**given):
    start = given.pop("start", TEN - 10 * HOUR)
    return Known(**{
        "car": Car(id=1, org_id=1, org_path="/1/", plate="浙A1", parking_id=1, tank_l=50.0, battery_kwh=20.0, fuel_grade="92", adcode="330100"),
        "start": start, "end": start + DAY, "now": start + DAY, "days": DAYS, "figure_rows": ROWS,
        "covered": dict.fromkeys(DAYS, 1.0), **given,
    })  # fmt: skip


def order(**given):
    return OrderFacts(**{
        "order_id": 7, "kind": "ordinary", "slip": "S-7", "start_at": TEN, "end_at": TEN + 3 * HOUR, "driver_user_id": 41,
        "stops": (ApprovedStop("yard", *HOME, 200), ApprovedStop("office", 30.30, 120.20, 200)), **given,
    })  # fmt: skip


def paper(**given):
    return Paper(**{
        "order_id": 7, "slip": "S-7", "kind": "ordinary", "purpose": "inspection", "state": "CLOSED", "start_at": TEN, "end_at": TEN + 3 * HOUR,
        "created_at": TEN - DAY, "applicant_id": 1, "filed_by_id": 1, "approver_id": 2, "driver_id": 3, "driver_user_id": 41, **given,
    })  # fmt: skip


def trip(start=TEN, length=HOUR, *, order_id=7, metres=12_000.0, **given):
    part = Part(
        id=1,
        start_at=start,
        end_at=start + length,
        order_id=order_id,
        kind="matched" if order_id else "unmatched",
        distance_m=metres,
        margin=1.0,
    )
    return Trip(**{
        "id": 3, "start_at": start, "end_at": start + length, "best_m": metres, "gps_m": metres, "coverage": 0.98, "matches": [part],
        "path": ((HOME[0], 30.30), (HOME[1], 120.20)), **given,
    })  # fmt: skip


def stay(kind="mall", minutes=60.0, *, at=TEN, confidence=0.9, **given):
    pois = (Poi(f"a {kind}", kind, 12.0, confidence),) if kind else ()
    return Stay(
        start_at=at,
        end_at=at + minutes * MINUTE,
        lat=given.pop("lat", 30.28),
        lon=given.pop("lon", 120.18),
        pois=pois,
        home_m=4_000.0,
        **given,
    )


def fill(at=TEN, litres=30.0, **given):
    return Fill(**{"id": 1, "kind": "fuel", "at": at, "quantity": litres, "amount": litres * 7.6, **given})


COMPLAINT = External(1, "complaint", TEN, "a hotel", *HOME)


def north(metres, later=timedelta()):
    """Return where the vehicle was so far from home, at ten or later."""
    return Position(TEN + later, HOME[0] + metres / 111_195, HOME[1])


def ask(rule, **given):
    return list(JUDGES[rule](known(**given)))


def colours(found):
    return [one.severity.value if isinstance(one, Clue) else one for one in found]


def limit(code):
    return next(row.figure.value for row in ROWS if row.code == code)


@pytest.mark.parametrize(
    ("rule", "given", "expected"),
    [
        ("A-04", {"papers": [paper(supplementary=True, start_at=TEN - 23 * HOUR, created_at=TEN)]}, []),
        ("A-04", {"papers": [paper(supplementary=True, start_at=TEN - 25 * HOUR, created_at=TEN)]}, ["yellow"]),
        ("A-05", {"papers": [paper()]}, []),
        ("A-05", {"papers": [paper(approver_id=1)]}, ["red"]),
        ("A-05", {"papers": [paper(approver_id=41)]}, ["red"]),
        ("A-06", {"papers": [paper()], "trips": [trip()]}, []),
        ("A-06", {"papers": [paper()]}, ["yellow"]),
        ("A-06", {"papers": [paper(expenses=20.0)]}, ["orange"]),
        ("A-06", {"papers": [paper()], "covered": {}}, [Silence.INSUFFICIENT_DATA]),
        ("A-07", {"papers": [paper(unapproved_changes=1)]}, ["orange"]),
        ("A-09", {"papers": [paper(passenger_count=4)]}, []),
        ("A-09", {"papers": [paper(passenger_count=5)]}, ["yellow"]),
        ("A-10", {"papers": [paper(route_m=150_000), paper(order_id=8, start_at=TEN + 4 * HOUR, end_at=TEN + 6 * HOUR, route_m=60_000)]}, ["yellow"]),
        ("A-10", {"papers": [paper(route_m=150_000), paper(order_id=8, start_at=TEN + 6 * HOUR, end_at=TEN + 7 * HOUR, route_m=60_000)]}, []),
        ("B-03", {"trips": [trip(TEN + 11 * HOUR, 14 * MINUTE, order_id=None, metres=1_900)]}, []),
        ("B-03", {"trips": [trip(TEN + 11 * HOUR, 14 * MINUTE, order_id=None, metres=2_000)]}, ["yellow"]),
        ("B-03", {"trips": [trip(TEN + 12 * HOUR, 30 * MINUTE, order_id=None)]}, ["orange"]),
        ("B-03", {"trips": [trip(TEN + 11 * HOUR, HOUR, order_id=None, coverage=0.5)]}, [Silence.INSUFFICIENT_DATA]),
        ("B-04", {"trips": [trip()], "seals": [SealFacts(id=1, start_on=date(2026, 11, 17), end_on=date(2026, 11, 20), state="SEALED", sealed_at=TEN - HOUR)]}, ["red"]),
        ("B-04", {"trips": [trip()], "seals": [SealFacts(id=1, start_on=date(2026, 11, 17), end_on=date(2026, 11, 20), state="UNSEALED", sealed_at=TEN - DAY, unsealed_at=TEN - HOUR)]}, []),
        ("C-05", {"stays": [stay("", 20)], "orders": [order()]}, ["yellow"]),
        ("C-05", {"stays": [stay("", 14)], "orders": [order()]}, []),
        ("C-05", {"stays": [stay("", 20, lat=30.30, lon=120.20)], "orders": [order()]}, []),
        ("C-05", {"stays": [stay("repair", 50)], "orders": [order()]}, []),
        ("D-01", {"stays": [stay("mall", 19)]}, []),
        ("D-01", {"stays": [stay("mall", 20)]}, ["yellow"]),
        ("D-01", {"stays": [stay("entertainment", 6)]}, ["red"]),
        ("D-01", {"stays": [stay("entertainment", 60, confidence=0.4)]}, ["yellow"]),
        ("D-01", {"stays": [stay("mall", 60, lat=30.30, lon=120.20)], "orders": [order()]}, []),
        ("D-01", {"stays": [stay("mall", 60)], "orders": [order(kind="emergency")]}, [Silence.EMERGENCY_ORDER]),
        ("D-01", {"stays": [stay("hotel", 50, at=TEN + 2 * HOUR)], "orders": [order(end_at=TEN + 8 * HOUR)]}, []),
        ("D-01", {"stays": [stay("school", 30)]}, []),
        ("E-05", {"externals": [External(1, "parking", TEN, "p", 30.40, 120.30)], "positions": [Position(TEN, *HOME)]}, ["orange"]),
        ("E-05", {"externals": [External(1, "parking", TEN, "p", *HOME)], "positions": [Position(TEN, *HOME)]}, []),
        ("J-09", {"externals": [COMPLAINT], "positions": [north(299)]}, ["orange"]),
        ("J-09", {"externals": [COMPLAINT], "positions": [north(299)], "orders": [order()]}, ["orange"]),
        ("J-09", {"externals": [COMPLAINT], "positions": [north(301)]}, []),
        ("J-09", {"externals": [COMPLAINT], "positions": [north(0, 15 * MINUTE)]}, ["orange"]),
        ("J-09", {"externals": [COMPLAINT], "positions": [north(0, 16 * MINUTE)]}, [Silence.INSUFFICIENT_DATA]),
        ("J-09", {"externals": [replace(COMPLAINT, kind="parking")], "positions": [north(0)]}, []),
        ("E-05", {"externals": [External(1, "parking", TEN, "p", *HOME)]}, [Silence.INSUFFICIENT_DATA]),
        ("F-01", {"blanks": [Blank(start_at=TEN, end_at=TEN + 40 * MINUTE, chord_m=9_000, moving_before=True)], "orders": [order(checked_out_at=TEN - HOUR)]}, ["orange"]),
        ("F-01", {"blanks": [Blank(start_at=TEN, end_at=TEN + 40 * MINUTE, chord_m=9_000, moving_before=True)]}, []),
        ("F-01", {"blanks": [Blank(start_at=TEN, end_at=TEN + 2 * HOUR, chord_m=10, moving_before=True, advanced_m=100)], "orders": [order(checked_out_at=TEN - HOUR)]}, []),
        ("F-03", {"signals": [Signal(kind="power", start_at=TEN, end_at=TEN + 5 * MINUTE)]}, ["orange"]),
        ("F-03", {"signals": [Signal(kind="power", start_at=TEN, end_at=TEN + MINUTE)]}, []),
        ("F-03", {"signals": [Signal(kind="power", start_at=TEN, end_at=TEN + HOUR)], "works": [Work(id=1, number="W", supplier="a", contracted=True, in_at=TEN - HOUR, out_at=TEN + 2 * HOUR)]}, [Silence.IN_SHOP]),
        ("G-02", {"fills": [fill(litres=52.5)]}, []),
        ("G-02", {"fills": [fill(litres=52.6)]}, ["orange"]),
        ("G-03", {"fills": [fill(litres=20.0), fill(TEN + HOUR, 20.0, id=2)]}, ["orange"]),
        ("G-03", {"fills": [fill(litres=40.0), fill(TEN + HOUR, 40.0, id=2)]}, ["red"]),
        ("G-03", {"fills": [fill(litres=20.0, odometer_m=0), fill(TEN + 3 * HOUR, 20.0, id=2, odometer_m=200_000)]}, []),
        ("G-04", {"fills": [fill()]}, ["orange"]),
        ("G-04", {"fills": [fill()], "trips": [trip()]}, []),
        ("G-05", {"fills": [fill(lat=30.40, lon=120.30)], "positions": [Position(TEN, *HOME)]}, ["red"]),
        ("G-05", {"fills": [fill(lat=30.251, lon=120.161)], "positions": [Position(TEN, *HOME)]}, []),
        ("G-06", {"fills": [fill(product="92号车用汽油")]}, []),
        ("G-06", {"fills": [fill(product="香烟")]}, ["orange"]),
        ("G-09", {"fills": [fill(card="1234", card_vehicle_id=2)]}, ["orange"]),
        ("G-11", {"fills": [fill(kind="charge", litres=23.1)]}, ["yellow"]),
        ("H-02", {"readings": [Reading(TEN, 1, 5_000), Reading(TEN + HOUR, 1, 4_000)]}, ["red"]),
        ("H-02", {"readings": [Reading(TEN, 1, 5_000), Reading(TEN + HOUR, 2, 0)]}, []),
        ("I-01", {"works": [Work(id=1, number="W", supplier="a", contracted=False, in_at=TEN, out_at=None)]}, ["orange"]),
        ("I-02", {"trips": [trip()], "works": [Work(id=1, number="W", supplier="a", contracted=True, in_at=TEN - HOUR, out_at=None)]}, ["red"]),
        ("J-02", {"trips": [trip()], "orders": [order(checked_out_at=TEN, returned_at=TEN + HOUR + 45 * MINUTE)]}, []),
        ("J-02", {"trips": [trip()], "orders": [order(checked_out_at=TEN, returned_at=TEN + HOUR + 46 * MINUTE)]}, ["orange"]),
        ("J-03", {"papers": [paper(checked_out_by=99)]}, ["orange"]),
        ("J-04", {"papers": [paper(licence="C1", licence_valid_to=date(2026, 11, 17))]}, ["red"]),
        ("J-04", {"papers": [paper(licence="C1", licence_valid_to=date(2026, 11, 20))]}, []),
        ("J-05", {"trips": [trip(length=4 * HOUR)]}, []),
        ("J-05", {"trips": [trip(length=4 * HOUR + MINUTE)]}, ["orange"]),
        ("J-05", {"trips": [trip(length=6 * HOUR + MINUTE)]}, ["red"]),
        ("J-06", {"signals": [Signal(kind="speed", start_at=TEN, end_at=TEN + MINUTE, value=132.0)]}, []),
        ("J-06", {"signals": [Signal(kind="speed", start_at=TEN, end_at=TEN + MINUTE, value=133.0)]}, ["yellow"]),
        ("J-06", {"signals": [Signal(kind="speed", start_at=TEN, end_at=TEN + MINUTE, value=180.0)]}, ["red"]),
        ("J-08", {"tickets": [Ticket(1, TEN, "x", TEN + DAY)]}, ["orange"]),
        ("J-08", {"tickets": [Ticket(1, TEN, "x", TEN + DAY)], "orders": [order()]}, []),
        ("K-01", {"life": Life(quota=2, active=3)}, ["red"]),
        ("K-01", {"life": Life(quota=3, active=3)}, []),
        ("K-06", {"life": Life(owner="a", unit="b")}, ["red"]),
        ("K-09", {"life": Life(papers_until={"inspection": date(2026, 11, 18)})}, ["orange"]),
        ("K-12", {"life": Life(deal_on=date(2026, 10, 19))}, []),
        ("K-12", {"life": Life(deal_on=date(2026, 10, 18))}, ["orange"]),
    ],
)  # fmt: skip
def test_a_rule_at_its_figure(rule, given, expected):
    found = ask(rule, **given)
    assert colours(found) == expected
    for one in found:
        if isinstance(one, Clue):
            assert one.rule == rule
            assert one.evidence_for[0]["code"] == "saw"
            assert one.evidence_against


def short_stops(number, *, hour=0, **given):
    return [
        stay("residential", 1.0, at=TEN - 2 * HOUR - n * DAY + hour * HOUR, **given) for n in reversed(range(number))
    ]


def test_short_stops_become_a_pattern_and_then_a_grave_one():
    least, grave = int(limit("D-02.min_count")), int(limit("D-02.red_count"))
    assert ask("D-02", pauses=short_stops(least - 1)) == []
    assert colours(ask("D-02", pauses=short_stops(least))) == ["orange"]
    assert colours(ask("D-02", pauses=short_stops(grave))) == ["red"]


@pytest.mark.parametrize(
    "innocent", [{"crawling": True}, {"junction_m": 12.0}, {"hour": 3}], ids=["jam", "junction", "midday"]
)
def test_jams_junctions_and_other_hours_are_no_pattern(innocent):
    assert ask("D-02", pauses=short_stops(10, **innocent)) == []


def test_a_stop_that_orders_approve_is_no_pattern():
    approved = order(stops=(ApprovedStop("x", 30.28, 120.18, 200),))
    assert ask("D-02", pauses=short_stops(10), orders=[approved]) == []


def test_repetition_raises_a_colour_once_and_unsure_clues_neither_count_nor_rise():
    [one] = ask("D-01", stays=[stay("mall", 60)])
    steps = Steps(3, 30, 2, 90)
    like = [Earlier(f"D-01|1|{n}", "D", TEN - n * DAY, Severity.YELLOW) for n in (1, 2)]
    assert escalated([one], like[:1], steps) == [one]
    [raised] = escalated([one], like, steps)
    assert raised.severity is Severity.ORANGE
    assert raised.evidence_for[-1]["code"] == "repeated"
    assert escalated([one], [replace(like[0], at=TEN - 31 * DAY), like[1]], steps) == [one]
    unsure = replace(one, confidence=0.4)
    assert escalated([unsure], like, steps) == [unsure]


def test_other_figures_give_another_answer_and_the_difference_names_it():
    facts = known(stays=[stay("mall", 15), stay("mall", 25, at=TEN + 4 * HOUR)])
    before = list(JUDGES["D-01"](facts))
    after = list(JUDGES["D-01"](replace(facts, figure_rows=changed_rows(ROWS, {"D-01.mall_min": 10}), cache={})))
    found = difference(before, after)
    assert (len(found.new), len(found.gone), found.same) == (1, 0, 1)
    back = difference(after, before)
    assert (len(back.new), len(back.gone)) == (0, 1)
