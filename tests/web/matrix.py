"""Who gets which answer from every route: asked of a furnished database as every role, kept in ``docs/security_matrix.csv``.

``python -m tests.web.matrix`` writes the table anew (it needs ``FLEET_TEST_DATABASE_URL``); look at what changed before keeping it.
Every row of the database belongs to a unit of West Lake district. Requests carry a body that the route's schema takes where one can
be made of it. What is written is rolled back after each request.
"""

import csv
import inspect
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import time_machine
from marshmallow import Schema, fields, validate
from sqlalchemy import text

from fleetapp import wiring
from fleetapp.accounts import sign_ins
from fleetapp.accounts.models import RoleGrant, SignInKind, UserAccount
from fleetapp.accounts.rules import Stage
from fleetapp.accounts.schemas import PageQuery
from fleetapp.factory import create_app
from fleetapp.findings.rules import CATALOGUE
from fleetapp.kit import clock, logs
from fleetapp.kit.actor import ADMINISTRATORS, SYSTEM, Role
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings
from tests import world
from tests.conftest import NOW, _make_template, named
from tests.ground import Ground, value

TABLE = Path(__file__).parents[2] / "docs" / "security_matrix.csv"
UNIT = "xhedu"
WHERE = {
    Role.DISPATCHER: "xihu", Role.FLEET_MANAGER: "xihu", Role.VEHICLE_OFFICE: "city", Role.FINANCE: "city", Role.AUDITOR: "city",
    Role.LEADER: "city", Role.SYSTEM_ADMIN: "city", Role.SECURITY_ADMIN: "city", Role.AUDIT_ADMIN: "city",
}  # fmt: skip
"""Where each role is held: at the unit itself if not said here."""
ROLES = {role.value: f"{role}.{WHERE.get(role, UNIT)}" for role in Role if role is not Role.SYSTEM}
ELSEWHERE, NOBODY = "elsewhere", "no_role"
ASKERS = ["anonymous", NOBODY, *ROLES, ELSEWHERE]
"""``no_role`` is signed in without any; ``elsewhere`` holds every role but the administrators' in another district."""

MAKER = "driver2.xhedu"
OWNERS = {
    "applicant_id": "applicant.xhedu", "filed_by_id": "applicant.xhedu", "concerned_id": "applicant.xhedu", "user_id": "applicant.xhedu",
    ("driver", "user_id"): "driver.xhedu", ("evidence_request", "asked_by_id"): "auditor.xihu",
}  # fmt: skip
"""Whose a row is by the column that says so; whoever else is named is the maker, who is none of the askers."""

OF = {
    "assignment_id": "assignment", "absence_id": "driver_absence", "activation_id": "emergency_activation", "attachment_id": "attachment",
    "book_id": "price_book", "campaign_id": "seal_campaign", "card_id": "energy_card", "change_id": "order_change",
    "delegation_id": "approval_delegation", "delivery_id": "notice_delivery", "document_id": "vehicle_document", "driver_id": "driver",
    "exception_id": "seal_exception", "expense_id": "trip_expense", "favourite_id": "favourite_trip", "finding_id": "finding",
    "floor_id": "reserve_floor", "grant_id": "role_grant", "incident_id": "vehicle_incident", "indicator_id": "indicator",
    "item_id": "sample_item", "loan_id": "share_loan", "notice_id": "notice", "occasion_id": "occasion", "offer_id": "share_offer",
    "order_id": "travel_order", "org_id": "organisation", "outbox_id": "exchange_outbox", "policy_id": "policy_value",
    "procurement_id": "procurement", "proposal_id": "suppression", "record_id": "seal_record", "report_id": "statistic_report",
    "sign_in_id": "sign_in", "statement_id": "statement", "study_id": "lab_study", "supplier_id": "supplier", "task_id": "report_task",
    "terminal_id": "gps_terminal", "trip_id": "trip", "user_id": "user_account", "vehicle_id": "vehicle", "case_id": "finding_case",
    "entry_id": "cost_entry", "import_id": "ledger_import", "plan_id": "emergency_plan", "request_id": "share_request",
    "run_id": "plan_run", "parking_id": "parking_area", "seen": "assignment", "pool_id": "organisation", "from_org_id": "organisation",
    "to_org_id": "organisation",
}  # fmt: skip
"""Which table a number in an address or a form is of."""
WITHIN = (
    ("disposal", "case_id", "disposal_case"), ("energy", "import_id", "energy_import"), ("energy", "entry_id", "energy_entry"),
    ("upkeep/plans", "plan_id", "upkeep_plan"), ("upkeep/orders", "order_id", "work_order"), ("work-orders", "order_id", "work_order"),
    ("evidence", "request_id", "evidence_request"), ("renewal", "run_id", "renewal_run"), ("supervision/reruns", "run_id", "rule_run"),
)  # fmt: skip
"""Where the same name means something else: a part of the address, the name, the table."""
SAID = {
    "provider": "oidc", "filename": "favicon.svg", "on": "2026-11-17", "series": "t1", "phone": "13900000001", "key": "1",
    "exchange": "1", "dashboard": "utilisation", "policies": "sign_in.max_h",
}  # fmt: skip
WORDS = {
    "body": "'sedan'",
    "purpose": "'meeting'",
    "rule": f"'{next(iter(CATALOGUE))}'",
    "rule_code": f"'{next(iter(CATALOGUE))}'",
}
"""Words that pages look up, by column."""
LIKE = {
    "plate": "浙A20001",
    "vin": world.with_check_digit("LSVAA11Z5M2000099"),
    "phone": "13900000077",
    "body": "sedan",
    "licence": "C1",
    "quantity": "1",
}
"""Texts of a form of their own."""
FILE = re.compile(r"(?:received_file|sent_file)\(\"(\w+)\"\)")
FORM = re.compile(r"\b(\w+(?:In|Form|Query|Request))\b")


