"""Cells of every table against what is known of the small city by hand; rows behind cells; who sees which units."""

from decimal import Decimal

import pytest
from sqlalchemy import func, select, union_all

from fleetapp.costs import queries as costs
from fleetapp.kit.actor import SYSTEM
from fleetapp.statistics import derive, facts, indicators, look, queries, rules
from fleetapp.statistics.catalogue import ORG, Kind, fixed_rows, parted, tables
from fleetapp.statistics.derive import Over
from fleetapp.web.texts import catalogue as texts
from tests.statistics.conftest import AFTER, JUNE, amount

EDU, HEALTH, WATER, FLEET = "org=330106-EDU", "org=330106-HEALTH", "org=330108-WATER", "org=330100-FLEET"


def derived(session, code="330100"):
    org = session.scalars(select(queries.Organisation).where(queries.Organisation.code == code)).one()
    return derive.content(session, Over([one.id for one in queries.subtree(session, org.path)], JUNE, AFTER))


@pytest.fixture(scope="module")
def whole(city):
    """June of the whole city."""
    return city.read(derived)


def test_stock_by_class_opens_changes_and_closes(whole):
    emergency, enforcement = whole["t02"]["category=YJBZ"], whole["t02"]["category=ZFZQ"]
    assert emergency == {
        "quota": "7",
        "opening": "5",
        "purchase": "1",
        "transfer_in": "1",
        "transfer_out": "1",
        "closing": "6",
        "retained": "6",
        "idle": "6",
    }  # two journeys of 60 km do not make a vehicle busy
    assert enforcement == {"quota": "1", "opening": "1", "scrap": "1"}


def test_a_transferred_vehicle_is_in_stock_where_it_is_held(city):
    edu, health = (city.read(derived, code)["t02"]["category=YJBZ"] for code in ("330106-EDU", "330106-HEALTH"))
    assert (edu["opening"], edu["transfer_in"], edu["closing"]) == ("2", "1", "4")
    assert (health["opening"], health["transfer_out"], health.get("closing")) == ("1", "1", None)


def test_structure_groups_the_same_vehicles_six_ways(whole):
    sums = {
        axis: sum(amount(cells.get("closing")) for key, cells in whole["t03"].items() if parted(key)[0] == axis)
        for axis in tables()["t03"].axes
    }
    assert sums == dict.fromkeys(tables()["t03"].axes, Decimal(6))
    assert (whole["t03"]["price=to18"]["closing"], whole["t03"]["price=none"]["closing"]) == ("1", "5")
    assert whole["t03"]["age=to2"]["value"] == "165000"


def test_new_energy_counts_bev_and_phev_and_what_was_bought(whole):
    assert (
        whole["t04"]["energy=bev"]["nev"],
        whole["t04"]["energy=phev"]["nev"],
        whole["t04"]["energy=diesel"].get("nev"),
    ) == ("2", "1", None)
    assert (
        whole["t04"]["energy=bev"]["acquired_nev"],
        whole["t04"]["energy=bev"]["kwh"],
        whole["t04"]["energy=petrol"]["litres"],
    ) == ("1", "60", "40")


def test_use_belongs_to_the_user_and_days_to_the_holder(whole):
    edu, health = whole["t06"][EDU], whole["t06"][HEALTH]
    assert (edu["journeys"], edu["order_km"], health["journeys"], health["order_km"]) == ("1", "20", "1", "30")
    assert (edu["track_km"], health["track_km"]) == (
        "30",
        "30",
    )  # 20 of its own and 2 × 5 without an order; 30 of the other's
    assert (edu["used_days"], health.get("used_days")) == ("2", None)
    assert edu["available_days"] == str(30 + 30 + 21 + 11)  # two for all of June, one from the 10th, one from the 20th
    assert edu["average"] == "4"
    assert health.get("average") is None


def test_every_cost_counts_once_and_agrees_with_the_cost_ledger(city, whole):
    edu = whole["t07"][EDU]
    assert (edu["purchase"], edu["toll"], edu["wash"], edu["fuel"], edu["charging"], edu["running"]) == (
        "165000",
        "300",
        "50",
        "320",
        "60",
        "730",
    )
    every = city.read(costs.all_rows, actor=SYSTEM, start=JUNE.first, end=JUNE.until)
    rows = facts_of(city, "cost", "amount")
    assert sum(row.amount for row in every) == rows == Decimal(165730)


def facts_of(city, source, measure):
    def read(session):
        rows = facts.rows(session, source, JUNE, AFTER)
        return session.scalar(select(func.sum(rows.c[measure])))

    return city.read(read)


def test_a_disposal_has_its_own_line(whole):
    line = whole["t08"]["label=浙A10005"]
    assert (line["mode"], line["price"], line["fees"], line["remitted"], line["remit_days"]) == (
        "scrap",
        "3000",
        "200",
        "2800",
        "10",
    )
    assert line["deregistered"] == "2026-06-25"


