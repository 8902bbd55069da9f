"""Row-level security: what the application's role sees and may write, with raw SQL, whatever the code above forgets."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from geoalchemy2 import Geometry
from sqlalchemy import (
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    Text,
    Time,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import BIT, JSONB, Range
from sqlalchemy.exc import ProgrammingError

from fleetapp.audit import service as audit
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.wiring import metadata
from telematics import tables as gps
from tests import world
from tests.migrations import rows_of_emergencies, rows_of_journeys, rows_of_sharing, rows_of_upkeep, settled

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
POINT, LINE = "SRID=4326;POINT(120.1 30.2)", "SRID=4326;LINESTRING(120.1 30.2, 120.2 30.3)"
DUMMY = {
    BigInteger: 1, Integer: 1, Float: 0.5, Numeric: Decimal(1), Boolean: False, Date: date(2026, 1, 1), DateTime: NOW,
    LargeBinary: b"", JSONB: {}, Text: "test", Time: time(0), BIT: "0" * 96,
}  # fmt: skip
FOREIGN, OWN = "xhedu", "bjwater"
HIDDEN = [
    "parking_area", "vehicle", "terminal_binding", "driver", "travel_order", "order_stop", "order_event", "dispatch_slip",
    "assignment", "plan_run", "duty_event", "trip", "trip_match", "finding", "finding_event", "export_record", "audit_entry",
    "sign_in", "gps_fix", "gps_raw", "gps_last", "gps_day", "terminal_event", "terminal_command", "terminal_sim", "vehicle_document", "attachment",
    "quota_entry", "indicator", "indicator_event", "budget_line", "procurement", "disposal_case", "disposal_event", "renewal_run",
    "vehicle_fact", "lab_study", *settled.TABLES, "seal_campaign", "seal_record", "seal_exception", "seal_event", "ledger_import", "energy_card", "energy_entry", "energy_import", "cost_entry",
    "odometer_reading", "meter_change", "supplier", "upkeep_plan", "upkeep_done", "upkeep_reminder", "work_order", "work_quote",
    "work_line", "work_event", "vehicle_incident", "trip_expense", "phone_position", "mileage_confirmation", "mileage_remark", "trip_rating",
    *rows_of_emergencies.INSERTS, *rows_of_journeys.INSERTS,
]  # fmt: skip
KEYS = {"audit_entry": "seq", "gps_raw": "first_terminal"} | dict.fromkeys(
    ("gps_fix", "gps_last", "gps_day", "terminal_sim"), "terminal_id"
)
READERS = ["dispatcher.binjiang", "auditor.binjiang", "unit_admin.bjwater"]


def table_of(name):
    return {**metadata.tables, **gps.metadata.tables}[name]


def row(name, **given):
    """Return a full row: what is given, and any value of the right type for whatever else must not be null."""
    for column in table_of(name).columns:
        if column.name in given or column.nullable or column.server_default is not None or column.identity is not None:
            continue
        if column.computed is None and not isinstance(column.type, Geometry):
            given[column.name] = next(value for kind, value in DUMMY.items() if isinstance(column.type, kind))
    return given


def add(session, name, **given):
    key = table_of(name).c[KEYS.get(name, "id")]
    return session.execute(insert(table_of(name)).values(row(name, **given)).returning(key)).scalar_one()


def seed_unit(session, unit, number):
    """Give a unit one row in every table; returns each row's key by table."""
    found = session.execute(
        text(
            "SELECT o.id AS org_id, v.id AS vehicle, b.id AS terminal_binding, b.terminal_id, p.id AS parking_area, d.id AS driver,"
            " d.user_id FROM organisation o JOIN vehicle v ON v.org_id = o.id JOIN terminal_binding b ON b.vehicle_id = v.id"
            " JOIN parking_area p ON p.org_id = o.id JOIN driver d ON d.org_id = o.id"
            " WHERE o.name_zh = :name ORDER BY v.id, d.id LIMIT 1"
        ),
        {"name": next(zh for key, _, _, _, zh, _, _ in world.ORGS if key == unit)},
    ).one()
    keys = dict(found._mapping)
    org_id, vehicle_id = keys["org_id"], keys["vehicle"]
    window = {"start_at": NOW, "end_at": NOW + timedelta(hours=2)}
    applicant_id = session.scalar(text("SELECT id FROM user_account WHERE username = :u"), {"u": f"applicant.{unit}"})
    keys["travel_order"] = order_id = add(
        session, "travel_order", org_id=org_id, number=f"YC-{number}", kind="ordinary", purpose="inspection", body="sedan",
        state="SUBMITTED", applicant_id=applicant_id, **window,
    )  # fmt: skip
    keys["order_stop"] = add(session, "order_stop", order_id=order_id, position=0, point=POINT)
    keys["order_event"] = add(session, "order_event", order_id=order_id)
    code = next(code for key, _, _, code, *_ in world.ORGS if key == unit)
    session.execute(text("INSERT INTO number_series (key, last) VALUES (:key, 1)"), {"key": f"{code}-1"})
    keys["dispatch_slip"] = slip_id = add(session, "dispatch_slip", org_id=org_id, number=f"{code}-1-00001")
    keys["assignment"] = assignment_id = add(
        session, "assignment", org_id=org_id, order_org_id=org_id, order_id=order_id, vehicle_id=vehicle_id,
        driver_id=keys["driver"], slip_id=slip_id, during=Range(NOW, NOW + timedelta(hours=2)), state="ACTIVE",
    )  # fmt: skip
    keys["plan_run"] = add(session, "plan_run", org_id=org_id, requested_by=applicant_id, state="DONE", **window)
    keys["duty_event"] = add(session, "duty_event", org_id=org_id, assignment_id=assignment_id, driver_id=keys["driver"],
                             action="ACCEPT", idempotency_key=f"k{number}")  # fmt: skip
    session.execute(text("UPDATE travel_order SET state = 'CHECKED_OUT' WHERE id = :id"), {"id": order_id})
    keys["trip_expense"] = add(session, "trip_expense", org_id=org_id, assignment_id=assignment_id, driver_id=keys["driver"], kind="TOLL",
                               idempotency_key=f"k{number}")  # fmt: skip
    keys["phone_position"] = rows_of_journeys.position(session, add, keys)
    session.execute(text("UPDATE travel_order SET state = 'RETURNED' WHERE id = :id"), {"id": order_id})
    keys["mileage_remark"] = add(
        session, "mileage_remark", org_id=org_id, order_id=order_id, seq=1, said_by=applicant_id
    )
    keys["mileage_confirmation"] = add(session, "mileage_confirmation", org_id=org_id, order_id=order_id, source="ODOMETER",
                                       confirmed_by=applicant_id)  # fmt: skip
    keys["trip_rating"] = add(
        session, "trip_rating", org_id=org_id, order_id=order_id, driver_id=keys["driver"], rated_by=applicant_id
    )
    session.execute(text("UPDATE travel_order SET state = 'SUBMITTED' WHERE id = :id"), {"id": order_id})
    keys["trip"] = trip_id = add(session, "trip", org_id=org_id, vehicle_id=vehicle_id, path=LINE, **window)
    keys["trip_match"] = add(session, "trip_match", org_id=org_id, trip_id=trip_id, kind="unmatched", **window)
    keys["finding"] = finding_id = add(
        session, "finding", org_id=org_id, number=f"F-{number}", dedupe_key=f"d{number}", vehicle_id=vehicle_id,
        severity="orange", state="DETECTED", **window,
    )  # fmt: skip
    keys["finding_event"] = add(session, "finding_event", finding_id=finding_id)
    keys["export_record"] = add(session, "export_record", org_id=org_id, actor_id=applicant_id, reason="test reason")
    keys["vehicle_document"] = add(
        session, "vehicle_document", org_id=org_id, vehicle_id=vehicle_id, kind="etc", number="E1"
    )
    keys["quota_entry"] = add(session, "quota_entry", org_id=org_id, category="QT", delta=9)
    keys["indicator"] = indicator_id = add(
        session, "indicator", org_id=org_id, number=f"ZB-{number}", kind="new", category="QT", body="suv", energy="bev", step="normal",
        max_price=Decimal(9), state="APPROVED", applicant_id=applicant_id, decided_by=keys["user_id"], decided_at=NOW, expires_on=date(2027, 1, 1),
        fiscal_year=2026,
    )  # fmt: skip
    keys["indicator_event"] = add(session, "indicator_event", indicator_id=indicator_id)
    keys["budget_line"] = budget_id = add(
        session, "budget_line", org_id=org_id, indicator_id=indicator_id, fiscal_year=2026, amount=Decimal(9)
    )
    keys["procurement"] = add(
        session, "procurement", org_id=org_id, indicator_id=indicator_id, budget_line_id=budget_id, state="OPEN", domestic=True
    )  # fmt: skip
    keys["ledger_import"] = add(
        session, "ledger_import", org_id=org_id, kind="vehicles", state="UPLOADED", uploaded_by=applicant_id
    )
    keys["disposal_case"] = add(session, "disposal_case", org_id=org_id, number=f"CZ-{number}", vehicle_id=vehicle_id, mode="scrap",
                                state="REQUESTED", applicant_id=applicant_id)  # fmt: skip
    keys["disposal_event"] = add(session, "disposal_event", case_id=keys["disposal_case"])
    keys |= settled.rows(session, add, org_id=org_id, applicant_id=applicant_id, number=number)
    keys["vehicle_fact"] = add(session, "vehicle_fact", org_id=org_id, vehicle_id=vehicle_id)
    days = Range(NOW.date(), NOW.date() + timedelta(days=3))
    keys["seal_campaign"] = campaign_id = add(
        session, "seal_campaign", org_id=org_id, number=f"FC-{number}", start_on=days.lower, end_on=days.upper, state="PUBLISHED", notice_no="x",
        made_by=applicant_id, published_by=applicant_id,
    )  # fmt: skip
    keys["seal_record"] = add(session, "seal_record", org_id=org_id, campaign_id=campaign_id, vehicle_id=vehicle_id, during=days,
                              state="TO_SEAL")  # fmt: skip
    keys["seal_exception"] = add(session, "seal_exception", org_id=org_id, record_id=keys["seal_record"], purpose="flood duty", start_on=days.lower,
                                 end_on=days.upper, state="REQUESTED", requester_id=applicant_id)  # fmt: skip
    keys["seal_event"] = add(session, "seal_event", campaign_id=campaign_id, record_id=keys["seal_record"])
    keys["energy_card"] = card_id = add(session, "energy_card", org_id=org_id, vehicle_id=vehicle_id, kind="fuel", number=f"K00{number}",
                                        state="ACTIVE")  # fmt: skip
    keys["energy_entry"] = add(
        session, "energy_entry", org_id=org_id, vehicle_id=vehicle_id, card_id=card_id, kind="fuel", source="manual"
    )
    keys["energy_import"] = add(session, "energy_import", org_id=org_id, state="CHECKED")
    keys["cost_entry"] = add(session, "cost_entry", org_id=org_id, vehicle_id=vehicle_id, kind="wash")
    for name, more in (("renewal_run", {}), ("lab_study", {"kind": "nev", "state": "QUEUED"})):
        keys[name] = add(session, name, org_id=org_id, requested_by=applicant_id, **more)
    keys |= rows_of_sharing.seed(add, session, keys, applicant_id, number)
    keys |= rows_of_upkeep.seed(session, add, keys, applicant_id, number)
    keys |= rows_of_journeys.seed(session, add, keys, number)
    keys |= rows_of_emergencies.seed(session, add, keys, applicant_id, number)
    sha256 = session.scalar(text("SELECT encode(sha256(:content), 'hex')"), {"content": unit.encode()})
    session.execute(insert(table_of("attachment_content")).values(sha256=sha256, content=unit.encode()))
    keys["attachment"] = add(session, "attachment", org_id=org_id, sha256=sha256, created_by=None)
    keys["sign_in"] = add(session, "sign_in", user_id=keys["user_id"], kind="web", token_sha256=f"t{number}")
    session.execute(text("SELECT gps_ensure_partition(:day)"), {"day": NOW.date()})
    for name, when in (("gps_fix", {"at": NOW}), ("gps_last", {"at": NOW}), ("gps_day", {"day": NOW.date()})):
        keys[name] = add(session, name, terminal_id=keys["terminal_id"], **when)
    of_terminal = {"terminal_command": {"kind": "text", "expires_at": NOW + timedelta(hours=1)},
                   "terminal_sim": {"iccid": f"898600000000000000{number}0", "carrier": "mobile"}}  # fmt: skip
    keys |= {name: add(session, name, terminal_id=keys["terminal_id"], **given) for name, given in of_terminal.items()}
    session.execute(text("SET LOCAL ROLE fleet_gateway"))  # the application only reads what terminals report
    keys["terminal_event"] = add(session, "terminal_event", terminal_id=keys["terminal_id"], kind="driver_card")
    session.execute(text("SET LOCAL ROLE fleet_app"))
    terminals = dict.fromkeys(("first_terminal", "last_terminal"), keys["terminal_id"])
    keys["gps_raw"] = add(session, "gps_raw", day=NOW.date(), **terminals)
    said = {"action": "test.seeded", "subject_type": "test", "subject_id": unit, "org_id": org_id}
    audit.record(session, actor=SYSTEM, now=NOW, **said)
    return keys


