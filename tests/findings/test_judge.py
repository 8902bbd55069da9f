"""Every rule at, just below and just above its thresholds; what exempts; how sure a clue may be."""

import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from fleetapp.findings import judge
from fleetapp.findings.inputs import DayUse, OrderFacts, OrderUse, Outing, Overnight, WeakPart
from fleetapp.findings.rules import FIGURES, SLA, Clue, Figure, Severity, Silence
from fleetapp.workdays.rules import Day, DayKind

TEN = datetime(2026, 11, 18, 2, 0, tzinfo=UTC)
"""Wednesday 10:00 at the office."""
WORKDAY = Day(on=date(2026, 11, 18), kind=DayKind.WORKDAY, name="", known=True)
SATURDAY = Day(on=date(2026, 11, 21), kind=DayKind.REST, name="", known=True)
NATIONAL_DAY = Day(on=date(2026, 10, 1), kind=DayKind.HOLIDAY, name="国庆节", known=True)
MINUTE = timedelta(minutes=1)


def _shipped() -> dict[str, Figure]:
    rows = tomllib.loads((Path(__file__).parents[2] / "config" / "policy.toml").read_text(encoding="utf-8"))
    found = {}
    for code in (*FIGURES, *SLA.values()):
        row = rows[code][-1] if isinstance(rows[code], list) else rows[code]
        found[code] = Figure(float(row["value"]), row["unit"], row["valid_from"], row["source"], row.get("article"))
    return found


FIGURES_SHIPPED = _shipped()


def figures(**changed: float) -> dict[str, Figure]:
    """Return the shipped figures with some changed: ``A_01_min_km=2`` stands for ``A-01.min_km``."""
    codes = {code.replace("-", "_").replace(".", "_"): code for code in FIGURES_SHIPPED}
    return FIGURES_SHIPPED | {
        codes[name]: replace(FIGURES_SHIPPED[codes[name]], value=value) for name, value in changed.items()
    }


def order(**given) -> OrderFacts:
    return OrderFacts(**{
        "order_id": 7, "kind": "ordinary", "slip": "S-7", "start_at": TEN, "end_at": TEN + timedelta(hours=3),
        "driver_user_id": 41, **given,
    })  # fmt: skip


def outing(**given) -> Outing:
    return Outing(**{
        "vehicle_id": 1, "trip_ids": (3,), "start_at": TEN, "end_at": TEN + timedelta(minutes=30), "distance_m": 8_000.0,
        "coverage": 0.95, "day": WORKDAY, "from_m": 0.0, "to_m": 0.0, "farthest_m": 6_000.0, **given,
    })  # fmt: skip


def codes(lines) -> set[str]:
    return {line["code"] for line in lines}


# ---- A-01 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Severity.ORANGE),
        ({"distance_m": 500.0, "from_m": None, "farthest_m": None}, None),
        ({"distance_m": 500.1, "from_m": None, "farthest_m": None}, Severity.ORANGE),
        ({"distance_m": 20_000.0}, Severity.ORANGE),
        ({"distance_m": 20_000.1}, Severity.RED),
        ({"day": SATURDAY}, Severity.RED),
        ({"day": NATIONAL_DAY}, Severity.RED),
        ({"day": replace(SATURDAY, known=False)}, Severity.ORANGE),
        ({"start_at": datetime(2026, 11, 18, 13, 20, tzinfo=UTC), "end_at": datetime(2026, 11, 18, 14, 0, tzinfo=UTC)}, Severity.ORANGE),
        ({"start_at": datetime(2026, 11, 18, 13, 20, tzinfo=UTC), "end_at": datetime(2026, 11, 18, 14, 1, tzinfo=UTC)}, Severity.RED),
        ({"start_at": datetime(2026, 11, 17, 21, 59, tzinfo=UTC), "end_at": datetime(2026, 11, 17, 22, 30, tzinfo=UTC)}, Severity.RED),
        ({"coverage": 0.6}, Severity.ORANGE),
        ({"coverage": 0.59}, Silence.INSUFFICIENT_DATA),
    ],
)  # fmt: skip
def test_a_trip_without_an_order(given, expected):
    found = judge.trip_without_order(outing(**given), FIGURES_SHIPPED)
    if isinstance(found, Clue):
        assert found.severity is expected
        assert found.evidence_for
        assert found.evidence_against
        assert found.params["figures"]["A-01.min_km"]["source"]
    else:
        assert found is expected