class Furnished(Ground):
    """One unit's row in every table, owned as the field would have it; what the world has already is taken as it is."""

    dropped = "cfx"

    def default(self, table, column, number):
        """Return a value that a page can show, where the type alone would not do."""
        if column.kind in {"tstzrange", "daterange"}:
            kind, length = {
                "tstzrange": ("timestamp with time zone", "interval '2 hours'"),
                "daterange": ("date", "2"),
            }[column.kind]
            start = value(kind, number)
            return f"{column.kind}({start}, {start} + {length})"
        return (WORDS.get(column.name) if column.kind == "text" else None) or super().default(table, column, number)

    def insert(self, connection, table, unit):
        """Leave out what no address names and pages cannot read: steps in words, encoded positions."""
        if not table.endswith("_event") and table not in {"gps_fix", "gps_raw", "charge_gap"}:
            super().insert(connection, table, unit)

    def person(self, table, column, unit):
        """Return whose the row is, or who made it."""
        name = OWNERS.get((table, column)) or OWNERS.get(column) or MAKER
        return self.people[name]

    def beforehand(self, connection, unit):
        """Take the world's vehicle, driver, terminal, figures and prices."""
        self.people = dict(connection.execute(text("SELECT username, id FROM user_account")).all())
        place = self.places[unit]
        place["user_account"] = self.people["applicant.xhedu"]
        asked = {
            "vehicle": "SELECT id FROM vehicle WHERE plate = '浙A10001'",
            "gps_terminal": "SELECT terminal_id FROM terminal_binding b JOIN vehicle v ON v.id = b.vehicle_id WHERE plate = '浙A10001'",
            "driver": f"SELECT id FROM driver WHERE user_id = {self.people['driver.xhedu']}",
            "parking_area": f"SELECT id FROM parking_area WHERE org_id = {place['organisation']}",
            "policy_value": "SELECT id FROM policy_value WHERE code = 'sign_in.max_h'",
            "price_book": "SELECT min(id) FROM price_book", "approval_chain": "SELECT min(id) FROM approval_chain",
            "role_grant": f"SELECT id FROM role_grant WHERE user_id = {place['user_account']}",
        }  # fmt: skip
        place |= {table: connection.scalar(text(query)) for table, query in asked.items()}
        place |= dict.fromkeys(("terminal_binding", "approval_level", "price_rate", "calendar_day", "place"), 1)


@contextmanager
def furnished(url: str) -> Iterator["Site"]:
    """Furnish a database of the world and yield the application on it, everybody signed in; nothing is kept."""
    owner, engine = make_engine(url, role=None), make_engine(url)
    ground = Furnished(engine, owner, units=(UNIT,))
    with owner.begin() as connection:
        ground.strip(connection)
        ground.seed(connection)
        connection.execute(text("ALTER TABLE audit_entry ENABLE TRIGGER ALL"))  # which numbers and chains
    owner.dispose()
    with engine.connect() as connection, time_machine.travel(NOW, tick=False):
        outer = connection.begin()
        yield Site(connection, ground, Settings(database_url=url, secret_key="only for tests"))
        outer.rollback()
    engine.dispose()