@pytest.fixture(scope="module")
def seeded(new_database):
    """A database with one row in every table for a unit of Xihu and one of Binjiang; (database, keys by unit)."""
    engine = make_engine(new_database())
    database = Database(engine)
    with database.transaction(SYSTEM) as session:
        keys = {unit: seed_unit(session, unit, number) for number, unit in enumerate((FOREIGN, OWN), start=1)}
    with database.transaction(SYSTEM) as session:  # the log is written at the end of a transaction
        logged = "SELECT subject_id, seq FROM audit_entry WHERE action = 'test.seeded'"
        for unit, seq in session.execute(text(logged)):
            keys[unit]["audit_entry"] = seq
    yield database, keys
    engine.dispose()


def visible(session, name, keys):
    column = table_of(name).c[KEYS.get(name, "id")]
    wanted = [keys[FOREIGN][name], keys[OWN][name]]
    return set(session.scalars(select(column).where(column.in_(wanted))))


@pytest.mark.parametrize("name", HIDDEN)
def test_the_system_sees_both_units(seeded, name):
    database, keys = seeded
    with database.transaction(SYSTEM) as session:
        assert visible(session, name, keys) == {keys[FOREIGN][name], keys[OWN][name]}


@pytest.mark.parametrize("name", [name for name in HIDDEN if name != "sign_in"])
@pytest.mark.parametrize("username", READERS)
def test_rows_of_another_district_are_invisible_to_raw_sql(seeded, username, name):
    database, keys = seeded
    with database.transaction(world.actor(database, username)) as session:
        assert visible(session, name, keys) == {keys[OWN][name]}


