"""A short demo filled for real: numbers that agree, clues where the story has them, nothing done twice."""

from datetime import UTC, date, datetime

import psycopg
import pytest
from sqlalchemy import text

from fleetapp import wiring
from fleetapp.demo import cli, people, seed
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings
from tests.conftest import named

FRIDAY_MORNING = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
SIZE = seed.Size(days=3, orders_per_day=8)
pytestmark = pytest.mark.timeout(400)  # a whole city is filled, which takes its time on busy cores


@pytest.fixture(scope="module")
def filled(empty_database_url):
    """Three days of the demo, with what was told."""
    engine = make_engine(empty_database_url)
    database = Database(engine, wiring.CONSTRAINT_ERRORS)
    demo = seed.fill(database, now=FRIDAY_MORNING, password=cli.PASSWORD, size=SIZE, say=lambda _line: None)
    yield database, demo
    engine.dispose()


@pytest.fixture
def hours_later(filled, cluster_url):
    """A copy of the filled database, for what changes it, with what was told."""
    database, demo = filled
    database.engine.dispose()  # a database with visitors cannot be copied
    source = database.engine.url.database
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{source}_later" TEMPLATE "{source}"')
        engine = make_engine(named(cluster_url, f"{source}_later"))
        yield Database(engine, wiring.CONSTRAINT_ERRORS), demo
        engine.dispose()
        connection.execute(f'DROP DATABASE "{source}_later" WITH (FORCE)')


def ask(database, query, **values):
    with database.transaction(SYSTEM) as session:
        return [tuple(row) for row in session.execute(text(query), values)]


def test_everything_told_is_in_the_database(filled):
    database, demo = filled
    assert ask(database, "SELECT count(*) FROM vehicle") == [(300,)]
    asked = "SELECT u.username, o.start_at FROM travel_order o JOIN user_account u ON u.id = o.applicant_id"
    assert {(order.applicant, order.start_at) for order in demo.story.orders} <= set(ask(database, asked))
    assert ask(database, "SELECT drill, state FROM emergency_activation ORDER BY id") == [
        (True, "STOOD_DOWN"),
        (False, "STOOD_DOWN"),
    ]
    states = dict(ask(database, "SELECT state, count(*) FROM travel_order GROUP BY 1"))
    assert {"SUBMITTED", "APPROVED", "DRIVER_ACCEPTED", "EN_ROUTE", "MILEAGE_CONFIRMED", "CLOSED"} <= states.keys()
    done = [order for order in demo.story.orders if order.state == "done"]
    matched = "SELECT count(DISTINCT order_id) FROM trip_match WHERE superseded_at IS NULL AND kind = 'matched' AND score >= 0.6"
    assert ask(database, matched)[0][0] >= 0.95 * len(done)


def test_every_labelled_deviation_of_a_drive_without_order_has_its_clue(filled):
    database, demo = filled
    labels = [
        label
        for label in demo.story.labels
        if label.deviates and label.rule in {"A-01", "A-03"} and label.end_at < demo.story.now
    ]
    for label in labels:
        found = ask(
            database,
            "SELECT f.rule FROM finding f JOIN vehicle v ON v.id = f.vehicle_id WHERE v.plate = :plate AND f.start_at < :until"
            " AND f.end_at > :since",
            plate=label.plate, since=label.start_at, until=label.end_at,
        )  # fmt: skip
        assert label.rule in {rule for (rule,) in found} | {"A-01" for _ in found if label.also}, label


def test_journeys_as_ordered_raise_nothing(filled):
    database, demo = filled
    odd = {label.plate for label in demo.story.labels}
    clues = ask(
        database,
        "SELECT v.plate, f.rule FROM finding f JOIN vehicle v ON v.id = f.vehicle_id WHERE f.state <> 'WITHDRAWN'",
    )
    assert not [(plate, rule) for plate, rule in clues if plate not in odd]


def test_work_orders_stand_at_every_stage_and_the_odometers_agree_with_their_ledger(filled):
    database, _ = filled
    states = dict(ask(database, "SELECT state, count(*) FROM work_order GROUP BY 1"))
    assert {"REPORTED", "QUOTED", "APPROVED", "IN_WORK", "DONE", "ACCEPTED"} <= states.keys()
    in_shop = (
        "SELECT count(*) FROM work_order o JOIN vehicle v ON v.id = o.vehicle_id WHERE o.state IN ('IN_WORK', 'DONE')"
    )
    assert ask(database, f"{in_shop} AND v.state <> 'MAINTENANCE'") == [(0,)]
    last = "SELECT max(r.reading_m) FROM odometer_reading r WHERE r.vehicle_id = v.id AND r.meter = v.meter"
    assert ask(database, f"SELECT count(*) FROM vehicle v WHERE v.odometer_m <> ({last})") == [(0,)]
    assert ask(database, "SELECT count(*) FROM meter_change") == [(1,)]
    assert ask(database, "SELECT count(DISTINCT kind) FROM upkeep_reminder")[0][0] >= 3