def test_terminals_service_and_energy(whole):
    assert whole["t11"][FLEET]["due"] == whole["t11"][FLEET]["joined"] == "2"
    assert (
        whole["t12"][HEALTH]["fulfilled"],
        whole["t12"][HEALTH]["on_time"],
        whole["t12"]["level=district"]["fulfilled"],
    ) == ("1", "1", "1")
    petrol, power = whole["t15"]["carrier=petrol"], whole["t15"]["carrier=electricity"]
    assert (petrol["kgce"], petrol["co2"]) == (
        rules.number(40 * Decimal("0.74") * Decimal("1.4714")),
        rules.number(40 * Decimal("2.18")),
    )
    assert (power["kgce"], power["co2"]) == (rules.number(60 * Decimal("0.1229")), rules.number(60 * Decimal("0.5366")))


def test_indicators_come_with_numerator_and_denominator(city):
    got = city.read(indicators.compute, list(indicators.dictionary()), "/", JUNE, AFTER)
    assert (got["I01"].numerator, got["I01"].denominator, got["I01"].value) == (6, 8, Decimal(75))
    assert (got["I02"].value, got["I03"].value) == (Decimal(50), Decimal(100))
    assert (got["I09"].numerator, got["I09"].denominator) == (2, 2)
    assert (got["I10"].value, got["I10"].denominator, got["I11"].value) == (Decimal(15), 2, Decimal(10))
    assert got["I22"].value == share_of(50, 60)
    assert got["I32"].value == Decimal(100)
    assert got["I31"].value is None
    assert got["I31"].denominator == 0
    assert all(one.as_of <= AFTER for one in got.values())


def share_of(up, down):
    return (Decimal(up) / Decimal(down) * 100).quantize(Decimal("0.0001"))


def test_the_city_is_the_sum_of_its_units(city, whole):
    codes = ("330106", "330108", "330100-FLEET")
    parts = [city.read(derived, code) for code in codes]
    together = rules.together(parts)
    assert (
        rules.changes(
            {code: rows for code, rows in together.items() if code != "t01"},
            {code: rows for code, rows in whole.items() if code != "t01"},
        )
        == []
    )


def cells():
    return [
        (table.code, column.key) for table in tables().values() for column in table.columns if column.kind is Kind.SUM
    ]


def test_every_cell_is_the_sum_of_the_rows_behind_it(city, whole):
    """A cell of every column by every kind of rows, each against the query of its drill-down page."""
    with city.database.transaction(SYSTEM) as session:
        ids = {one.code: one.id for one in queries.subtree(session, "/")}
        compared = set()
        for code, key in cells():
            for row, values in whole.get(code, {}).items():
                axis, value = parted(row)
                if key not in values or (code, key, axis) in compared:
                    continue
                over = Over([ids[value]] if axis == ORG else list(ids.values()), JUNE, AFTER)
                parts = derive.behind(session, over, tables()[code].by_key[key].up, row)
                every = union_all(*(part.order_by(None) for part in parts)).subquery()
                total = session.scalar(select(func.coalesce(func.sum(every.c.value), 0)))
                assert rules.number(total) == values[key], (code, row, key)
                compared.add((code, key, axis))
    assert len(compared) > 100


def test_people_see_the_facts_of_their_units_only(city):
    def orgs(session):
        rows = facts.rows(session, "stock", JUNE, AFTER)
        return {row[0] for row in session.execute(select(rows.c.org_id).distinct())}

    mine, all_ = city.read(orgs, username="unit_admin.xhedu"), city.read(orgs, username="auditor.city")
    assert mine == {city.org("330106-EDU").id}
    assert len(all_) == 4


def test_a_confidential_vehicle_is_counted_but_not_named(changing):
    changing.force("UPDATE vehicle SET secrecy = 'secret' WHERE plate = '浙A10001'")

    def read(session):
        rows = facts.rows(session, "stock", JUNE, AFTER)
        return session.execute(select(rows.c.label, rows.c.ref, rows.c.closing).where(rows.c.secret == 1)).all()

    assert changing.read(read) == [("***", "hidden", 1)]


def test_catalogues_name_only_texts_and_dimensions_that_are_there():
    known = texts()
    for table in tables().values():
        assert all(axis == ORG or axis in {"label", "pair"} or axis in fixed_rows() for axis in table.axes)
        for column in table.columns:
            assert not column.unit or f"statistics.unit.{column.unit}" in known, column.key
            assert all(f"statistics.choice.{one}" in known for one in column.choices)
            assert all(any(derive.has_axis(term.source, axis) for axis in table.axes) for term in column.up), column.key
            assert all(
                name.removeprefix("-") in table.by_key for name in (*column.formula, *column.over, *column.under)
            )
    assert all(f"{rows.words}.{key}" in known for rows in fixed_rows().values() for key in rows.keys)
    assert all(f"statistics.unit.{one.unit}" in known for one in indicators.dictionary().values())
    assert all(f"statistics.source.{name}" in known for name in facts.SOURCES)
    assert set(look.PLACES) == set(look.ADDRESSES)