@pytest.mark.parametrize("name", HIDDEN)
def test_without_a_scope_nothing_is_visible(seeded, name):
    database, _ = seeded
    with database.engine.connect() as connection:
        column = table_of(name).c[KEYS.get(name, "id")]
        assert connection.scalars(select(column).limit(1)).all() == []


def test_only_the_own_sign_in_is_visible(seeded):
    database, keys = seeded
    for username, expected in (("driver.bjwater", {keys[OWN]["sign_in"]}), ("dispatcher.city", set())):
        with database.transaction(world.actor(database, username)) as session:
            assert visible(session, "sign_in", keys) == expected


INSERTS = {
    "parking_area": {"area": world.square(120.1, 30.2)},
    "vehicle": {"plate": "浙A99999", "vin": "X", "category": "QT", "body": "suv", "energy": "hev", "state": "IN_SERVICE"},
    "terminal_binding": {"vehicle_id": "vehicle", "during": Range(NOW, None)},
    "driver": {"licence": "C1", "user_id": "user_id"},
    "travel_order": {"number": "YC-9", "kind": "ordinary", "purpose": "meeting", "body": "suv", "state": "SUBMITTED",
                     "start_at": NOW, "end_at": NOW + timedelta(hours=1), "applicant_id": "user_id"},
    "order_stop": {"order_id": "travel_order", "position": 1, "point": POINT},
    "order_event": {"order_id": "travel_order"},
    "dispatch_slip": {"number": "S-9", "seq": 9},
    "assignment": {"order_org_id": "org_id", "order_id": "travel_order", "vehicle_id": "vehicle", "driver_id": "driver",
                   "slip_id": "dispatch_slip", "during": Range(NOW + timedelta(days=9), NOW + timedelta(days=10)), "state": "ACTIVE"},
    "plan_run": {"state": "DONE", "requested_by": "user_id"},
    "duty_event": {"assignment_id": "assignment", "driver_id": "driver", "action": "ACCEPT", "idempotency_key": "k9"},
    "mileage_confirmation": {"order_id": "travel_order", "source": "ODOMETER", "confirmed_by": 1},
    "mileage_remark": {"order_id": "travel_order", "seq": 2, "said_by": 1},
    "trip_rating": {"order_id": "travel_order", "driver_id": "driver", "rated_by": 1},
    "trip_expense": {"assignment_id": "assignment", "driver_id": "driver", "kind": "TOLL", "idempotency_key": "k9"},
    "trip": {"vehicle_id": "vehicle", "path": LINE, "start_at": NOW + timedelta(days=9), "end_at": NOW + timedelta(days=10)},
    "trip_match": {"trip_id": "trip", "kind": "unmatched"},
    "finding": {"number": "F-9", "dedupe_key": "d9", "vehicle_id": "vehicle", "severity": "red", "state": "DETECTED"},
    "finding_event": {"finding_id": "finding"},
    "export_record": {"actor_id": "user_id", "reason": "test reason"},
    "quota_entry": {"category": "QT", "delta": 1},
    "indicator": {"number": "ZB-9", "kind": "new", "category": "QT", "body": "suv", "energy": "bev", "step": "normal", "max_price": Decimal(9),
                  "state": "DRAFT", "applicant_id": "user_id"},
    "indicator_event": {"indicator_id": "indicator"},
    "ledger_import": {"kind": "quotas", "state": "UPLOADED", "uploaded_by": "user_id"},
    "disposal_case": {"number": "CZ-9", "vehicle_id": "vehicle", "mode": "scrap", "state": "REQUESTED", "applicant_id": "user_id"},
    "disposal_event": {"case_id": "disposal_case"},
    "seal_campaign": {"number": "FC-9", "start_on": NOW.date(), "end_on": NOW.date() + timedelta(days=3), "state": "DRAFT", "made_by": 1},
    "seal_record": {"campaign_id": "seal_campaign", "vehicle_id": "vehicle", "state": "TO_SEAL",
                    "during": Range(NOW.date(), NOW.date() + timedelta(days=3))},
    "seal_exception": {"record_id": "seal_record", "purpose": "flood duty", "start_on": NOW.date(), "end_on": NOW.date() + timedelta(days=3),
                       "state": "REQUESTED", "requester_id": "user_id"},
    "seal_event": {"campaign_id": "seal_campaign"},
    "renewal_run": {"requested_by": "user_id"}, "lab_study": {"kind": "nev", "state": "QUEUED", "requested_by": "user_id"},
    "vehicle_fact": {"vehicle_id": "vehicle"},
    "energy_card": {"vehicle_id": "vehicle", "kind": "fuel", "number": "K009", "state": "ACTIVE", "valid_from": date(2030, 1, 1)},
    "energy_entry": {"vehicle_id": "vehicle", "kind": "fuel", "source": "manual", "at": NOW + timedelta(days=9)},
    "energy_import": {"state": "CHECKED"},
    "cost_entry": {"vehicle_id": "vehicle", "kind": "wash"},
    "odometer_reading": {"vehicle_id": "vehicle", "meter": 2, "at": NOW + timedelta(hours=2), "reading_m": 9, "source": "manual"},
    "supplier": {"kind": "repair", "contract_no": "DD-9"},
    "upkeep_plan": {"item": "brakes", "every_km": 1000},
    "upkeep_done": {"vehicle_id": "vehicle", "item": "brakes"},
    "upkeep_reminder": {"vehicle_id": "vehicle", "kind": "inspection", "subject": "another"},
    "work_order": {"number": "WX-9", "vehicle_id": "vehicle", "kind": "repair", "state": "REPORTED", "requester_id": "user_id", "items": []},
    "work_event": {"order_id": "work_order"},
    "work_line": {"order_id": "work_order", "kind": "part"},
    "vehicle_incident": {"vehicle_id": "vehicle", "kind": "violation", "state": "OPEN"},
    **rows_of_sharing.INSERTS,
    **rows_of_emergencies.INSERTS,
    "vehicle_document": {"vehicle_id": "vehicle", "kind": "etc", "number": "E9"},
    **rows_of_journeys.INSERTS,
    "gps_fix": {"terminal_id": "terminal_id", "at": NOW, "digest": 9},
    "gps_last": {"terminal_id": "terminal_id"},
    "gps_day": {"terminal_id": "terminal_id", "day": NOW.date() - timedelta(days=1)},
    "terminal_event": {"terminal_id": "terminal_id", "kind": "driver_card"}, "terminal_command": {"terminal_id": "terminal_id", "kind": "text", "expires_at": NOW + timedelta(hours=1)},
    "terminal_sim": {"terminal_id": "terminal_id", "iccid": "8986000000000000009", "carrier": "mobile"},
}  # fmt: skip