class Site:
    """The application on one connection, and a token for every asker."""

    def __init__(self, connection, ground, settings):
        logs.configure()  # a line for a page that an artificial row is too poor for, not a drawing
        self.connection, self.place = connection, ground.places[UNIT]
        database = Database(connection, wiring.CONSTRAINT_ERRORS)
        self.app = create_app(settings, database)
        self.app.config["PROPAGATE_EXCEPTIONS"] = False
        self.now = clock.now()
        with database.transaction(SYSTEM) as session:
            where = session.scalar(text("SELECT id FROM organisation WHERE name_en = 'Binjiang district'"))
            for name, org, roles in (
                (ELSEWHERE, where, [role for role in Role if role not in {*ADMINISTRATORS, Role.SYSTEM}]),
                (NOBODY, self.place["organisation"], []),
            ):
                account = UserAccount(
                    username=name, name_zh=name, name_en=name, org_id=org, password_hash="x", created_at=self.now
                )
                account.grants += [RoleGrant(role=role, org_id=org) for role in roles]
                session.add(account)
            session.flush()
            session.expire_all()
            limits, self.tokens = self.app.extensions["fleet"].limits(self.now), {}
            for name, username in {**ROLES, ELSEWHERE: ELSEWHERE, NOBODY: NOBODY}.items():
                user = session.query(UserAccount).filter_by(username=username).one()
                self.tokens[name] = sign_ins.open_for(
                    session, user, kind=SignInKind.API, stage=Stage.FULL, origin=sign_ins.Origin(), limits=limits, now=self.now, way="test"
                ).token  # fmt: skip
        self.questions = [self.question(method, rule) for method, rule in routes(self.app)]

    def number(self, path, name):
        """Return the row that a number in an address or a form is of."""
        table = next((table for part, arg, table in WITHIN if arg == name and part in path), OF.get(name))
        return self.place.get(table, 1) or 1

    def question(self, method, rule):
        """Return (method, rule, address, what goes with it)."""
        adapter, given = self.app.url_map.bind("localhost"), {}
        for name in rule.arguments:
            converter = rule._converters[name]
            if hasattr(converter, "items"):
                given[name] = next(iter(sorted(converter.items)))
            elif "int" in type(converter).__name__.lower():
                given[name] = self.number(rule.rule, name)
            else:
                given[name] = SAID.get(name) or next((word for part, word in SAID.items() if part in rule.rule), "1")
        address = adapter.build(rule.endpoint, given, method=method)
        schemas = schemas_of(self.app, rule.endpoint, method)
        more, api = {}, rule.rule.startswith("/api/")
        for place, schema in schemas:
            body = self.filled(schema, rule.rule)
            if place in {"query", "querystring"}:
                more["query_string"] = body
            elif method != "GET":
                script = "get_json" in source_of(self.app, rule.endpoint)
                more["json" if api or script else "data"] = body
        if method != "GET" and not api and (name := FILE.search(source_of(self.app, rule.endpoint))):
            more["data"] = {**more.get("data", {}), name[1]: (io.BytesIO(b"%PDF-1.4"), "x.pdf")}
        if api and method != "GET" and "json" not in more and "data" not in more:
            more["json"] = {}
        return method, rule.rule, address, more

    def filled(self, schema, path):
        """Return values that a schema takes: for its required fields."""
        one = schema() if isinstance(schema, type) else schema
        return {field.data_key or name: self.fill(name, field, path) for name, field in one.fields.items() if field.required and not field.dump_only}  # fmt: skip

    def fill(self, name, field, path):
        checks = field.validators
        if choice := next((check for check in checks if isinstance(check, validate.OneOf)), None):
            return next(iter(sorted(choice.choices) if isinstance(choice.choices, set | frozenset) else choice.choices))
        least = next((check.min for check in checks if isinstance(check, validate.Range | validate.Length) and check.min is not None), 1)  # fmt: skip
        if isinstance(field, fields.Enum):
            first = next(iter(field.enum))
            return first.value if field.by_value else first.name
        if isinstance(field, fields.Nested):
            one = self.filled(field.schema, path)
            return [one] if field.many else one
        if isinstance(field, fields.List):
            return [self.fill(name.removesuffix("s"), field.inner, path)] * max(1, int(least or 1))
        if name in LIKE:
            return LIKE[name]
        if isinstance(field, fields.Integer):
            return self.number(path, name) if name in OF else max(1, int(least))
        if isinstance(field, fields.Boolean):
            return True
        if isinstance(field, fields.Number):
            return {"lat": 30.25, "lon": 120.15}.get(name, str(max(1, least)))
        if isinstance(field, fields.DateTime) and not isinstance(field, fields.Date | fields.Time):
            days = 2 if any(word in name for word in ("end", "until", "to")) else 1
            return clock.local(self.now + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M")
        if isinstance(field, fields.Date):
            return (self.now + timedelta(days=2 if any(word in name for word in ("end", "until", "to")) else 1)).date().isoformat()  # fmt: skip
        if isinstance(field, fields.Time):
            return "09:00"
        if isinstance(field, fields.Dict):
            return {}
        return "核对核对" * max(1, -(-int(least) // 4))

    def answer(self, asker, question):
        """Ask and say what came, in a word; whatever was written is taken back."""
        method, _, address, more = question
        if (data := more.get("data")) and any(isinstance(value, tuple) for value in data.values()):
            more = {"data": {name: (io.BytesIO(b"%PDF-1.4"), value[1]) if isinstance(value, tuple) else value for name, value in data.items()}}  # fmt: skip
        headers = {"Authorization": f"Bearer {self.tokens[asker]}"} if asker in self.tokens else {}
        kept = self.connection.begin_nested()
        try:
            with self.app.test_client() as client:
                if asker not in self.tokens and method != "GET":
                    headers["X-CSRFToken"] = self.csrf(client)
                found = client.open(address, method=method, headers=headers, **more)
                found.close()
                return word(found)
        finally:
            kept.rollback()

    def csrf(self, client):
        """Return what a browser's form would carry, so that nothing else than the sign-in is missing."""
        page = client.get("/sign-in").get_data(as_text=True)
        return page.split('name="csrf-token" content="')[1].split('"')[0]


def word(answer) -> str:
    """Return what an answer is."""
    if answer.status_code == 401 or (answer.status_code == 302 and "/sign-in" in answer.headers["Location"]):
        return "sign-in"
    if answer.status_code >= 500:
        return "unfit"  # the artificial row is too poor for the page
    known = {403: "refused", 404: "not found", 400: "unfit", 409: "unfit", 413: "unfit", 415: "unfit", 422: "unfit"}
    return known.get(answer.status_code, "allowed")


def routes(app):
    """Return (method, rule) of the whole URL map, in the order of the table."""
    found = [(method, rule) for rule in app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}]
    return sorted(found, key=lambda one: (one[1].rule, one[0]))


def source_of(app, endpoint):
    """Return the source of a page's function."""
    view = app.view_functions[endpoint]
    return "" if hasattr(view, "view_class") or endpoint == "static" else inspect.getsource(inspect.unwrap(view))


def schemas_of(app, endpoint, method):
    """Return (place, schema) of what a route takes: the API says it, a page names it in its source."""
    view = app.view_functions[endpoint]
    if hasattr(view, "view_class"):
        handler = getattr(view.view_class, method.lower())
        asked = getattr(handler, "_apidoc", {}).get("arguments", {}).get("parameters", [])
        return [
            (one["in"], one["schema"]) for one in asked if "schema" in one and isinstance(one["schema"], Schema | type)
        ]
    function = inspect.unwrap(view)
    names = dict.fromkeys(FORM.findall(source_of(app, endpoint)))
    kinds = [function.__globals__.get(name) for name in names]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Schema) and kind is not PageQuery]
    return [("query" if method == "GET" else "form", kind) for kind in kinds[:1]]


def row_of(site, question):
    """Return the table's row of a route."""
    method, rule, _, _ = question
    return {"method": method, "route": rule} | {asker: site.answer(asker, question) for asker in ASKERS}


def read() -> dict[tuple[str, str], dict[str, str]]:
    """Return the committed table by method and route."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return {(line["method"], line["route"]): line for line in csv.DictReader(file)}


def write(rows) -> None:
    """Write the table."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["method", "route", *ASKERS], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Make a database, ask, write the table."""
    cluster = os.environ["FLEET_TEST_DATABASE_URL"]
    template, name = _make_template(cluster), f"fleet_matrix_{os.getpid()}"
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    try:
        with furnished(named(cluster, name)) as site:
            write(row_of(site, question) for question in site.questions)
    finally:
        with psycopg.connect(cluster, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


if __name__ == "__main__":
    sys.exit(main())
