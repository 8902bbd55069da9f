"""Every hard rule refused next to the same plan allowed; the two differ in one thing."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from dispatch import Assignment, Lending, Params, Reserve, Span, Stop, check, check_locked
from dispatch.model import EMERGENCY
from tests.dispatch.instances import DAY, HOUR_S, changed, driver, instance, plan, request, served, usual, vehicle

HERE = instance()


def codes(problem, made, **given):
    return sorted({v.code for v in check(problem, made, **given)})


def test_usual_plan_passes():
    assert check(HERE, usual(HERE)) == []


@pytest.mark.parametrize(
    ("code", "name", "broken", "sound"),
    [
        ("seats", "morning", {"passengers": 5}, {"passengers": 4}),
        ("purpose", "sedan-1", {"purposes": frozenset({"training"})}, {"purposes": frozenset({"meeting", "training"})}),
        ("needs", "morning", {"needs": frozenset({"child_seat"})}, {"needs": frozenset()}),
        ("lending", "morning", {"owner_org": "district"}, {"owner_org": "city"}),
        (
            "start_window",
            "morning",
            {"earliest_s": 32_401, "latest_s": 32_500},
            {"earliest_s": 32_000, "latest_s": 32_400},
        ),
        ("too_short", "morning", {"duration_s": 1_801}, {"duration_s": 1_800}),
        # Out at 9:00 - 5 min buffer - 5 min drive; back at 10:30 + 5 + 5.
        (
            "vehicle_unavailable",
            "sedan-1",
            {"available": (Span(31_801, 38_400),)},
            {"available": (Span(31_800, 38_400),)},
        ),
        (
            "vehicle_unavailable",
            "sedan-1",
            {"available": (Span(31_800, 38_399),)},
            {"available": (Span(31_800, 38_400),)},
        ),
        ("driver_off_duty", "driver-1", {"on_duty": (Span(31_801, 40_000),)}, {"on_duty": (Span(31_800, 40_000),)}),
        ("driver_off_duty", "driver-1", {"yard": "hall"}, {"yard": "yard", "on_duty": (Span(31_800, 38_400),)}),
        ("driver_shift", "driver-1", {"shift_max_s": 6_599}, {"shift_max_s": 6_600}),
        ("driver_licence", "driver-1", {"may_drive": frozenset({"suv"})}, {"may_drive": frozenset({"sedan"})}),
    ],
)
def test_rule_on_one_value(code, name, broken, sound):
    made = usual(HERE)
    base = changed(HERE, "driver-1", on_duty=(Span(31_800, 38_400),)) if "yard" in broken else HERE
    assert check(changed(base, name, **sound), made) == []
    assert codes(changed(base, name, **broken), made) == [code]


def test_upgrade_is_allowed_and_downgrade_refused():
    for wanted, given, found in (
        ("sedan", "suv", []),
        ("sedan", "mpv", []),
        ("mpv", "van", []),
        ("mpv", "sedan", ["vehicle_class"]),
        ("van", "mpv", ["vehicle_class"]),
    ):
        problem = instance([request(vehicle_class=wanted)], [vehicle(vehicle_class=given)])
        assert codes(problem, usual(problem)) == found, (wanted, given)


def test_lending_rule_opens_vehicles_to_another_organisation():
    problem = changed(HERE, "morning", owner_org="district")
    for rule, found in (
        (Lending("city", "district"), []),
        (Lending("city", "*"), []),
        (Lending("city", "county"), ["lending"]),
        (Lending("district", "city"), ["lending"]),
    ):
        assert codes(replace(problem, lending=(rule,)), usual(problem)) == found


def test_secret_request_needs_cleared_vehicle_and_driver():
    tags = frozenset({"secret"})
    problem = changed(HERE, "morning", secret=True)
    cleared = changed(changed(problem, "sedan-1", tags=tags), "driver-1", tags=tags)
    assert check(cleared, usual(cleared)) == []
    assert codes(changed(cleared, "sedan-1", tags=frozenset()), usual(cleared)) == ["secret"]
    assert codes(changed(cleared, "driver-1", tags=frozenset()), usual(cleared)) == ["driver_secret"]


def test_secret_request_is_never_rented():
    for secret, found in ((False, []), (True, ["rental_not_allowed"])):
        problem = instance([request(secret=secret, rental_fen=100)])
        assert codes(problem, plan(problem, rented=["morning"])) == found


def test_class_without_rental_price_is_not_rented():
    for wanted, found in (("pickup", []), ("special", ["rental_not_allowed"])):
        problem = instance([request(vehicle_class=wanted)])
        assert codes(problem, plan(problem, rented=["morning"])) == found


def test_vehicle_needs_time_for_buffers_and_the_way_between():
    # Free at 9:30 + 5 min, 10 min from hall to office, 5 min before: 9:50.
    for start_s, found in ((35_400, []), (35_399, ["vehicle_overlap"])):
        problem = instance([request(), request("next", ("office", "hall"), start_s / HOUR_S)])
        assert codes(problem, usual(problem)) == found


def test_one_driver_cannot_be_in_two_vehicles():
    problem = instance([request(), request("also", start_h=9.5)])
    apart = plan(problem, served(problem, "morning"), served(problem, "also", "sedan-2", "driver-2"))
    both = plan(problem, served(problem, "morning"), served(problem, "also", "sedan-2", "driver-1"))
    assert check(problem, apart) == []
    assert codes(problem, both) == ["driver_overlap"]


def test_driver_needs_time_from_yard_to_yard():
    # Back at the yard 9:50; the other yard is 5 km away and its vehicle leaves at 10:00 - 5 min - 10 min.
    for yard, found in (("yard", []), ("hall", ["driver_overlap"])):
        problem = instance(
            [request(), request("next", ("office", "hall"), 10.1)], [vehicle(), vehicle("sedan-2", yard=yard)]
        )
        made = plan(problem, served(problem, "morning"), served(problem, "next", "sedan-2"))
        assert codes(problem, made) == found


def test_drivers_change_only_at_the_yard():
    for start_h, found in ((10.0, ["driver_change"]), (14.0, [])):
        problem = instance([request(), request("later", ("hall", "office"), start_h)])
        made = plan(problem, served(problem, "morning"), served(problem, "later", driver_id="driver-2"))
        assert codes(problem, made) == found


def test_driver_must_be_named_where_there_are_drivers():
    made = plan(HERE, served(HERE, "morning", driver_id=None), served(HERE, "noon", driver_id=None))
    assert codes(HERE, made) == ["driver_missing"]
    assert check(replace(HERE, drivers=()), made) == []


def test_licence_of_the_driver_covers_the_vehicle():
    problem = instance([request(vehicle_class="minibus")], [vehicle(vehicle_class="minibus", seats=15)])
    for licence, found in (("C1", ["driver_licence"]), ("B1", []), ("A1", [])):
        assert codes(changed(problem, "driver-1", licence=licence), usual(problem)) == found


def test_four_hours_of_driving_need_twenty_minutes_of_rest():
    # 5 km out, 195 km there, 5 min buffers at most: 200 min; then 195 + 5 km back.
    for rest_s, found in ((1_199, ["driver_rest"]), (1_200, [])):
        problem = instance([request(route=("office", Stop("far", rest_s), "office"))])
        assert codes(problem, usual(problem)) == found
    there_and_back = instance([request(route=("office", "far", "office"))])
    assert codes(there_and_back, usual(there_and_back), params=Params(drive_max_s=24_000)) == []
    assert codes(there_and_back, usual(there_and_back), params=Params(drive_max_s=23_999)) == ["driver_rest"]


def test_driving_counts_on_over_two_vehicles_without_rest():
    # Two outings of 80 min, the first back at 10:15; the second leaves 5 min before its start.
    trip = {"route": ("office", "depot", "office"), "duration_s": 0}
    for start_h, found in ((10 + 39 / 60, ["driver_rest"]), (10 + 40 / 60, [])):
        problem = instance(
            [request(start_h=9.0, **trip), request("again", start_h=start_h, **trip)], before_s=0, after_s=0
        )
        made = plan(problem, served(problem, "morning"), served(problem, "again", "sedan-2"))
        assert codes(problem, made, params=Params(drive_max_s=2 * 4_800 - 1)) == found


def test_electric_vehicle_keeps_a_fifth_of_its_range():
    # Yard - office - hall - yard is 5 + 10 + 15 km, times 1.2 = 36 km.
    problem = instance([request()], [vehicle(energy="bev", range_m=72_000, soc=0.5)])
    assert check(problem, usual(problem)) == []
    assert codes(changed(problem, "sedan-1", soc=0.4999), usual(problem)) == ["range"]


def test_electric_vehicle_charges_at_the_yard():
    # 36 km left of which 30 are driven; 30 km more for the second outing take 30 min at 60 km/h of charging.
    for gap_s, per_h, found in ((1_799, 60_000, ["range"]), (1_800, 60_000, []), (1_800, None, [])):
        vehicles = [vehicle(energy="bev", range_m=72_000, soc=0.5, charge_m_per_h=per_h)]
        back_s = 9 * HOUR_S + 1_800 + 300 + 900
        start_s = back_s + gap_s + 300 + 300
        problem = instance([request(), request("again", start_h=start_s / HOUR_S)], vehicles)
        assert codes(problem, usual(problem)) == found


def test_reserve_is_kept_except_for_emergencies():
    reserve = Reserve("yard", "sedan", Span(8 * HOUR_S, 10 * HOUR_S), 1)
    problem = instance([request(), request("also", start_h=9.5)], reserves=(reserve,))
    both = plan(problem, served(problem, "morning"), served(problem, "also", "sedan-2", "driver-2"))
    assert codes(problem, both) == ["reserve"]
    assert check(changed(problem, "also", priority=EMERGENCY), both) == []
    assert check(replace(problem, reserves=(replace(reserve, span=Span(11 * HOUR_S, 12 * HOUR_S)),)), both) == []
    one = plan(problem, served(problem, "morning"), rented=["also"])
    assert check(problem, one) == []


def test_vehicle_that_becomes_unavailable_counts_against_the_reserve():
    reserve = Reserve("yard", "sedan", Span(0, 24 * HOUR_S), 1)
    problem = instance([request()], reserves=(reserve,))
    assert check(problem, usual(problem)) == []
    away = changed(problem, "sedan-2", available=(Span(0, 9 * HOUR_S),))
    assert codes(away, usual(problem)) == ["reserve"]


def test_locked_assignment_is_kept():
    kept = served(HERE, "morning", "sedan-2", "driver-2")
    follows = plan(HERE, kept, served(HERE, "noon"))
    assert check(HERE, follows, locked=[kept]) == []
    assert codes(HERE, usual(HERE), locked=[kept]) == ["locked_moved"]


def test_locked_assignments_are_judged_by_themselves():
    assert check_locked(HERE, [served(HERE, "morning")]) == []
    late = served(HERE, "morning", start_s=9 * HOUR_S + 1)
    assert [v.code for v in check_locked(HERE, [late])] == ["start_window"]


def test_every_request_occurs_once():
    assert codes(HERE, plan(HERE, served(HERE, "morning"))) == ["request_missing"]
    assert codes(HERE, plan(HERE, *usual(HERE).assignments, rented=["noon"])) == ["request_twice"]
    assert codes(HERE, plan(HERE, served(HERE, "morning"), unassigned={"noon": "cancelled"})) == []


def test_unknown_ids_are_named_and_do_not_crash():
    for values, code in (
        ({"request_id": "nobody's"}, "unknown_request"),
        ({"vehicle_id": "sedan-9"}, "unknown_vehicle"),
        ({"driver_id": "driver-9"}, "unknown_driver"),
    ):
        made = usual(HERE)
        made = replace(made, assignments=(replace(made.assignments[0], **values), *made.assignments[1:]))
        found = {v.code for v in check(HERE, made)}
        assert code in found
        assert len([c for c in found if c.startswith("unknown")]) == 1
    for strange in ({"rented": ("ghost",)}, {"unassigned": {"ghost": "cancelled"}}):
        assert codes(HERE, replace(usual(HERE), **strange)) == ["unknown_request"]


def test_cost_and_bound_of_a_plan_must_be_true():
    made = usual(HERE)
    assert codes(HERE, replace(made, cost_fen=made.cost_fen + 1)) == ["cost_mismatch"]
    assert codes(HERE, replace(made, bound_fen=made.cost_fen + 1)) == ["bound_above_cost"]
    assert codes(HERE, replace(made, bound_fen=made.cost_fen)) == []


def test_late_trip_may_last_longer_than_planned():
    made = usual(HERE)
    first = replace(made.assignments[0], end_s=made.assignments[0].end_s + 60)
    assert check(HERE, plan(HERE, first, made.assignments[1])) == []


def test_violation_carries_its_figures():
    made = usual(HERE)
    [found] = check(changed(HERE, "morning", passengers=5), made)
    assert (found.request_id, found.vehicle_id, dict(found.detail)) == (
        "morning",
        "sedan-1",
        {"passengers": 5, "seats": 4},
    )


def test_instance_with_other_availability_spans_uses_the_right_one():
    problem = changed(HERE, "sedan-1", available=(Span(0, 7 * HOUR_S), Span(8 * HOUR_S, 12 * HOUR_S)))
    assert check(problem, usual(problem)) == []
    assert DAY[0].holds(0, 24 * HOUR_S)


@pytest.mark.parametrize(
    "name",
    [
        "check", "costs", "route", "ride", "index", "explain", "trial", "remedies", "model", "params", "bounds", "travel",
        "plan", "tariff",
    ],
)  # fmt: skip
def test_judge_shares_nothing_with_the_solvers(name):
    tree = ast.parse((Path(__file__).parents[2] / "dispatch" / f"{name}.py").read_text(encoding="utf-8"))
    used = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    ours = {m for m in used if m.startswith(("dispatch", "ortools"))}
    judged = ["bounds", "travel", "plan", "model", "params", "tariff", "index", "ride", "route", "costs", "check"]
    assert ours <= {f"dispatch.{m}" for m in [*judged, "trial", "explain"]}


def test_driver_without_duty_needs_no_shift():
    problem = instance(drivers=[driver(), driver("idle", shift_max_s=600)])
    made = plan(
        problem, *(Assignment(a.request_id, "sedan-1", "driver-1", a.start_s, a.end_s) for a in usual(HERE).assignments)
    )
    assert check(problem, made) == []