def test_acquisitions_stand_at_every_stage_and_one_unit_is_over_its_quota(filled):
    database, _ = filled
    states = dict(ask(database, "SELECT state, count(*) FROM indicator GROUP BY 1"))
    assert {"SUBMITTED", "REVIEWED", "APPROVED"} <= states.keys()
    stages = {state for (state,) in ask(database, "SELECT state FROM procurement")}
    assert {"OPEN", "CONTRACTED", "DELIVERED", "ACCEPTED"} <= stages
    free = "SELECT quota_free(org_id, category, current_date) FROM quota_entry"
    assert {-1, 0, 1} <= {value for (value,) in ask(database, free)}


def test_districts_and_the_city_have_figures_of_their_own(filled):
    rows = ask(
        filled[0],
        "SELECT scope, code, withdrawn_at IS NOT NULL FROM policy_value WHERE created_by IS NOT NULL ORDER BY id",
    )
    assert {scope for scope, _, _ in rows} == {"city", "org"}
    assert [code for _, code, withdrawn in rows if withdrawn] == ["idle.max_trips"]


def test_reports_are_begun_and_the_lab_has_questions(filled):
    database, _ = filled
    assert ask(database, "SELECT state, count(*) FROM statistic_report GROUP BY 1") == [("DRAFT", 3)]
    assert ask(database, "SELECT count(DISTINCT org_id), count(*) FROM statistic_entry") == [(2, 10)]
    assert ask(database, "SELECT kind, state FROM lab_study ORDER BY id") == [("sharing", "QUEUED"), ("nev", "QUEUED")]


def test_vehicles_are_shared(filled):
    database, _ = filled
    assert ask(database, "SELECT count(*) FROM share_offer WHERE withdrawn_at IS NULL") == [(4,)]
    assert ask(database, "SELECT state FROM share_request ORDER BY id") == [("ACCEPTED",), ("PENDING",)]
    assert ask(database, "SELECT state, during @> CAST(:now AS timestamptz) FROM share_loan", now=FRIDAY_MORNING) == [
        ("AGREED", True)
    ]


def test_ledgers_were_sent_in_one_committed_one_waiting_one_with_faults(filled):
    database, _ = filled
    found = ask(database, "SELECT state, changed_rows > 0, rejected_rows > 0 FROM ledger_import ORDER BY id")
    assert [tuple(row) for row in found] == [("DONE", True, False), ("CHECKED", True, False), ("CHECKED", True, True)]


def test_the_last_national_day_was_sealed_in_full_and_the_next_holiday_is_drafted(filled):
    database, _ = filled
    campaigns = ask(
        database, "SELECT holiday, state, start_on, count(*) FROM seal_campaign GROUP BY 1, 2, 3 ORDER BY start_on"
    )
    assert campaigns == [("国庆节", "CLOSED", date(2026, 10, 1), 5), ("元旦", "DRAFT", date(2027, 1, 1), 1)]
    states = dict(ask(database, "SELECT state, count(*) FROM seal_record GROUP BY 1"))
    assert states.keys() == {"UNSEALED", "EXEMPT"}
    assert states["UNSEALED"] > 80
    moved = "SELECT count(*) FROM seal_record WHERE unsealed_odometer_m - sealed_odometer_m > 1000"
    assert ask(database, moved) == [(1,)]
    assert ask(database, "SELECT count(*) FROM vehicle WHERE state = 'SEALED'") == [(0,)]


def test_the_audit_chain_is_whole(filled):
    database, _ = filled
    assert ask(database, "SELECT * FROM audit_verify()") == []


def test_the_story_can_be_told_again(filled):
    database, demo = filled
    assert seed.told_again(database).story.orders == demo.story.orders


def test_data_of_another_version_are_known_and_the_way_out_is_told(hours_later, monkeypatch):
    database, _ = hours_later
    monkeypatch.setattr(seed, "SEED", seed.SEED + 1)  # what a later version does: it tells another story
    with pytest.raises(LookupError, match="make demo-reset"):
        seed.told_again(database)


def test_cars_that_circle_on_get_an_order_for_it(hours_later):
    database, demo = hours_later
    later = max(order.end_at for order in demo.story.orders if order.state == "driving")
    renewed = people.keep_on_the_road(database, demo.story, now=later)
    assert renewed >= 0.8 * sum(order.state == "driving" for order in demo.story.orders)
    assert people.keep_on_the_road(database, demo.story, now=later) == 0


def test_filling_twice_is_refused_politely_and_production_altogether(filled, empty_database_url):
    database, _ = filled

    def run(*words, **extra):
        settings = Settings(database_url=empty_database_url, secret_key="only for tests", **extra)
        return create_app(settings, database).test_cli_runner().invoke(args=["demo", *words])

    again = run("seed")
    assert (again.exit_code, "演示数据已存在" in again.output) == (0, True)
    assert "dispatcher" in run("logins").output
    for word in ("seed", "reset", "live", "logins"):
        refused = run(word, env="production")
        assert refused.exit_code == 1
        assert "refused in production" in refused.output
