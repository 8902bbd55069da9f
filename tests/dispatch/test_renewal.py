"""Renewal plans: never worse than proven, the bound never above the true optimum, targets that cannot hold are named."""

from dataclasses import replace
from itertools import product
from math import prod

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from dispatch import InvalidModel
from dispatch.renewal import Lot, Option, RenewalPlan, RenewalProblem, Target, check, solve
from dispatch.renewal.check import plan_cost_fen

MILLION = 100_000_000
OPTIONS = (
    Option(category="YJBZ", energy="petrol", price_fen=16_000_000, upkeep_fen=500_000, per_km_fen=60.0),
    Option(category="YJBZ", energy="bev", price_fen=17_500_000, upkeep_fen=400_000, per_km_fen=15.0),
)
PER_KM = {"petrol": 70.0, "bev": 16.0}


def lot(name="old", *, unit="a", energy="petrol", age=9, count=1, km=15_000, upkeep_fen=1_500_000) -> Lot:
    return Lot(
        id=name, unit=unit, category="YJBZ", energy=energy, age=age, count=count, km_per_year=km, upkeep_fen=upkeep_fen
    )


def problem(lots, **given) -> RenewalProblem:
    years = given.pop("years", 3)
    return RenewalProblem(**{"years": years, "lots": tuple(lots), "options": OPTIONS, "per_km_fen": PER_KM,
                             "budgets_fen": (10 * MILLION,) * years, **given})  # fmt: skip


def brute_force(one: RenewalProblem) -> int | None:
    """Return the least cost over all plans, None when no plan is sound."""
    keys = [(found.id, year, option.energy) for found, year, option in one.choices()]
    counts = {found.id: found.count for found in one.lots}
    best = None
    chargers = list(one.chargers)
    for cars in product(*(range(counts[key[0]] + 1) for key in keys)):
        renewals = {key: n for key, n in zip(keys, cars, strict=True) if n}
        for more in product(range(one.charger_most + 1), repeat=len(chargers)):
            new = {unit: n for unit, n in zip(chargers, more, strict=True) if n}
            cost = plan_cost_fen(one, renewals, new)
            if (best is None or cost < best) and not check(one, RenewalPlan(renewals, new, cost, 0, (), 0)):
                best = cost
    return best


@st.composite
def problems(draw) -> RenewalProblem:
    years = draw(st.integers(1, 2))
    lots = [
        lot(f"l{k}", unit=draw(st.sampled_from("ab")), energy=draw(st.sampled_from(["petrol", "bev"])), age=draw(st.integers(5, 15)),
            count=draw(st.integers(1, 2)), km=draw(st.sampled_from([0, 8_000, 30_000])), upkeep_fen=draw(st.sampled_from([200_000, 2_000_000, 9_000_000])))
        for k in range(draw(st.integers(1, 3)))
    ]  # fmt: skip
    targets = draw(st.lists(st.builds(Target, year=st.integers(0, years - 1), share=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
                                      of=st.sampled_from(["stock", "purchases"]), units=st.sampled_from([(), ("a",)])), max_size=2,
                            unique_by=lambda target: (target.year, target.of, target.units)))  # fmt: skip
    return problem(
        lots, years=years, targets=tuple(targets), budgets_fen=tuple(draw(st.sampled_from([0, 18_000_000, 40_000_000, 90_000_000])) for _ in range(years)),
        chargers=draw(st.sampled_from([{}, {"a": 0}, {"a": 1, "b": 0}])), charger_most=1,
    )  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(problems())
@example(  # the cheapest plan is whole cars away from the relaxation
    problem(
        [lot("l0", count=2, km=8_000, upkeep_fen=9_000_000), lot("l1", age=5, km=0, upkeep_fen=200_000)],
        years=1,
        budgets_fen=(18_000_000,),
    )
)
def test_against_every_plan_there_is(one):
    counts = {found.id: found.count for found in one.lots}
    # A few draws have millions of plans: minutes for one example.
    assume(prod(counts[found.id] + 1 for found, _, _ in one.choices()) <= 20_000)
    best = brute_force(one)
    made = solve(one)
    assert check(one, made) == []
    if best is None:
        assert made.shortfalls
    else:
        assert made.shortfalls == ()
        assert made.bound_fen <= best <= made.cost_fen
        assert made.cost_fen <= best * 1.001 + 1


