"""The calendar: notices as published, make-up workdays, years without a notice."""

from datetime import date

import pytest

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.workdays import queries, rules, service
from fleetapp.workdays.rules import DayKind


@pytest.fixture
def calendar(database, now):
    with database.transaction(SYSTEM) as session:
        for year in (2025, 2026):
            service.load_year(session, year=year, actor=SYSTEM, now=now)


@pytest.mark.parametrize(
    ("on", "kind", "name"),
    [
        (date(2026, 10, 1), DayKind.HOLIDAY, "国庆节"),
        (date(2026, 10, 4), DayKind.HOLIDAY, "国庆节"),  # a Sunday inside the holiday
        (date(2026, 10, 10), DayKind.WORKDAY, "国庆节"),  # a Saturday worked to make up for it
        (date(2026, 2, 14), DayKind.WORKDAY, "春节"),
        (date(2026, 11, 18), DayKind.WORKDAY, ""),
        (date(2026, 11, 21), DayKind.REST, ""),
    ],
)
def test_a_loaded_year_follows_the_notice(database, calendar, on, kind, name):
    with database.transaction(SYSTEM) as session:
        assert queries.day_kind(session, on) == rules.Day(on, kind, name, known=True)


def test_a_year_without_a_notice_counts_weekends_and_says_so(database, calendar):
    with database.transaction(SYSTEM) as session:
        days = queries.day_kinds(session, date(2026, 12, 30), date(2027, 1, 4))
    assert [day.known for day in days] == [True, True, False, False, False]
    assert [day.kind for day in days[2:]] == [DayKind.WORKDAY, DayKind.REST, DayKind.REST]


def test_loading_again_changes_nothing(database, calendar, now):
    with database.transaction(SYSTEM) as session:
        assert service.load_year(session, year=2026, actor=SYSTEM, now=now) == 0
        assert queries.loaded_years(session) == [2025, 2026]
        year = queries.day_kinds(session, date(2026, 1, 1), date(2027, 1, 1))
    assert len(year) == 365
    assert sum(day.kind is DayKind.HOLIDAY for day in year) == 33


def test_a_year_not_yet_published_is_refused_with_a_hint(database, now):
    with database.transaction(SYSTEM) as session, pytest.raises(RuleBroken, match=r"workdays\.no_notice"):
        service.load_year(session, year=2099, actor=SYSTEM, now=now)


def test_only_set_up_loads_a_year(session_as, acting, now):
    with session_as("system_admin.city") as session, pytest.raises(NotAllowed):
        service.load_year(session, year=2026, actor=acting("system_admin.city"), now=now)


def test_the_api_lists_days_and_refuses_an_empty_period(calendar, api):
    call = api("applicant.xhedu")
    answer = call("GET", "/workdays?start_on=2026-10-07&end_on=2026-10-09")
    assert [(day["on"], day["kind"]) for day in answer.json] == [("2026-10-07", "holiday"), ("2026-10-08", "workday")]
    assert call("GET", "/workdays?start_on=2026-10-07&end_on=2026-10-07").status_code == 422
