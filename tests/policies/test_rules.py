"""Which scope stands and what may be entered: pure rules."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.policies import rules
from fleetapp.policies.rules import Scope

TODAY = date(2026, 11, 18)


@dataclass(frozen=True)
class Row:
    value: int
    stricter: str
    may_relax: bool = False
    code: str = "x"


def stands(*rows) -> int:
    return rules.standing(rows)["x"].value


values = st.lists(st.integers(0, 50), min_size=1, max_size=5)


@given(values)
def test_without_leave_the_strictest_of_all_scopes_stands_whatever_their_order(found):
    assert stands(*(Row(value, "lower") for value in found)) == min(found)
    assert stands(*(Row(value, "higher") for value in found)) == max(found)
    assert stands(*(Row(value, "none") for value in found)) == found[0]


@given(values, st.integers(0, 50), values, st.sampled_from(["lower", "higher"]))
def test_a_row_that_may_relax_stands_and_binds_what_is_below_it(above, relaxed, below, stricter):
    rows = [Row(value, stricter) for value in above] + [Row(relaxed, stricter, may_relax=True)]
    assert stands(*rows) == relaxed
    strictest = min if stricter == "lower" else max
    assert stands(*rows, *(Row(value, stricter) for value in below)) == strictest([relaxed, *below])


def test_codes_do_not_touch_each_other():
    found = rules.standing([Row(1, "lower"), Row(9, "higher", code="y"), Row(2, "lower")])
    assert {code: row.value for code, row in found.items()} == {"x": 1, "y": 9}


@pytest.mark.parametrize(
    ("new", "above", "code"),
    [
        (Row(12, "lower"), Row(18, "lower"), None),
        (Row(18, "lower"), Row(18, "lower"), "policies.looser"),
        (Row(19, "lower"), Row(18, "lower"), "policies.looser"),
        (Row(19, "lower", may_relax=True), Row(18, "lower"), None),
        (Row(9, "higher"), Row(8, "higher"), None),
        (Row(7, "higher"), Row(8, "higher"), "policies.looser"),
        (Row(7, "none"), Row(8, "none"), "policies.not_free"),
        (Row(7, "none", may_relax=True), Row(8, "none"), None),
        (Row(99, "lower"), None, None),
    ],
)
def test_a_row_must_stand_before_the_one_above_it(new, above, code):
    if code is None:
        assert rules.check_above(new, above) is None
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_above(
            Row(Decimal(new.value), new.stricter, new.may_relax), Row(Decimal(above.value), above.stricter)
        )
    assert broken.value.code == code


@pytest.mark.parametrize(
    ("first", "last", "correction", "scope", "code"),
    [
        (date(2026, 11, 18), None, False, Scope.CITY, None),
        (date(2026, 11, 17), None, False, Scope.CITY, "policies.past"),
        (date(2026, 11, 17), None, True, Scope.CITY, None),
        (date(2026, 11, 19), None, True, Scope.CITY, "policies.correction_odd"),
        (date(2026, 11, 19), date(2026, 11, 20), False, Scope.ORG, None),
        (date(2026, 11, 19), date(2026, 11, 19), False, Scope.ORG, "policies.period_order"),
        (date(2026, 11, 19), date(2027, 1, 1), False, Scope.CITY, "policies.open_end"),
    ],
)
def test_the_past_is_corrected_only_on_purpose_and_a_city_is_never_without_a_figure(
    first, last, correction, scope, code
):
    period = {"valid_from": first, "valid_to": last, "today": TODAY, "correction": correction, "scope": scope}
    if code is None:
        assert rules.check_period(**period) is None
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_period(**period)
    assert broken.value.code == code


@pytest.mark.parametrize(
    ("value", "unit", "fits"),
    [("0", "km", True), ("-0.1", "km", False), ("1", "share", True), ("1.01", "share", False), ("1", "flag", True), ("0.5", "flag", False)],
)  # fmt: skip
def test_a_value_fits_its_unit(value, unit, fits):
    try:
        rules.check_value(Decimal(value), unit)
    except RuleBroken:
        assert not fits
    else:
        assert fits


def test_every_subject_has_its_codes():
    assert [rules.subject_of(code) for code in ("cap.QT.normal.seats", "E-01.buffer_m", "scrap.coach.max_years", "zz.top")] == [
        "caps", "supervision", "upkeep", "other",
    ]  # fmt: skip