def test_a_car_beyond_its_last_age_is_renewed_and_a_young_one_is_not():
    made = solve(problem([lot("ancient", age=15), lot("young", age=2, upkeep_fen=99_000_000)]))
    assert {key[:2] for key in made.renewals} == {("ancient", 0)}


def test_driving_much_makes_the_electric_car_the_cheaper_one():
    much, little = solve(problem([lot(age=15, km=40_000)])), solve(problem([lot(age=15, km=0)]))
    assert {key[2] for key in much.renewals} == {"bev"}
    assert {key[2] for key in little.renewals} == {"petrol"}


def test_a_target_moves_the_plan_and_its_price_is_seen():
    lots = [lot(f"l{k}", age=15, km=0) for k in range(4)]
    free = solve(problem(lots))
    bound = solve(problem(lots, targets=(Target(year=0, share=0.5, of="purchases"),)))
    assert sum(n for key, n in bound.renewals.items() if key[2] == "bev") == 2
    assert bound.cost_fen > free.cost_fen


@pytest.mark.parametrize(
    ("given_", "what", "amount"),
    [
        ({"targets": (Target(year=0, share=1.0, of="stock"),)}, "stock", 1.0),
        ({"budgets_fen": (10_000_000, 0, 0)}, "budget", 6_000_000.0),
        (
            {"chargers": {"a": 0}, "charger_most": 0, "targets": (Target(year=0, share=0.5, of="purchases"),)},
            None,
            None,
        ),
    ],
)
def test_what_stands_in_the_way_is_named_with_its_amount(given_, what, amount):
    """One car must go at once, one is too young; the target of the whole stock is one car short."""
    made = solve(problem([lot("must", age=15, km=0), lot("young", age=3)], **given_))
    named = {one.what: one.amount for one in made.shortfalls}
    if what is None:
        assert set(named) <= {"purchases", "chargers"}
        assert named
    else:
        assert named == {what: pytest.approx(amount)}


def test_chargers_are_extended_when_that_is_the_cheapest_way():
    made = solve(problem([lot(f"l{k}", age=15, km=60_000) for k in range(3)], chargers={"a": 1}, charger_fen=100_000))
    assert made.new_chargers == {"a": 2}
    full = solve(
        problem(
            [lot(f"l{k}", age=15, km=60_000) for k in range(3)], chargers={"a": 1}, charger_fen=100_000, charger_most=1
        )
    )
    assert sum(n for key, n in full.renewals.items() if key[2] == "bev") == 2


def test_the_judge_sees_what_is_wrong():
    one = problem([lot("old", age=15), lot("young", age=2)])
    good = solve(one)
    assert check(one, good) == []
    key = next(iter(good.renewals))
    for wrong, words in (
        (replace(good, renewals={}), "beyond 15 years"),
        (replace(good, renewals={("young", 0, "bev"): 1, **good.renewals}), "too young"),
        (replace(good, renewals={key: 2}), "renewed of 1"),
        (replace(good, cost_fen=good.cost_fen - 1), "cost"),
        (replace(good, renewals={("ghost", 0, "bev"): 1}), "no such"),
    ):
        assert any(words in fault for fault in check(one, wrong)), words


def test_the_same_problem_gives_the_same_plan():
    one = problem(
        [lot(f"l{k}", age=9 + k % 7, km=5_000 * k, count=1 + k % 3) for k in range(30)], budgets_fen=(90_000_000,) * 3
    )
    assert solve(one).renewals == solve(one).renewals


def test_nonsense_is_refused_with_its_bound():
    for given_, words in (
        ({"years": 0}, "1 to 10"),
        ({"budgets_fen": (1,)}, "budgets_fen"),
        ({"targets": (Target(year=9, share=2, of="x"),)}, "Target"),
    ):
        with pytest.raises(InvalidModel, match=words):
            problem([lot()], **given_)
    with pytest.raises(InvalidModel, match="same id"):
        problem([lot(), lot()])
