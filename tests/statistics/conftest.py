"""A small city of which every cell is known by hand, made once for all tests that only read it.

Xihu's education bureau (``xhedu``) holds 浙A10001 (petrol, 2022) and 浙AD00002 (BEV), the health bureau 浙A10003, the city's
fleet 浙A10004 (diesel) and 浙AF00006 (PHEV), Binjiang's water bureau 浙A10005. In June 2026, on top of that:

* ``xhedu`` has a quota of 4 and buys 浙AD00007 (BEV, CNY 150,000 and 15,000 tax) on the 10th;
* 浙A10003 goes from ``xhhealth`` to ``xhedu`` on the 20th; 浙A10005 is scrapped on the 25th;
* ``xhedu`` spends 300 on tolls, 50 on washing, fills 40 L for 320 and charges 60 kWh for 60;
* an applicant of ``xhhealth`` is driven by 浙A10001 (of ``xhedu``) for 30 km on the 15th, one of ``xhedu`` for 20 km on the 16th.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text

from fleetapp import wiring
from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.statistics import rules
from fleetapp.statistics.models import StatisticReport
from tests import world

JUNE = rules.period("2026-06")
AFTER = datetime(2026, 7, 3, 2, tzinfo=UTC)
"""3 July, 10:00 at the office: June is over."""


@dataclass
class City:
    """The database, and steps of people in it in short."""

    database: Database

    def org(self, code: str) -> Organisation:
        with self.database.transaction(SYSTEM) as session:
            return session.scalars(select(Organisation).where(Organisation.code == code)).one()

    def take(self, username: str, function: Any, now: datetime = AFTER, **given: Any) -> Any:
        who = world.actor(self.database, username)
        with self.database.transaction(who) as session:
            return function(session, actor=who, now=now, **given)

    def read(self, function: Any, *args: Any, username: str | None = None, **given: Any) -> Any:
        who = world.actor(self.database, username) if username else SYSTEM
        with self.database.transaction(who) as session:
            return function(session, *args, **given)

    def run(self, sql: str, **given: Any) -> Any:
        with self.database.transaction(SYSTEM) as session:
            return session.execute(text(sql), given)

    def force(self, sql: str) -> None:
        """Change records behind the back of every guard, as only the owner of the database could."""
        with self.database.transaction(SYSTEM) as session:
            for step in (
                "RESET ROLE",
                "SET session_replication_role = replica",
                sql,
                "SET session_replication_role = DEFAULT",
                "SET ROLE fleet_app",
            ):
                session.execute(text(step))

    def report(self, report_id: int) -> StatisticReport:
        with self.database.transaction(SYSTEM) as session:
            return session.get_one(StatisticReport, report_id)


def local(day: int, hour: int = 10, month: int = 6) -> datetime:
    """Return a moment of June by the office's clock."""
    return datetime(2026, month, day, hour - 8, tzinfo=UTC)