@pytest.mark.parametrize("name", INSERTS)
@pytest.mark.parametrize("username", ["dispatcher.binjiang", "fleet_manager.binjiang"])
def test_a_row_for_another_district_is_refused(seeded, username, name):
    database, keys = seeded
    foreign = keys[FOREIGN]
    given = {
        column: foreign[value] if column.endswith("_id") or column in {"requested_by", "uploaded_by"} else value
        for column, value in INSERTS[name].items()
    }
    if "org_id" in table_of(name).c:
        given["org_id"] = foreign["org_id"]
    with pytest.raises(ProgrammingError, match=f'row-level security policy for table "{name}"'):
        with database.transaction(world.actor(database, username)) as session:
            session.execute(insert(table_of(name)).values(row(name, **given)))


@pytest.mark.parametrize("name", ["vehicle", "driver", "parking_area", "travel_order", "trip", "finding"])
def test_a_row_of_another_district_cannot_be_changed_nor_an_own_one_given_away(seeded, name):
    database, keys = seeded
    update = f"UPDATE {name} SET org_id = :org WHERE id = :id"
    with database.transaction(world.actor(database, "dispatcher.binjiang")) as session:
        result = session.execute(text(update), {"org": keys[OWN]["org_id"], "id": keys[FOREIGN][name]})
        assert result.rowcount == 0
    with pytest.raises(ProgrammingError, match="row-level security"):
        with database.transaction(world.actor(database, "dispatcher.binjiang")) as session:
            session.execute(text(update), {"org": keys[FOREIGN]["org_id"], "id": keys[OWN][name]})


