"""Periods, reasons, file names, and texts that must not run."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.audit.rules import check_reason
from fleetapp.kit import sheets
from fleetapp.kit.errors import RuleBroken
from fleetapp.reports import rules
from fleetapp.reports.rules import Period


def test_a_period_is_whole_office_days():
    period = Period(date(2026, 11, 17), date(2026, 11, 18))
    assert period.start == datetime(2026, 11, 16, 16, tzinfo=UTC)
    assert period.end == datetime(2026, 11, 18, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        (date(2026, 11, 18), date(2026, 11, 17), "reports.period_reversed"),
        (date(2025, 11, 17), date(2026, 11, 18), "reports.period_too_long"),
    ],
)
def test_a_period_out_of_bounds_is_refused(start, end, code):
    with pytest.raises(RuleBroken) as refused:
        rules.check_period(Period(start, end))
    assert refused.value.code == code


def test_a_leap_year_and_a_single_day_fit():
    rules.check_period(Period(date(2024, 1, 1), date(2024, 12, 31)))
    rules.check_period(Period(date(2026, 11, 18), date(2026, 11, 18)))


@pytest.mark.parametrize("reason", ["", "   ", "核实", " 核 实 "])
def test_three_characters_are_no_reason(reason):
    with pytest.raises(RuleBroken, match=r"audit\.reason_missing"):
        check_reason(reason)
    assert check_reason(" 年度审计 ") == "年度审计"


@given(st.text(max_size=30))
def test_no_guarded_text_starts_like_a_formula(text):
    guarded = sheets.guarded(text)
    assert not guarded.startswith(sheets.FORMULA_STARTS)
    assert guarded in {text, f"'{text}"}


def test_a_file_is_named_by_unit_report_period_and_version():
    period = Period(date(2026, 11, 1), date(2026, 11, 18))
    name = rules.file_name(unit="西湖区/教育局", title="公务用车合规报表", period=period, version=1, suffix="xlsx")
    assert name == "西湖区-教育局_公务用车合规报表_2026-11-01至2026-11-18_v1.xlsx"


def test_planned_distance_is_there_and_back_on_roads():
    there = [(30.2640, 120.1260), (30.2905, 120.2125)]
    assert rules.planned_m(there) == pytest.approx(2 * 8_812 * 1.3, rel=0.01)
    assert rules.planned_m(there[:1]) is None