def furnish(url: str) -> None:
    """Put June into a database, as its owner: the ways these rows come about are tests of other slices."""
    engine = make_engine(url, role=None)
    with engine.begin() as s:
        orgs = {row.code: row.id for row in s.execute(text("SELECT id, code FROM organisation"))}
        edu, health, water = orgs["330106-EDU"], orgs["330106-HEALTH"], orgs["330108-WATER"]
        people = {row.username: row.id for row in s.execute(text("SELECT id, username FROM user_account"))}
        cars = {row.plate: row.id for row in s.execute(text("SELECT id, plate FROM vehicle"))}
        s.execute(text("SET session_replication_role = replica"))
        for org_id, number in ((edu, 4), (health, 1), (water, 1), (orgs["330100-FLEET"], 2)):
            category = "ZFZQ" if org_id == water else "YJBZ"
            s.execute(text("INSERT INTO quota_entry (org_id, category, delta, effective_on, document_no, created_at)"
                           " VALUES (:o, :c, :n, '2022-01-01', '杭编〔2022〕1号', now())"), {"o": org_id, "c": category, "n": number})  # fmt: skip
        s.execute(text(
            "INSERT INTO vehicle (org_id, plate, vin, category, body, energy, seats, model, state, range_km, odometer_m, registered_on, acquired_on,"
            " price_ex_tax, purchase_tax, created_at, version) VALUES (:o, '浙AD00007', 'LSVAA11Z5M2000007', 'YJBZ', 'sedan', 'bev', 5, '示例', 'IN_SERVICE',"
            " 400, 1000000, '2026-06-10', '2026-06-10', 150000, 15000, now(), 1)"), {"o": edu})  # fmt: skip
        case = ("INSERT INTO disposal_case (org_id, number, vehicle_id, mode, receiver_org_id, state, reason, applicant_id, appraised_value, decided_by,"
                " decided_at, deal_on, deal_price, allowed_fees, remitted, remitted_on, receipt_no, certificate_no, deregistered_on, marking_removed,"
                " cards_cancelled, insurance_ended, archive_sha256, created_at, version) VALUES (:o, :n, :v, :m, :r, 'ARCHIVED', '到期', :a, 5000, :d, :at, :deal,"
                " :price, :fees, :net, :deal, :no, :no, :gone, true, true, true, :sha, :at, 1) RETURNING id")  # fmt: skip
        common = {"a": people["unit_admin.xhedu"], "d": people["vehicle_office.city"], "sha": "0" * 64}
        moved = s.execute(text(case), {**common, "o": health, "n": "CZ-1", "v": cars["浙A10003"], "m": "transfer", "r": edu, "at": local(18), "deal": None,
                                       "price": None, "fees": None, "net": None, "no": None, "gone": None}).scalar()  # fmt: skip
        s.execute(text("INSERT INTO disposal_event (case_id, action, from_state, to_state, at) VALUES (:c, 'hand_over', 'APPROVED', 'ARCHIVED', :at)"),
                  {"c": moved, "at": local(20)})  # fmt: skip
        s.execute(text("UPDATE vehicle SET org_id = :o WHERE id = :v"), {"o": edu, "v": cars["浙A10003"]})
        s.execute(text(case), {**common, "o": water, "n": "CZ-2", "v": cars["浙A10005"], "m": "scrap", "r": None, "at": local(12), "deal": date(2026, 6, 22),
                               "price": 3000, "fees": 200, "net": 2800, "no": "JF-1", "gone": date(2026, 6, 25)})  # fmt: skip
        s.execute(text("UPDATE vehicle SET state = 'RETIRED' WHERE id = :v"), {"v": cars["浙A10005"]})
        for kind, amount in (("toll", 300), ("wash", 50)):
            s.execute(text('INSERT INTO cost_entry (org_id, vehicle_id, "on", kind, amount, explanation, created_at)'
                           " VALUES (:o, :v, '2026-06-05', :k, :n, '公务通行', now())"), {"o": edu, "v": cars["浙A10001"], "k": kind, "n": amount})  # fmt: skip
        for plate, kind, quantity, price in (("浙A10001", "fuel", 40, 8), ("浙AD00002", "charge", 60, 1)):
            s.execute(text("INSERT INTO energy_entry (org_id, vehicle_id, kind, at, quantity, unit_price, amount, source, created_at)"
                           " VALUES (:o, :v, :k, :at, :q, :p, :n, 'manual', now())"),
                      {"o": edu, "v": cars[plate], "k": kind, "at": local(6), "q": quantity, "p": price, "n": quantity * price})  # fmt: skip
        s.execute(
            text(
                "INSERT INTO vehicle_fact (org_id, vehicle_id, key, value, entered_at) SELECT org_id, id, 'asset_card_no', 'ZC-' || id, now() FROM vehicle"
            )
        )
        for number, org_id, applicant, day, km in (
            ("YC-1", health, "applicant.xhhealth", 15, 30),
            ("YC-2", edu, "applicant.xhedu", 16, 20),
        ):
            _journey(s, number, org_id, edu, cars["浙A10001"], people, applicant, day, km)
        s.execute(text("SET session_replication_role = DEFAULT"))
    engine.dispose()