def test_a_vehicle_that_serves_our_order_is_seen_but_stays_its_holders_to_change(new_database):
    engine = make_engine(new_database())
    database = Database(engine)
    with database.transaction(SYSTEM) as session:
        keys = {unit: seed_unit(session, unit, number) for number, unit in enumerate((FOREIGN, OWN), start=1)}
    with database.transaction(SYSTEM) as session:  # the log is written at the end of a transaction
        logged = "SELECT subject_id, seq FROM audit_entry WHERE action = 'test.seeded'"
        for unit, seq in session.execute(text(logged)):
            keys[unit]["audit_entry"] = seq
        ours, theirs = keys[OWN], keys[FOREIGN]
        add(session, "assignment", org_id=theirs["org_id"], order_org_id=ours["org_id"], order_id=ours["travel_order"],
            vehicle_id=theirs["vehicle"], driver_id=theirs["driver"], slip_id=theirs["dispatch_slip"], state="RELEASED",
            during=Range(NOW, NOW + timedelta(hours=1)), released_at=NOW)  # fmt: skip
    who = world.actor(database, "dispatcher.binjiang")
    with database.transaction(who) as session:
        for name in ("vehicle", "driver", "parking_area"):
            assert visible(session, name, keys) == {ours[name], theirs[name]}, name
        assert visible(session, "trip", keys) == {ours["trip"]}
        assert visible(session, "travel_order", keys) == {ours["travel_order"]}
    with pytest.raises(ProgrammingError, match="row-level security"):
        with database.transaction(who) as session:
            session.execute(text("UPDATE vehicle SET model = 'x' WHERE id = :id"), {"id": theirs["vehicle"]})
    engine.dispose()


