"""Reports from the first typed cell to the correction: what blocks, what is frozen, what the database refuses."""

from decimal import Decimal

import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.statistics import queries, reconcile, rules, service
from fleetapp.statistics.models import StatisticEntry, StatisticVersion
from fleetapp.statistics.reconcile import Check
from tests.statistics.conftest import AFTER, JUNE, local

CLERK, HEALTH, OFFICE, XIHU = "unit_admin.xhedu", "unit_admin.xhhealth", "vehicle_office.city", "fleet_manager.xihu"
ROW = "org=330106-EDU"
REQUIRED = {"nature": "organ", "level": "bureau", "posts": "50", "staff": "40", "reform": "in"}


def opened(city, username=CLERK, code="330106-EDU", of="2026-06"):
    return city.take(username, service.open_report, org_id=city.org(code).id, code=of)


def full(city, username=CLERK, code="330106-EDU"):
    """Open a report and fill in what must be; files need not be full here, that is a test of its own."""
    city.force("UPDATE policy_value SET value = 0 WHERE code = 'statistics.complete_share'")
    report = opened(city, username, code)
    cells = {("t01", f"org={code}", column): value for column, value in REQUIRED.items()}
    city.take(username, service.type_cells, report_id=report.id, cells=cells)
    return report


def differences(city, report_id, now=AFTER):
    return city.read(
        lambda session: reconcile.differences(session, session.get_one(queries.StatisticReport, report_id), now=now)
    )


def submitted(city, username=CLERK, code="330106-EDU"):
    report = full(city, username, code)
    city.take(username, service.check, report_id=report.id)
    return city.take(username, service.submit, report_id=report.id)


def test_a_report_is_filled_checked_and_frozen(changing):
    report = submitted(changing)
    version = changing.read(queries.newest, report_id=report.id)
    assert (report.state, report.edition, version.number) == ("SUBMITTED", 1, "TJ-330106-EDU-2026-06")
    assert version.content["t02"]["category=YJBZ"]["closing"] == "4"
    assert version.content["t01"][ROW]["staff"] == "40"
    assert [one.action for one in changing.read(queries.events, report_id=report.id)] == ["submit", "check", "open"]


def test_frozen_figures_stand_while_the_records_change_and_corrections_are_numbered(changing):
    report = submitted(changing)
    changing.force("UPDATE cost_entry SET void_at = now(), void_reason = '重复' WHERE kind = 'wash'")
    now_is = changing.read(queries.gathered, org=report.org, of=JUNE, now=AFTER)
    was = changing.read(queries.newest, report_id=report.id).content
    cells = {
        (one.table, one.column): (one.before, one.after) for one in rules.changes(was, now_is) if one.table == "t07"
    }
    assert cells == {("t07", "wash"): ("50", None), ("t07", "running"): ("730", "680")}
    with pytest.raises(RuleBroken, match=r"statistics\.reason"):
        changing.take(CLERK, service.correct, report_id=report.id, reason="错")
    numbers = [changing.take(CLERK, service.correct, report_id=report.id, reason="洗车费重复登记").number]
    with pytest.raises(RuleBroken, match=r"statistics\.unchanged"):
        changing.take(CLERK, service.correct, report_id=report.id, reason="再来一次")
    changing.force("UPDATE cost_entry SET void_at = now(), void_reason = '误登' WHERE kind = 'toll'")
    numbers.append(changing.take(CLERK, service.correct, report_id=report.id, reason="通行费误登").number)
    assert numbers == ["TJ-330106-EDU-2026-06-C1", "TJ-330106-EDU-2026-06-C2"]
    editions = changing.read(queries.versions, report_id=report.id)
    assert [one.content["t07"][ROW]["running"] for one in editions] == ["380", "680", "730"]


def test_a_file_too_empty_and_a_missing_cell_block(changing):
    report = opened(changing)
    found = {one.check for one in differences(changing, report.id)}
    assert {Check.FILES, Check.TYPED} <= found
    with pytest.raises(RuleBroken, match=r"statistics\.blocked"):
        changing.take(CLERK, service.check, report_id=report.id)
    ready = full(changing)
    assert changing.take(CLERK, service.check, report_id=ready.id).state == "CHECKED"


