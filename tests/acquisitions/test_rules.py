"""Caps at, below and one fen above; the check list; the steps."""

import tomllib
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.acquisitions import rules
from fleetapp.acquisitions.rules import (
    Figure,
    IndicatorAction,
    IndicatorKind,
    IndicatorState,
    ProcurementState,
    Step,
    Surroundings,
    Wish,
)
from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import Body, Category, Energy

ROWS = tomllib.loads((Path(__file__).parents[2] / "config" / "policy.toml").read_text(encoding="utf-8"))
FIGURES = {
    code: Figure(Decimal(row["value"]), f"{row['source']} · {row['article']}")
    for code, row in ROWS.items()
    if code.startswith(("cap.", "renewal.", "nev.", "idle."))
}


def cap(category, body=Body.SEDAN, energy=Energy.PETROL, step=Step.NORMAL):
    return rules.cap_of(FIGURES, category=category, body=body, energy=energy, step=step)


@pytest.mark.parametrize(
    ("found", "price", "displacement_ml"),
    [
        (cap(Category.JYTX), "120000", 1600),
        (cap(Category.YJBZ), "180000", 1800),
        (cap(Category.QT), "180000", 1800),
        (cap(Category.ZFZQ), "120000", 1600),
        (cap(Category.ZFZQ, step=Step.WORK_NEED), "180000", 1800),
        (cap(Category.ZFZQ, body=Body.SUV, step=Step.EXCEPTIONAL), "250000", 3000),
        (cap(Category.YJBZ, body=Body.MINIBUS, step=Step.EXCEPTIONAL), "250000", 3000),
        (cap(Category.YJBZ, body=Body.COACH, step=Step.EXCEPTIONAL), "450000", None),
        (cap(Category.JYTX, energy=Energy.BEV), "180000", None),
        (cap(Category.JYTX, energy=Energy.PHEV), "180000", None),
        (cap(Category.YJBZ, body=Body.SUV, energy=Energy.BEV), "180000", None),
    ],
)
def test_caps_of_the_law(found, price, displacement_ml):
    assert (found.price, found.displacement_ml) == (Decimal(price), displacement_ml)
    assert "71号" in found.source


def test_special_technical_vehicles_have_no_general_cap_and_classes_lack_some_lines():
    assert cap(Category.TZZY) is None
    assert rules.has_step(FIGURES, Category.ZFZQ, Step.WORK_NEED)
    assert not rules.has_step(FIGURES, Category.JYTX, Step.EXCEPTIONAL)


@pytest.mark.parametrize(
    ("price", "ml", "code"),
    [
        ("120000.00", 1600, None), ("120000.01", 1600, "acquisitions.over_price"), ("119999.99", 1598, None),
        ("120000.00", 1601, "acquisitions.over_displacement"), ("120000.00", 1649, "acquisitions.over_displacement"),
        ("120000.00", 1497, None), ("120000.00", None, None),
    ],
)  # fmt: skip
def test_the_cap_itself_is_allowed_and_nothing_above_it(price, ml, code):
    if code is None:
        rules.check_cap(cap(Category.JYTX), price=Decimal(price), displacement_ml=ml)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_cap(cap(Category.JYTX), price=Decimal(price), displacement_ml=ml)
    assert broken.value.code == code


def test_1598_is_a_sixteen_hundred():
    assert [rules.nominal_ml(ml) for ml in (1598, 1600, 1601, 1498, 1796, 1984)] == [1600, 1600, 1601, 1500, 1800, 2000]


@pytest.mark.parametrize(
    ("category", "body", "energy", "step", "fits"),
    [
        (Category.YJBZ, Body.SEDAN, Energy.PETROL, Step.NORMAL, True),
        (Category.YJBZ, Body.MINIBUS, Energy.DIESEL, Step.NORMAL, False),
        (Category.YJBZ, Body.MINIBUS, Energy.DIESEL, Step.EXCEPTIONAL, True),
        (Category.YJBZ, Body.COACH, Energy.DIESEL, Step.NORMAL, False),
        (Category.YJBZ, Body.COACH, Energy.DIESEL, Step.EXCEPTIONAL, True),
        (Category.YJBZ, Body.SEDAN, Energy.PETROL, Step.EXCEPTIONAL, False),
        (Category.YJBZ, Body.SEDAN, Energy.BEV, Step.EXCEPTIONAL, True),
        (Category.ZFZQ, Body.MPV, Energy.PETROL, Step.WORK_NEED, True),
        (Category.ZFZQ, Body.MINIBUS, Energy.DIESEL, Step.WORK_NEED, False),
        (Category.TZZY, Body.SPECIAL, Energy.DIESEL, Step.NORMAL, True),
    ],
)
def test_each_line_of_the_caps_means_certain_bodies(category, body, energy, step, fits):
    problem = rules.body_problem(FIGURES, category=category, body=body, energy=energy, step=step)
    assert (problem is None) is fits


def test_whether_a_plug_in_hybrid_has_a_displacement_cap_is_a_figure():
    free = {**FIGURES, "nev.phev_no_displacement_cap": Figure(Decimal(1), "s")}
    bound = {**FIGURES, "nev.phev_no_displacement_cap": Figure(Decimal(0), "s")}
    phev = {"category": Category.YJBZ, "body": Body.SEDAN, "energy": Energy.PHEV, "step": Step.NORMAL}
    assert rules.cap_of(free, **phev).displacement_ml is None
    assert rules.cap_of(bound, **phev).displacement_ml == 1800
    assert rules.cap_of(bound, **phev | {"energy": Energy.BEV}).displacement_ml is None