def test_a_changed_figure_changes_the_judgement():
    short = outing(distance_m=900.0, from_m=None, farthest_m=None)
    assert isinstance(judge.trip_without_order(short, figures(A_01_min_km=0.8)), Clue)
    assert judge.trip_without_order(short, figures(A_01_min_km=0.9)) is None


def test_the_driver_of_an_order_near_in_time_is_asked_and_the_candidate_speaks_against():
    near = order(start_at=TEN + timedelta(hours=4, minutes=30), end_at=TEN + timedelta(hours=6))
    found = judge.trip_without_order(outing(nearest=near, best_score=0.31, best_slip="S-7"), FIGURES_SHIPPED)
    assert (found.concerned_id, found.confidence) == (41, pytest.approx(0.95))
    assert {"candidate", "order_same_day"} <= codes(found.evidence_against)
    far = judge.trip_without_order(outing(nearest=replace(near, start_at=TEN + timedelta(hours=5))), FIGURES_SHIPPED)
    assert far.concerned_id is None


def test_a_score_close_to_the_threshold_makes_an_unsure_clue_which_is_yellow_at_most():
    weak = FIGURES_SHIPPED["match.weak"].value
    sure = judge.trip_without_order(outing(best_score=weak - 0.10, best_slip="S-7"), FIGURES_SHIPPED)
    unsure = judge.trip_without_order(outing(best_score=weak, best_slip="S-7", coverage=0.95), FIGURES_SHIPPED)
    assert sure.confidence == pytest.approx(0.95)
    assert unsure.confidence == pytest.approx(0.5)
    assert unsure.severity is Severity.ORANGE
    assert judge.trip_without_order(outing(coverage=0.6), FIGURES_SHIPPED).confidence == pytest.approx(0.6)


# ---- E-01 -------------------------------------------------------------------------------------------------------------


def near_home(**given) -> Outing:
    return outing(**{"distance_m": 400.0, "farthest_m": 120.0, **given})


def test_a_short_departure_is_an_early_warning_and_not_a_trip_without_order():
    found = judge.left_designated_place(near_home(), FIGURES_SHIPPED)
    assert (found.rule, found.severity) == ("E-01", Severity.YELLOW)
    assert judge.trip_without_order(near_home(), FIGURES_SHIPPED) is None
    buffer_m = FIGURES_SHIPPED["E-01.buffer_m"].value
    assert judge.left_designated_place(near_home(farthest_m=buffer_m), FIGURES_SHIPPED) is None
    assert isinstance(judge.left_designated_place(near_home(farthest_m=buffer_m + 0.1), FIGURES_SHIPPED), Clue)
    near_m = FIGURES_SHIPPED["E-01.near_km"].value * 1000
    assert isinstance(judge.left_designated_place(near_home(farthest_m=near_m), FIGURES_SHIPPED), Clue)
    assert judge.left_designated_place(near_home(farthest_m=near_m + 0.1), FIGURES_SHIPPED) is None
    assert isinstance(judge.trip_without_order(near_home(farthest_m=near_m + 0.1), FIGURES_SHIPPED), Clue)


@pytest.mark.parametrize(("minutes_before", "raised"), [(10, False), (11, True)])
def test_an_order_about_to_begin_explains_a_departure(minutes_before, raised):
    soon = order(start_at=TEN + minutes_before * MINUTE, end_at=TEN + timedelta(hours=2))
    found = judge.left_designated_place(near_home(nearest=soon), figures(E_01_grace_min=10))
    assert (found is Silence.ORDER_IN_FORCE) is not raised
    assert isinstance(found, Clue) is raised