def test_a_period_that_still_runs_blocks(changing):
    report = full(changing)
    found = differences(changing, report.id, now=local(15))
    assert [one.found for one in found if one.check is Check.OVER] == [Decimal(15)]
    with pytest.raises(RuleBroken, match=r"statistics\.blocked"):
        changing.take(CLERK, service.check, now=local(15), report_id=report.id)


def test_stock_that_does_not_balance_blocks_and_names_the_unit(changing):
    """A vehicle whose retirement no paper and no log tells of: the registry has one fewer than the records."""
    report = full(changing)
    assert [one for one in differences(changing, report.id) if one.blocks] == []
    changing.force("UPDATE vehicle SET state = 'RETIRED' WHERE plate = '浙A10001'")
    (wrong,) = [one for one in differences(changing, report.id) if one.blocks]
    assert (wrong.check, wrong.org.code, wrong.category, wrong.energy) == (
        Check.REGISTRY,
        "330106-EDU",
        "YJBZ",
        "petrol",
    )
    assert (wrong.expected, wrong.found) == (1, 2)
    assert wrong.link == {"table": "t02", "column": "closing", "row": "category=YJBZ"}
    with pytest.raises(RuleBroken, match=r"statistics\.blocked"):
        changing.take(CLERK, service.check, report_id=report.id)
    with pytest.raises(RuleBroken, match=r"not_explainable"):
        changing.take(CLERK, service.explain, report_id=report.id, subject=wrong.subject, text="以后再说")


def test_dates_the_wrong_way_round_do_not_balance(changing):
    """Registered away before it came: it came in the period and never left it."""
    changing.force("UPDATE vehicle SET acquired_on = '2026-06-28' WHERE plate = '浙A10005'")
    changing.force("UPDATE disposal_case SET deregistered_on = '2026-05-25' WHERE number = 'CZ-2'")
    report = opened(changing, "unit_admin.bjwater", "330108-WATER")
    (wrong,) = [one for one in differences(changing, report.id) if one.check is Check.BALANCE]
    assert (wrong.expected, wrong.found) == (1, 0)


def test_more_vehicles_than_places_must_be_explained(changing):
    report = opened(changing)
    changing.force("UPDATE quota_entry SET delta = 3 WHERE delta = 4")
    changing.force("DELETE FROM vehicle_fact")
    assert [one.found for one in differences(changing, report.id) if one.check is Check.CARDS] == [4]
    (over,) = [one for one in differences(changing, report.id) if one.check is Check.QUOTA]
    assert (over.expected, over.found, over.blocks) == (3, 4, True)
    changing.take(CLERK, service.explain, report_id=report.id, subject=over.subject, text="调入车辆年内处置")
    (over,) = [one for one in differences(changing, report.id) if one.check is Check.QUOTA]
    assert over.blocks is False
    assert over.note.text == "调入车辆年内处置"


def test_what_other_systems_say_is_compared(changing):
    report = full(changing)
    cells = {("t07", ROW, "finance_running"): "800", ("t07", ROW, "asset_value"): "165000"}
    changing.take(CLERK, service.type_cells, report_id=report.id, cells=cells)
    found = {one.check: (one.expected, one.found) for one in differences(changing, report.id)}
    assert found[Check.FINANCE] == (800, 730)
    assert Check.ASSET not in found


def test_a_later_entry_shows_as_an_opening_that_is_not_the_last_closing(changing):
    submitted(changing)
    july = opened(changing, of="2026-07")
    assert [one for one in differences(changing, july.id) if one.check is Check.OPENING] == []
    changing.force("UPDATE vehicle SET acquired_on = '2026-07-02' WHERE plate = '浙AD00007'")
    (wrong,) = [one for one in differences(changing, july.id) if one.check is Check.OPENING]
    assert (wrong.expected, wrong.found) == (4, 3)


def test_a_district_gathers_what_its_units_submitted(changing):
    submitted(changing)
    district = full(changing, XIHU, "330106")
    waits = [one.org.code for one in differences(changing, district.id) if one.check is Check.BELOW]
    assert waits == ["330106-HEALTH"]
    with pytest.raises(RuleBroken, match=r"statistics\.blocked"):
        changing.take(XIHU, service.check, report_id=district.id)
    submitted(changing, HEALTH, "330106-HEALTH")
    changing.force("UPDATE cost_entry SET void_at = now(), void_reason = '重复' WHERE kind = 'wash'")
    changing.take(XIHU, service.check, report_id=district.id)
    changing.take(XIHU, service.submit, report_id=district.id)
    content = changing.read(queries.newest, report_id=district.id).content
    assert content["t07"][ROW]["running"] == "730"  # as submitted, not as the records are now
    assert (content["t02"]["category=YJBZ"]["closing"], content["t02"]["category=YJBZ"]["quota"]) == ("4", "5")
    assert sum(Decimal(cells.get("journeys", 0)) for cells in content["t06"].values()) == 2