OPEN_TO_ALL = {
    # the directory that everybody signed in needs to read a form
    "organisation", "user_account", "role_grant", "place", "calendar_day",
    "audit_head", "alembic_version", "spatial_ref_sys", "number_series", "derive_cursor",  # counters and cursors
    # devices before they belong to a vehicle, who holds them, windows of work, what was refused, what goes to a superior platform
    "gps_terminal", "gps_touched", "gps_unsealed", "gps_quarantine", "gps_upstream", "gps_upstream_queue", "gps_upstream_sent",
    "gps_upstream_gap", "gps_link", "gps_gateway",
}  # fmt: skip


def test_every_other_table_has_row_level_security(seeded):
    database, _ = seeded
    with database.engine.connect() as connection:
        query = """SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                   AND NOT relrowsecurity AND NOT relispartition"""
        open_tables = set(connection.scalars(text(query)))
    assert open_tables <= OPEN_TO_ALL, "enable row-level security in migrations/sql/scope.sql"


def test_the_role_owns_nothing_and_cannot_step_around(seeded):
    database, _ = seeded
    with database.engine.connect() as connection:
        role = "SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = current_user"
        assert connection.execute(text(role)).one() == (False, False, False)
        owned = "SELECT count(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
        assert connection.scalar(text(owned)) == 0
        day = connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition AND relkind = 'r'")).first()
    for statement, message in (
        (f"SELECT * FROM {day}", "permission denied"),
        ("SET row_security = off; SELECT * FROM vehicle", "row-level security"),
        ("ALTER TABLE vehicle DISABLE ROW LEVEL SECURITY", "must be owner"),
        ("DELETE FROM trip", "permission denied"),
    ):
        with database.engine.connect() as connection, pytest.raises(ProgrammingError, match=message):
            connection.execute(text(statement))