def test_a_departure_on_a_rest_day_or_at_night_is_orange():
    assert judge.left_designated_place(near_home(day=SATURDAY), FIGURES_SHIPPED).severity is Severity.ORANGE
    late = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
    night = judge.left_designated_place(near_home(start_at=late, end_at=late + 10 * MINUTE), FIGURES_SHIPPED)
    assert night.severity is Severity.ORANGE


# ---- A-02, A-03 ---------------------------------------------------------------------------------------------------------


def weak(**given) -> WeakPart:
    return WeakPart(**{
        "vehicle_id": 1, "trip_id": 3, "start_at": TEN, "end_at": TEN + timedelta(hours=1), "order": order(), "kind": "weak",
        "score": 0.5, "parts": {"time": 0.4, "dest": 0.0, "orig": 1.0, "driver": 0.5, "events": 0.5}, "margin": 1.0,
        "rival_slip": None, "coverage": 0.9, "distance_m": 5000.0, **given,
    })  # fmt: skip


def test_a_weak_match_asks_a_person_and_names_what_does_not_fit():
    found = judge.weak_match(weak())
    assert (found.severity, found.concerned_id, found.order_id) == (Severity.YELLOW, 41, 7)
    assert codes(found.evidence_for) == {"low_time", "low_dest"}
    rival = judge.weak_match(weak(kind="ambiguous", rival_slip="S-8", margin=0.02))
    assert "rival" in codes(rival.evidence_for)
    assert judge.weak_match(weak(kind="matched")) is None
    assert judge.weak_match(weak(coverage=0.59)) is Silence.INSUFFICIENT_DATA
    assert judge.weak_match(weak(order=order(kind="emergency"))) is Silence.EMERGENCY_ORDER
    assert judge.weak_match(weak(order=order(kind="service"))) is Silence.SERVICE_ORDER


