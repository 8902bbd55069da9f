"""What may be entered and what was consumed, as pure functions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.energy import rules
from fleetapp.energy.rules import CardState, EntryKind, Filling, Limits, Outlier
from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import Energy

AT = datetime(2026, 11, 1, tzinfo=UTC)
FULL = Decimal(0)


def filled(day, quantity, km, level=FULL, breaks=None):
    return Filling(AT + timedelta(days=day), Decimal(quantity), None if km is None else km * 1000, level, breaks)


def rates(*fillings):
    return [round(one.per_100km, 2) for one in rules.intervals(fillings)]


def test_full_to_full_counts_what_went_in_after_the_first_up_to_the_next():
    assert rates(filled(0, 50, 1000), filled(5, 40, 1500)) == [Decimal("8.00")]


def test_partial_fillings_in_between_are_summed_even_without_an_odometer():
    assert rates(filled(0, 50, 1000), filled(2, 10, 1200, level=None), filled(3, 5, None), filled(5, 25, 1500)) == [
        Decimal("8.00")
    ]


@pytest.mark.parametrize("breaks", ["missed", "meter"])
def test_a_missed_filling_or_a_changed_odometer_breaks_the_interval_and_starts_anew(breaks):
    found = rates(filled(0, 50, 1000), filled(5, 40, 1500, breaks=breaks), filled(9, 24, 1800))
    assert found == [Decimal("8.00")]
    assert rates(filled(0, 50, 1000), filled(2, 9, 1200, level=None, breaks=breaks), filled(5, 40, 1500)) == []


def test_an_odometer_that_goes_back_or_stands_gives_no_interval():
    assert rates(filled(0, 50, 1000), filled(5, 40, 1000), filled(6, 40, 900), filled(9, 30, 1300)) == [Decimal("7.50")]


def test_a_battery_counts_by_its_state_of_charge():
    def at(soc):
        return rules.level(full=False, soc_percent=soc, battery_kwh=Decimal(60))

    assert rates(filled(0, 20, 1000, at(80)), filled(1, 30, 1200, at(90))) == [Decimal("12.00")]
    assert rules.level(full=False, soc_percent=80, battery_kwh=None) is None
    assert (
        rules.level(full=True, soc_percent=None, battery_kwh=None)
        == rules.level(full=False, soc_percent=100, battery_kwh=None)
        == 0
    )


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 800), st.booleans()), min_size=2, max_size=30),
    st.randoms(use_true_random=False),
)
def test_every_litre_and_kilometre_between_two_known_levels_is_counted_once(steps, shuffle):
    km, fillings = 0, []
    for day, (litres, driven, full) in enumerate(steps):
        km += driven
        fillings.append(filled(day, litres, km, FULL if full else None))
    known = [number for number, one in enumerate(fillings) if one.level is not None]
    shuffled = list(fillings)
    shuffle.shuffle(shuffled)
    found = rules.intervals(shuffled)
    assert len(found) == max(0, len(known) - 1)
    if found:
        first, last = known[0], known[-1]
        assert sum(one.used for one in found) == sum(one.quantity for one in fillings[first + 1 : last + 1])
        assert sum(one.distance_m for one in found) == fillings[last].odometer_m - fillings[first].odometer_m
        assert min(one.per_100km for one in found) <= rules.mean_per_100km(found) <= max(one.per_100km for one in found)


def test_without_intervals_there_is_no_mean():
    assert rules.mean_per_100km([]) is None


@pytest.mark.parametrize(
    ("litres", "kwh", "share"),
    [("0", "180", 1), ("65", "0", 0), ("65", "180", Decimal("0.5")), ("0", "0", None)],
)
def test_the_electric_share_of_a_plug_in_hybrid(litres, kwh, share):
    assert (
        rules.electric_share(
            litres=Decimal(litres), kwh=Decimal(kwh), l_per_100km=Decimal("6.5"), kwh_per_100km=Decimal(18)
        )
        == share
    )


@pytest.mark.parametrize("energy", list(Energy))
@pytest.mark.parametrize("kind", list(EntryKind))
def test_a_vehicle_takes_only_its_energy(energy, kind):
    fits = {
        "petrol": ["fuel"],
        "diesel": ["fuel"],
        "hev": ["fuel"],
        "phev": ["fuel", "charge"],
        "bev": ["charge"],
        "fcev": [],
    }
    assert (kind in rules.kinds_of(energy)) is (kind.value in fits[energy.value])


@pytest.mark.parametrize(
    ("quantity", "price", "amount", "soc", "code"),
    [
        ("40", "7.85", "314.00", None, None),
        ("40", "7.85", "314.05", None, None),
        ("40", "7.85", "314.06", None, "energy.amount"),
        ("40", "7.85", "313.94", None, "energy.amount"),
        ("0", "7.85", "0", None, "energy.amount"),
        ("40", "7.85", "314.00", 80, "energy.soc"),
    ],
)
def test_an_amount_is_quantity_by_price(quantity, price, amount, soc, code):
    given_ = {
        "kind": EntryKind.FUEL,
        "energy": "petrol",
        "quantity": Decimal(quantity),
        "unit_price": Decimal(price),
        "amount": Decimal(amount),
    }
    if code is None:
        rules.check_entry(**given_, soc_percent=soc)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_entry(**given_, soc_percent=soc)
    assert broken.value.code == code


def test_above_the_capacity_is_told_and_an_unknown_one_tells_nothing():
    assert rules.overfilled(Decimal("52.6"), Decimal(50), Decimal("1.05"))
    assert not rules.overfilled(Decimal("52.5"), Decimal(50), Decimal("1.05"))
    assert not rules.overfilled(Decimal(900), None, Decimal("1.05"))


def test_far_from_the_baseline():
    limits = Limits(high=Decimal("1.3"), low=Decimal("0.6"), excess=Decimal(5))
    found = [rules.outlier(Decimal(value), Decimal(10), limits) for value in ("15.1", "15.0", "14", "6", "5.9")]
    assert found == [Outlier.HIGH, None, None, None, Outlier.LOW]
    assert rules.baseline([Decimal(8), Decimal(9)]) is None
    assert rules.baseline([Decimal(8), Decimal(30), Decimal(9)]) == Decimal(9)


def test_what_a_quantity_stands_for():
    factors = {"energy.petrol_kg_l": Decimal("0.74"), "energy.petrol_kgce_kg": Decimal("1.4714"), "energy.petrol_co2_kg_l": Decimal("2.18"),
               "energy.electricity_kgce_kwh": Decimal("0.1229"), "energy.grid_co2_kg_kwh": Decimal("0.5366")}  # fmt: skip
    both = rules.footprint("fuel", "phev", Decimal(1000), factors) + rules.footprint(
        "charge", "phev", Decimal(1000), factors
    )
    assert (both.tce, both.co2_kg) == (Decimal("1.2117360"), Decimal("2716.6000"))


@given(st.lists(st.sampled_from(list(CardState)), max_size=8))
def test_a_cancelled_card_does_not_come_back(steps):
    state, seen = CardState.ACTIVE, []
    for to in steps:
        try:
            rules.check_card_move(state, to)
        except RuleBroken:
            continue
        state = to
        seen.append(to)
    assert CardState.CANCELLED not in seen[:-1]