def test_typed_cells_have_their_author_and_take_a_checked_report_back(changing):
    report = full(changing)
    changing.take(CLERK, service.check, report_id=report.id)
    assert changing.take(CLERK, service.type_cells, report_id=report.id, cells={("t07", ROW, "norm"): "1,000.50"}) == 1
    assert changing.report(report.id).state == "DRAFT"
    (row,) = changing.read(lambda s: s.scalars(select(StatisticEntry).where(StatisticEntry.column_key == "norm")).all())
    assert (row.value, row.at, row.entered_by is not None) == ("1000.5", AFTER, True)
    assert changing.take(CLERK, service.type_cells, report_id=report.id, cells={("t07", ROW, "norm"): "1000.5"}) == 0


@pytest.mark.parametrize(
    ("cell", "text", "code"),
    [
        (("t07", ROW, "running"), "1", "cell_derived"), (("t07", "org=330106-HEALTH", "norm"), "1", "cell_derived"),
        (("t99", ROW, "norm"), "1", "cell_derived"), (("t07", ROW, "norm"), "many", "cell_number"), (("t07", ROW, "norm"), "-1", "cell_number"),
        (("t01", ROW, "nature"), "company", "cell_choice"), (("t07", ROW, "major_reason"), "长" * 201, "cell_long"),
    ],
)  # fmt: skip
def test_cells_that_cannot_be_typed_so_are_refused(changing, cell, text, code):
    report = opened(changing)
    with pytest.raises(RuleBroken, match=code):
        changing.take(CLERK, service.type_cells, report_id=report.id, cells={cell: text})


def test_everybody_stays_in_their_own_units(changing):
    report = opened(changing)
    with pytest.raises(NotFound):
        changing.take(HEALTH, service.type_cells, report_id=report.id, cells={})
    with pytest.raises(NotAllowed):
        changing.take("auditor.city", service.type_cells, report_id=report.id, cells={})
    with pytest.raises(NotAllowed):
        changing.take(HEALTH, service.open_report, org_id=changing.org("330106-EDU").id, code="2026-06")
    with pytest.raises(NotAllowed):
        changing.take("leader.city", service.submit, report_id=report.id)
    for reader in ("leader.city", "auditor.xihu", "finance.city"):
        assert (
            changing.read(queries.get_report, report_id=report.id, actor=_actor(changing, reader), username=reader).id
            == report.id
        )
    hidden = changing.read(lambda s: s.scalars(select(queries.StatisticReport)).all(), username=HEALTH)
    assert hidden == []


def _actor(city, username):
    from tests import world

    return world.actor(city.database, username)


AGAINST = (
    "UPDATE statistic_version SET content = '{}'", "DELETE FROM statistic_version", "UPDATE statistic_entry SET value = '9'",
    "DELETE FROM statistic_report", "UPDATE statistic_report SET state = 'DRAFT', edition = 0, submitted_at = NULL",
    "UPDATE statistic_report SET period = '2026-07'", "UPDATE statistic_report SET edition = 7",
    """INSERT INTO statistic_version (report_id, edition, number, content, sha256, reason, made_by, made_at)
       SELECT report_id, 3, 'X', '{}', sha256, '跳号更正', made_by, made_at FROM statistic_version""",
    """INSERT INTO statistic_entry (org_id, period, form, row_key, column_key, value, entered_by, at)
       SELECT org_id, period, form, row_key, column_key, '9', entered_by, at FROM statistic_entry LIMIT 1""",
)  # fmt: skip


def test_the_database_itself_keeps_what_was_submitted(changing):
    report = submitted(changing)
    for sql in AGAINST:
        with pytest.raises((DBAPIError, Conflict)):
            changing.run(sql)
    assert changing.report(report.id).edition == 1
    assert changing.read(lambda s: s.scalars(select(StatisticVersion.edition)).all()) == [1]