def use(early_min: float = 0.0, late_min: float = 0.0, **given) -> OrderUse:
    one = given.pop("order", order())
    return OrderUse(**{
        "vehicle_id": 1, "order": one, "out_at": one.start_at - early_min * MINUTE, "back_at": one.end_at + late_min * MINUTE,
        "trip_ids": (3,), "distance_m": 9000.0, "coverage": 0.9, "margin": 1.0, **given,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("early_min", "late_min", "expected"),
    [
        (30, 0, None), (30.1, 0, Severity.YELLOW), (0, 59.9, None), (0, 60, Severity.YELLOW), (0, 239.9, Severity.YELLOW),
        (0, 240, Severity.ORANGE), (45, 300, Severity.ORANGE),
    ],
)  # fmt: skip
def test_use_outside_the_approved_time(early_min, late_min, expected):
    found = judge.outside_approved_time(use(early_min, late_min), FIGURES_SHIPPED)
    assert (found.severity if found else None) is expected


def test_a_return_after_midnight_is_orange_however_short():
    evening = order(
        start_at=datetime(2026, 11, 18, 11, 0, tzinfo=UTC), end_at=datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
    )
    assert judge.outside_approved_time(use(0, 59, order=evening), FIGURES_SHIPPED) is None
    found = judge.outside_approved_time(use(0, 61, order=evening), FIGURES_SHIPPED)
    assert (found.severity, "past_midnight" in codes(found.evidence_for)) == (Severity.ORANGE, True)


def test_what_exempts_from_the_approved_time():
    late = {"late_min": 300}
    assert (
        judge.outside_approved_time(use(order=order(kind="emergency"), **late), FIGURES_SHIPPED)
        is Silence.EMERGENCY_ORDER
    )
    assert (
        judge.outside_approved_time(use(order=order(kind="service"), **late), FIGURES_SHIPPED) is Silence.SERVICE_ORDER
    )
    assert judge.outside_approved_time(use(coverage=0.5, **late), FIGURES_SHIPPED) is Silence.INSUFFICIENT_DATA


# ---- B-01, B-02 ---------------------------------------------------------------------------------------------------------


def day_use(day: Day, **given) -> DayUse:
    return DayUse(**{
        "vehicle_id": 1, "day": day, "start_at": TEN, "end_at": TEN + timedelta(hours=1), "trip_ids": (3,), "distance_m": 4000.0,
        "coverage": 0.9, **given,
    })  # fmt: skip


def test_use_on_a_holiday_is_red_without_and_orange_with_an_ordinary_order():
    assert judge.holiday_use(day_use(NATIONAL_DAY), FIGURES_SHIPPED).severity is Severity.RED
    assert judge.holiday_use(day_use(NATIONAL_DAY, order=order()), FIGURES_SHIPPED).severity is Severity.ORANGE
    exempt = judge.holiday_use(day_use(NATIONAL_DAY, order=order(kind="emergency")), FIGURES_SHIPPED)
    assert exempt is Silence.EMERGENCY_ORDER
    assert judge.holiday_use(day_use(NATIONAL_DAY, distance_m=999.9), FIGURES_SHIPPED) is None
    assert isinstance(judge.holiday_use(day_use(NATIONAL_DAY, distance_m=1000.0), FIGURES_SHIPPED), Clue)
    assert judge.holiday_use(day_use(SATURDAY), FIGURES_SHIPPED) is None


def test_use_on_a_rest_day_is_ordinary_with_an_order_and_unsure_without_the_years_notice():
    assert judge.rest_day_use(day_use(SATURDAY), FIGURES_SHIPPED).severity is Severity.ORANGE
    assert judge.rest_day_use(day_use(SATURDAY, order=order()), FIGURES_SHIPPED) is Silence.ORDER_IN_FORCE
    unknown = judge.rest_day_use(day_use(replace(SATURDAY, known=False)), FIGURES_SHIPPED)
    assert (unknown.severity, "calendar_unknown" in codes(unknown.evidence_against)) == (Severity.YELLOW, True)
    make_up = Day(on=date(2026, 9, 20), kind=DayKind.WORKDAY, name="国庆节调休", known=True)
    assert judge.rest_day_use(day_use(make_up), FIGURES_SHIPPED) is None
    assert judge.holiday_use(day_use(make_up), FIGURES_SHIPPED) is None


# ---- E-02 -------------------------------------------------------------------------------------------------------------

TEN_AT_NIGHT = datetime(2026, 11, 18, 14, 0, tzinfo=UTC)


def night(**given) -> Overnight:
    return Overnight(**{
        "vehicle_id": 1, "on": date(2026, 11, 18), "at": TEN_AT_NIGHT, "since_at": TEN_AT_NIGHT - timedelta(hours=2), "until_at": None,
        "away_m": 4000.0, "silent_min": 5.0, "trip_id": 3, "place": "路边", "day": WORKDAY, **given,
    })  # fmt: skip


def test_a_vehicle_away_at_night():
    found = judge.not_back_overnight(night(), FIGURES_SHIPPED)
    assert (found.rule, found.severity, found.confidence) == ("E-02", Severity.ORANGE, 1.0)
    assert judge.not_back_overnight(night(away_m=judge.HOME_REACH_M), FIGURES_SHIPPED) is None
    assert judge.not_back_overnight(night(silent_min=judge.BLIND_MIN + 1), FIGURES_SHIPPED) is Silence.INSUFFICIENT_DATA
    unsure = judge.not_back_overnight(night(silent_min=judge.SILENT_MIN + 1), FIGURES_SHIPPED)
    assert "position_inferred" in codes(unsure.evidence_against)


@pytest.mark.parametrize(("hours_over", "silent"), [(-1, True), (1.9, True), (2.1, False)])
def test_an_order_explains_a_night_away_until_two_hours_after_its_end(hours_over, silent):
    end_at = TEN_AT_NIGHT - timedelta(hours=hours_over)
    found = judge.not_back_overnight(night(orders=[order(start_at=TEN, end_at=end_at)]), FIGURES_SHIPPED)
    assert (found is Silence.ORDER_IN_FORCE) is silent
    if not silent:
        assert (found.order_id, found.concerned_id) == (7, 41)
