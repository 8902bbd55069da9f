"""Policy figures: in force by day and scope, loaded once, never overwritten."""

import ast
import tomllib
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.policies import queries, rules, service
from fleetapp.policies.models import PolicyValue

ON = date(2026, 11, 18)
ROW = """["order.lead_min"]
value = "{value}"
unit = "min"
stricter = "higher"
valid_from = {valid_from}
source = "test"
"""


@pytest.fixture
def loaded(database, now):
    with database.transaction(SYSTEM) as session:
        return service.load_file(session, actor=SYSTEM, now=now)


def test_loading_the_file_again_adds_nothing(database, loaded, now):
    with database.transaction(SYSTEM) as session:
        figures = tomllib.loads(service.POLICY_FILE.read_text(encoding="utf-8"))
        assert set(session.scalars(select(PolicyValue.code))) == set(figures)
        assert (loaded, service.load_file(session, actor=SYSTEM, now=now)) == (0, 0)


def test_match_weights_sum_to_one(database, loaded):
    with database.transaction(SYSTEM) as session:
        assert sum(queries.values(session, "match.weight_", ON).values()) == Decimal(1)


def test_every_figure_has_words_in_both_languages(database, loaded):
    from fleetapp.web.texts import catalogue

    with database.transaction(SYSTEM) as session:
        rows = session.scalars(queries.listed(ON)).all()
    assert [row.code for row in rows if f"policies.code.{row.code}" not in catalogue()] == []
    assert [row.code for row in rows if f"policies.unit.{row.unit}" not in catalogue()] == []
    assert all(row.source for row in rows)


def test_a_new_figure_takes_over_on_its_first_day(database, loaded, now, tmp_path):
    newer = tmp_path / "policy.toml"
    newer.write_text(ROW.format(value=45, valid_from="2026-11-18"), encoding="utf-8")
    with database.transaction(SYSTEM) as session:
        assert service.load_file(session, actor=SYSTEM, now=now, path=newer) == 1
        assert queries.value(session, "order.lead_min", ON) == 45
        assert queries.value(session, "order.lead_min", ON - timedelta(days=1)) == 30
        assert service.load_file(session, actor=SYSTEM, now=now) == 0  # the older row is still in the file


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (ROW.format(value=31, valid_from="2023-01-01"), "policies.changed"),
        (ROW.format(value=31, valid_from="2022-01-01"), "policies.backdated"),
        (ROW.format(value="many", valid_from="2026-01-01"), "policies.row"),
        (ROW.format(value=31, valid_from="'soon'"), "policies.row"),
        (ROW.format(value=31, valid_from="2026-01-01") + 'colour = "red"\n', "policies.row"),
    ],
)
def test_a_faulty_or_altered_figure_is_refused(database, loaded, now, tmp_path, row, code):
    path = tmp_path / "policy.toml"
    path.write_text(row, encoding="utf-8")
    with database.transaction(SYSTEM) as session, pytest.raises(RuleBroken) as refused:
        service.load_file(session, actor=SYSTEM, now=now, path=path)
    assert refused.value.code == code


def test_a_missing_figure_is_named(database):
    with database.transaction(SYSTEM) as session, pytest.raises(RuleBroken) as refused:
        queries.value(session, "order.lead_min", date(1990, 1, 1))
    assert refused.value.params == {"figure": "order.lead_min", "on": "1990-01-01"}


def test_no_cap_and_no_scrapping_figure_stands_in_code():
    """Caps and scrapping figures above a thousand are numbers one does not write for another reason."""
    rows = tomllib.loads(service.POLICY_FILE.read_text(encoding="utf-8"))
    figures = {float(row["value"]) for code, row in rows.items() if code.startswith(("cap.", "scrap."))}
    root = service.POLICY_FILE.parents[1]
    found = [
        (path.name, node.lineno, node.value)
        for path in (root / "fleetapp").glob("*/*.py") if path.parent.name != "demo"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value > 1000 and node.value in figures
    ]  # fmt: skip
    assert {120000.0, 180000.0, 1600.0} <= figures
    assert found == []


@pytest.mark.parametrize("body", ["minibus", "coach", "pickup", "special"])
def test_the_tables_of_inspection_and_scrapping_are_there_with_their_source(database, loaded, body):
    with database.transaction(SYSTEM) as session:
        found = queries.standing(session, "scrap.", "inspection.", on=ON)
    assert found[f"scrap.{body}.max_years"].value in {15, 20, 30}
    assert found["inspection.small.old_every_months"].value == 12
    assert all(row.article and row.scope == "national" for row in found.values())


def test_only_set_up_loads_figures(session_as, acting, now):
    with session_as("vehicle_office.city") as session, pytest.raises(NotAllowed):
        service.load_file(session, actor=acting("vehicle_office.city"), now=now)


def test_rows_of_several_periods_come_in_order_of_time():
    rows = {"a.b": [{"value": "2", "unit": "h", "valid_from": date(2026, 1, 1), "source": "s"},
                    {"value": "1", "unit": "h", "valid_from": date(2025, 1, 1), "source": "s"}]}  # fmt: skip
    assert [figure.value for figure in rules.figures(rows)] == [1, 2]


def test_the_page_shows_figures_of_the_day_asked_for(loaded, browse):
    page = browse("auditor.binjiang").get("/policies?q=A-01&on=2026-11-18").get_data(as_text=True)
    assert "A-01.min_km" in page
    assert "0.5 公里" in page
    assert "order.lead_min" not in page
    assert "没有符合条件的参数" in browse("auditor.binjiang").get("/policies?on=2001-01-01").get_data(as_text=True)


def test_an_applicant_may_not_open_the_page(loaded, browse, api):
    assert browse("applicant.xhedu").get("/policies").status_code == 403
    assert api("applicant.xhedu")("GET", "/policies").status_code == 403
    answer = api("auditor.city")("GET", "/policies?q=match.")
    assert {row["code"].split(".")[0] for row in answer.json} == {"match"}
    assert answer.headers["X-Total-Count"] == str(len(answer.json))
