"""Plates, identification numbers, seats, ranges, states."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles import rules
from fleetapp.vehicles.rules import Body, Category, Energy, PlateForm, VehicleState
from tests import world

OLD, RECENT = date(2016, 5, 1), date(2024, 5, 1)


@pytest.mark.parametrize(
    ("plate", "form"),
    [
        ("浙A12345", PlateForm.ORDINARY),
        ("浙AB1234", PlateForm.ORDINARY),
        ("浙A1234B", PlateForm.ORDINARY),
        ("浙AB123C", PlateForm.ORDINARY),
        ("浙AD12345", PlateForm.NEV_SMALL),
        ("浙AKZ2345", PlateForm.NEV_SMALL),
        ("浙A12345F", PlateForm.NEV_LARGE),
        ("浙A1234警", PlateForm.POLICE),
        ("沪B00001", PlateForm.ORDINARY),
    ],
)
def test_a_plate_has_one_form(plate, form):
    assert rules.plate_form(plate) is form


@pytest.mark.parametrize(
    "plate",
    ["", "浙A1234", "浙A123456", "浙AI2345", "浙AO2345", "浙I12345", "X12345A", "浙ABCD12", "浙AL12345", "浙AD1234B", "浙A1234B5C",
     "浙A12345L", "浙A12345警", "浙A１２３４５"],
)  # fmt: skip
def test_what_is_no_plate_is_refused(plate):
    with pytest.raises(RuleBroken, match=r"vehicles\.plate_form"):
        rules.plate_form(plate)


@given(st.text(alphabet="ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", min_size=5, max_size=5))
def test_an_ordinary_plate_has_at_most_two_letters(serial):
    letters = sum(char.isalpha() for char in serial)
    if letters <= 2:
        assert rules.plate_form(f"浙A{serial}") is PlateForm.ORDINARY
    else:
        with pytest.raises(RuleBroken):
            rules.plate_form(f"浙A{serial}")


@pytest.mark.parametrize("typed", ["浙a·d12345", " 浙A D12345 ", "浙A-D12345", "浙ad12345"])
def test_a_plate_is_kept_in_one_way_however_typed(typed):
    assert rules.normal_plate(typed) == "浙AD12345"


@pytest.mark.parametrize(
    ("plate", "energy", "category", "registered_on", "code"),
    [
        ("浙A12345", Energy.PETROL, Category.YJBZ, RECENT, None),
        ("浙A12345", Energy.HEV, Category.YJBZ, RECENT, None),
        ("浙AD12345", Energy.BEV, Category.YJBZ, RECENT, None),
        ("浙AF12345", Energy.PHEV, Category.YJBZ, RECENT, None),
        ("浙A12345G", Energy.FCEV, Category.YJBZ, RECENT, None),
        ("浙A1234警", Energy.PETROL, Category.ZFZQ, RECENT, None),
        ("浙A12345", Energy.BEV, Category.YJBZ, OLD, None),
        ("浙A12345", Energy.BEV, Category.YJBZ, RECENT, "vehicles.plate_energy"),
        ("浙AD12345", Energy.PETROL, Category.YJBZ, RECENT, "vehicles.plate_energy"),
        ("浙AD12345", Energy.PHEV, Category.YJBZ, RECENT, "vehicles.plate_energy"),
        ("浙AF12345", Energy.BEV, Category.YJBZ, RECENT, "vehicles.plate_energy"),
        ("浙AD12345", Energy.HEV, Category.YJBZ, OLD, "vehicles.plate_energy"),
        ("浙A12345D", Energy.FCEV, Category.YJBZ, RECENT, "vehicles.plate_energy"),
        ("浙A1234警", Energy.PETROL, Category.YJBZ, RECENT, "vehicles.plate_police"),
        ("浙A123", Energy.PETROL, Category.YJBZ, RECENT, "vehicles.plate_form"),
    ],
)
def test_plate_energy_and_class_agree(plate, energy, category, registered_on, code):
    found = None
    try:
        rules.check_plate(plate, energy=energy, category=category, registered_on=registered_on)
    except RuleBroken as refused:
        found = refused.code
    assert found == code


def test_a_published_identification_number_passes():
    rules.check_vin("1M8GDM9AXKP042788")


VIN_CHARS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


@given(st.text(alphabet=VIN_CHARS, min_size=17, max_size=17), st.integers(0, 16), st.sampled_from(VIN_CHARS))
def test_one_mistyped_character_is_found(raw, position, char):
    vin = world.with_check_digit(raw)
    rules.check_vin(vin)
    typed = vin[:position] + char + vin[position + 1 :]
    values = rules.VIN_VALUES
    if position != 8 and values[typed[position]] == values[vin[position]]:
        rules.check_vin(typed)  # the standard's values repeat: J and A cannot be told apart
    elif typed != vin:
        with pytest.raises(RuleBroken, match=r"vehicles\.vin_check"):
            rules.check_vin(typed)


@pytest.mark.parametrize(
    "vin", ["", "LSV", "LSVAA11Z5M200000I", "LSVAA11Z5M2O00001", "lsvaa11z5m2000001", "LSVAA11Z5M20000011"]
)
def test_a_number_of_the_wrong_form_is_refused(vin):
    with pytest.raises(RuleBroken, match=r"vehicles\.vin_form"):
        rules.check_vin(vin)


@pytest.mark.parametrize(
    ("body", "seats", "fits"),
    [(Body.SEDAN, 9, True), (Body.SEDAN, 10, False), (Body.MPV, 1, False), (Body.MINIBUS, 9, False), (Body.MINIBUS, 10, True),
     (Body.MINIBUS, 19, True), (Body.COACH, 19, False), (Body.COACH, 20, True), (Body.SPECIAL, 1, True)],
)  # fmt: skip
def test_seats_fit_the_body(body, seats, fits):
    if fits:
        rules.check_seats(body, seats)
    else:
        with pytest.raises(RuleBroken, match=r"vehicles\.seats"):
            rules.check_seats(body, seats)


@pytest.mark.parametrize(
    ("energy", "range_km", "code"),
    [(Energy.BEV, 400, None), (Energy.PHEV, None, None), (Energy.PHEV, 100, None), (Energy.PETROL, None, None),
     (Energy.BEV, None, "vehicles.range_needed"), (Energy.PETROL, 400, "vehicles.range_odd"), (Energy.HEV, 2, "vehicles.range_odd")],
)  # fmt: skip
def test_the_range_fits_the_energy(energy, range_km, code):
    found = None
    try:
        rules.check_range(energy, range_km)
    except RuleBroken as refused:
        found = refused.code
    assert found == code


def test_every_state_has_its_moves_and_retired_has_none():
    assert rules.TRANSITIONS.keys() == set(VehicleState)
    assert rules.TRANSITIONS[VehicleState.RETIRED] == frozenset()
    for state, moves in rules.TRANSITIONS.items():
        assert state not in moves
        assert state is VehicleState.RETIRED or VehicleState.RETIRED in moves


@given(st.lists(st.sampled_from(list(VehicleState)), max_size=12))
def test_no_walk_of_moves_leaves_retired(moves):
    state = VehicleState.IN_SERVICE
    retired = False
    for to in moves:
        try:
            rules.check_move(state, to, "节假日封存")
        except RuleBroken:
            continue
        assert not retired
        state, retired = to, to is VehicleState.RETIRED


def test_a_move_wants_a_reason():
    with pytest.raises(RuleBroken, match=r"vehicles\.state_reason"):
        rules.check_move(VehicleState.IN_SERVICE, VehicleState.SEALED, "  ")


@pytest.mark.parametrize(
    ("typed", "kept"), [("013900000001", "13900000001"), (" 1390 0000 001 ", "13900000001"), ("phone-7", "phone-7")]
)
def test_a_terminal_is_known_without_leading_zeros(typed, kept):
    assert rules.terminal_phone(typed) == kept


@pytest.mark.parametrize("typed", ["", "000", "12", "1" * 21, "139 000;"])
def test_what_is_no_terminal_is_refused(typed):
    with pytest.raises(RuleBroken, match=r"vehicles\.terminal_form"):
        rules.terminal_phone(typed)
