"""A small labelled city: the rules find what was done, and nothing grave where nothing was."""

from pathlib import Path

import pytest

from fleetapp.demo.labelled import city
from fleetapp.findings.families import JUDGES


@pytest.fixture(scope="module")
def card():
    return city.score(city.make_city(cars=8, days=10, seed=3))


def test_nothing_grave_is_said_of_those_who_did_nothing(card):
    assert card.compliant_days == 20
    assert card.red_on_compliant == []


def test_red_clues_are_right(card):
    red = sum(one.red for one in card.rules.values())
    assert red > 0
    assert sum(one.red_right for one in card.rules.values()) >= 0.95 * red


def test_acts_are_found(card):
    truth = sum(one.truth for one in card.rules.values())
    assert truth >= 20
    assert sum(one.found for one in card.rules.values()) >= 0.85 * truth


def test_trips_and_orders_agree_with_what_was_driven(card):
    assert card.ends["within_60_s"] >= 0.95 * card.ends["trips"]
    assert card.ends["days_exact"] >= 0.95 * card.ends["days"]
    assert card.f1 >= 0.98


def test_the_same_seed_gives_the_same_city():
    one, other = (city.make_city(cars=1, days=3, seed=4) for _ in range(2))
    assert one.sims[0].acts == other.sims[0].acts
    assert [trip.best_m for trip in one.known[0].trips] == [trip.best_m for trip in other.known[0].trips]


def test_every_rule_with_a_function_has_an_act_that_it_must_or_may_find():
    written = "".join(file.read_text(encoding="utf-8") for file in Path(city.__file__).parent.glob("*.py"))
    assert [rule for rule in JUDGES if f'"{rule}"' not in written] == []


def test_what_weeks_show_is_told_of_the_one_car_that_does_it():
    sims = city.make_city(cars=2, days=21, seed=5).sims
    assert [act.must for act in sims[0].acts if act.name == "own_car"] == [("D-03",)]
    assert not any(act.name == "own_car" for act in sims[1].acts)
    assert len(sims[1].drives) < 10, "its habit is to stand"