def _journey(
    s: Any, number: str, user: int, holder: int, car: int, people: dict[str, int], applicant: str, day: int, km: int
) -> None:
    """Insert an order from 10:00 to 12:00 that left 3 minutes late, was confirmed and driven by track."""
    given = {"o": user, "h": holder, "n": number, "p": people[applicant], "a": people["approver.xhedu"], "start": local(day), "end": local(day, 12),
             "made": local(day, 9)}  # fmt: skip
    order = s.execute(text(
        "INSERT INTO travel_order (org_id, serving_org_id, number, kind, purpose, reason, applicant_id, filed_by_id, approver_id, passengers, passenger_count,"
        " contact, body, start_at, end_at, state, supplementary, created_at, approved_at, pooling_ok, round_trip, area, luggage, version) VALUES"
        " (:o, :h, :n, 'ordinary', 'meeting', '会议', :p, :p, :a, '甲', 2, '0571', 'sedan', :start, :end, 'MILEAGE_CONFIRMED', false, :made,"
        " :made + interval '10 min', false, true, 'city', '', 1) RETURNING id"), given).scalar()  # fmt: skip
    driver = s.execute(text("SELECT id FROM driver LIMIT 1")).scalar()
    slip = s.execute(text("INSERT INTO dispatch_slip (org_id, year, seq, number, issued_at) VALUES (:h, 2026, :seq, :n, :made) RETURNING id"),
                     {**given, "seq": 9000 + day}).scalar()  # fmt: skip
    booked = s.execute(text(
        "INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at) VALUES"
        " (:h, :o, :order, :car, :driver, :slip, tstzrange(:start, :end), 'ACTIVE', :made + interval '25 min') RETURNING id"),
        {**given, "order": order, "car": car, "driver": driver, "slip": slip}).scalar()  # fmt: skip
    s.execute(text("INSERT INTO duty_event (org_id, assignment_id, driver_id, action, idempotency_key, at, received_at, odometer_m)"
                   " VALUES (:h, :b, :d, 'CHECK_OUT', :n, :start + interval '3 min', :start, 1)"), {**given, "b": booked, "d": driver})  # fmt: skip
    s.execute(text("INSERT INTO mileage_confirmation (org_id, order_id, confirmed_m, source, over_limit, auto, at)"
                   " VALUES (:o, :order, :m, 'GPS', false, true, :end)"), {**given, "order": order, "m": km * 1000})  # fmt: skip
    trip = s.execute(text(
        "INSERT INTO trip (org_id, vehicle_id, terminal_id, start_at, end_at, path, gps_m, best_m, best_source, error_m, coverage, points, max_speed_kmh, stops,"
        " gaps, content_digest, derived_at) VALUES (:h, :car, 1, :start, :end, 'SRID=4326;LINESTRING(120 30, 120.1 30)', :m, :m, 'gps', 1, 0.9, 10, 60, '[]', '[]',"
        " :n, :end) RETURNING id"), {**given, "car": car, "m": km * 1000 + 5000}).scalar()  # fmt: skip
    for kind, matched, metres, offset in (("matched", order, km * 1000, 0), ("unmatched", None, 5000, 60)):
        s.execute(text("INSERT INTO trip_match (org_id, trip_id, order_id, start_at, end_at, distance_m, kind, margin, candidates, derived_at)"
                       " VALUES (:h, :t, :order, :start + make_interval(mins => :x), :end, :m, :k, 0, '[]', :end)"),
                  {**given, "t": trip, "order": matched, "m": metres, "k": kind, "x": offset})  # fmt: skip


@pytest.fixture(scope="package")
def city_url(new_database) -> str:
    """Address of the city's database."""
    url = new_database()
    furnish(url)
    return url


@pytest.fixture(scope="package")
def city(city_url) -> Iterator[City]:
    """The city for tests that change nothing."""
    engine = make_engine(city_url)
    yield City(Database(engine, wiring.CONSTRAINT_ERRORS))
    engine.dispose()


@pytest.fixture
def changing(city_url) -> Iterator[City]:
    """The city inside one transaction that is rolled back after the test."""
    engine = make_engine(city_url)
    with engine.connect() as connection:
        outer = connection.begin()
        yield City(Database(connection, wiring.CONSTRAINT_ERRORS))
        outer.rollback()
    engine.dispose()


def amount(value: str | None) -> Decimal:
    """Return a cell as a number, nothing as 0."""
    return Decimal(value or 0)