@given(
    st.integers(100_000, 300_000),
    st.none() | st.integers(900, 3200),
    st.sampled_from([Energy.PETROL, Energy.BEV, Energy.PHEV]),
)
def test_keeping_to_the_caps_is_what_the_check_list_says(price, displacement_ml, energy):
    keeps = rules.keeps_to_caps(
        FIGURES, category=Category.YJBZ, body=Body.SEDAN, energy=energy, step=Step.NORMAL, price=Decimal(price), displacement_ml=displacement_ml
    )  # fmt: skip
    found = failing(
        energy=energy, max_price=Decimal(price), max_displacement_ml=displacement_ml, fuel_reason="山区救援"
    )
    assert keeps is not bool(found & {"price", "displacement", "body"})


def wish(**given) -> Wish:
    return Wish(**{
        "kind": IndicatorKind.RENEWAL, "category": Category.YJBZ, "body": Body.SEDAN, "energy": Energy.BEV, "step": Step.NORMAL,
        "max_price": Decimal(180000), "max_displacement_ml": None, "fuel_reason": None, "leader_fixed": False, "old_age_years": 8.5, **given,
    })  # fmt: skip


def failing(**given) -> set[str]:
    around = Surroundings(
        **{"free": 1, "idle_comparable": 0, "acquired": 0, "acquired_nev": 0} | given.pop("around", {})
    )
    return {check.code for check in rules.checks(wish(**given), around, FIGURES) if not check.ok}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, set()),
        ({"around": {"free": 0}}, {"quota"}),
        ({"old_age_years": 8.0}, {"age"}),
        ({"old_age_years": 8.01}, set()),
        ({"old_age_years": 3.0, "special_approval": "杭机管特〔2026〕3号"}, set()),
        ({"reason_promotion": True}, {"promotion"}),
        ({"max_price": Decimal("180000.01")}, {"price"}),
        ({"energy": Energy.PETROL, "max_displacement_ml": 1800}, {"fuel_reason", "nev_share"}),
        ({"energy": Energy.PETROL, "max_displacement_ml": 1801, "fuel_reason": "山区救援"}, {"displacement", "nev_share"}),
        ({"energy": Energy.PETROL, "max_displacement_ml": 1800, "fuel_reason": "山区救援", "around": {"acquired": 9, "acquired_nev": 3}}, set()),
        ({"energy": Energy.PETROL, "max_displacement_ml": 1800, "fuel_reason": "山区救援", "around": {"acquired": 10, "acquired_nev": 3}}, {"nev_share"}),
        ({"category": Category.JYTX, "around": {"acquired": 1, "acquired_nev": 1}}, set()),
        ({"category": Category.JYTX, "energy": Energy.PETROL, "max_price": Decimal(120000), "max_displacement_ml": 1600, "fuel_reason": "x x x",
          "around": {"acquired": 9, "acquired_nev": 9}}, {"nev_share"}),
        ({"kind": IndicatorKind.NEW, "around": {"idle_comparable": 2}}, {"transfer_first"}),
        ({"kind": IndicatorKind.TRANSFER, "around": {"idle_comparable": 2}}, set()),
        ({"body": Body.OFFROAD, "leader_fixed": True}, {"offroad"}),
        ({"body": Body.COACH}, {"body"}),
    ],
)  # fmt: skip
def test_the_check_list(given, expected):
    assert failing(**given) == expected


def test_what_only_needs_a_word_does_not_block():
    around = Surroundings(free=1, idle_comparable=3, acquired=9, acquired_nev=0)
    found = {
        check.code: check.blocks
        for check in rules.checks(wish(energy=Energy.PETROL, max_displacement_ml=1500), around, FIGURES)
    }
    assert {code for code, blocks in found.items() if not blocks} == {"nev_share", "transfer_first"}


@pytest.mark.parametrize(
    ("text", "expected"), [("因局领导晋升需更新", True), ("Promoted director", True), ("车况老旧", False)]
)
def test_a_promotion_is_known_as_a_reason(text, expected):
    assert rules.speaks_of_promotion(text) is expected


def test_an_indicator_ends_with_its_fiscal_year():
    assert rules.expires_on(2026) == date(2027, 1, 1)


CLOSED = {
    IndicatorState.REJECTED,
    IndicatorState.WITHDRAWN,
    IndicatorState.EXPIRED,
    IndicatorState.CANCELLED,
    IndicatorState.USED,
}


def test_every_open_state_has_a_way_out_and_closed_ones_have_none():
    for state, action in product(IndicatorState, IndicatorAction):
        if state in CLOSED:
            with pytest.raises(RuleBroken):
                rules.next_state(state, action)
    assert {state for state, _ in rules.TRANSITIONS} == set(IndicatorState) - CLOSED


@given(st.lists(st.sampled_from(list(IndicatorAction)), max_size=14))
def test_nothing_is_approved_without_submission_and_review(actions):
    state, seen = IndicatorState.DRAFT, []
    for action in actions:
        try:
            state = rules.next_state(state, action)
        except RuleBroken:
            continue
        seen.append(action)
        if state in {IndicatorState.APPROVED, IndicatorState.USED}:
            assert seen.index(IndicatorAction.SUBMIT) < seen.index(IndicatorAction.REVIEW)


def test_a_purchase_goes_one_stage_at_a_time_and_is_given_up_before_delivery_only():
    for now, to in product(ProcurementState, ProcurementState):
        allowed = rules.NEXT_STAGE.get(now) is to or (to is ProcurementState.CANCELLED and now in rules.CANCELLABLE)
        if allowed:
            rules.check_stage(now, to)
        else:
            with pytest.raises(RuleBroken):
                rules.check_stage(now, to)
