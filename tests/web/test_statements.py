"""How often every page asks the database: never more often than ``statements.json`` says, and not more often for more rows.

    FLEET_STATEMENTS=write ... pytest tests/web/test_statements.py     # after a change that is worth its statements

The baseline has a line for every page and endpoint: in whose name it is opened, and how many statements that takes the second time.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import g
from sqlalchemy import event, select

from benchmarks import years
from fleetapp import wiring
from fleetapp.accounts import sign_ins
from fleetapp.accounts.models import SignInKind, UserAccount
from fleetapp.accounts.rules import Stage
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings
from tests.browser.conftest import a_day
from tests.conftest import NOW
from tests.serving import furnish
from tests.web.conftest import path_of, routes
from tests.web.test_walls import SAID

pytestmark = pytest.mark.timeout(600)  # every page several times
BASELINE = Path(__file__).with_name("statements.json")
REWRITE = "FLEET_STATEMENTS=write .venv/bin/python -m pytest tests/web/test_statements.py"
WHO = (
    "leader.city", "auditor.city", "dispatcher.city", "vehicle_office.city", "fleet_manager.city", "finance.city", "system_admin.city",
    "security_admin.city", "audit_admin.city", "dispatcher.xihu", "unit_admin.xhedu", "approver.xhedu", "applicant.xhedu", "driver.xhedu",
)  # fmt: skip
"""In whose name a page is tried, the widest view first: the first that may open it counts."""
APART = {
    "static": "files", "shell.healthz": "for programs", "operations.readyz": "the machine's state", "operations.metrics": "a token of its own",
    "api-docs.openapi_json": "no data", "shell.root": "goes elsewhere",
}  # fmt: skip
TABLES = {
    "order_id": "travel_order", "vehicle_id": "vehicle", "import_id": "ledger_import", "run_id": "plan_run", "campaign_id": "seal_campaign",
    "case_id": "finding_case", "activation_id": "emergency_activation", "occasion_id": "occasion", "indicator_id": "indicator",
    "finding_id": "finding", "trip_id": "trip", "study_id": "lab_study", "report_id": "statistic_report", "assignment_id": "assignment",
    "request_id": "share_request", "book_id": "price_book", "task_id": "report_task", "record_id": "seal_record", "attachment_id": "attachment",
    "driver_id": "driver", "statement_id": "statement", "user_id": "user_account", "org_id": "organisation", "plan_id": "emergency_plan",
    "loan_id": "share_loan", "terminal_id": "gps_terminal", "incident_id": "vehicle_incident",
}  # fmt: skip
"""Whose number an argument of an address is."""
OTHERS = {
    "work.show": "work_order",
    "api_upkeep.OneWorkOrder": "work_order",
    "disposal.show": "disposal_case",
    "api_disposal.OneDisposal": "disposal_case",
}
FEW, MANY = 5, 50


class Site:
    """The application at the moment ``NOW``, opened in everybody's name, with a count of statements."""

    def __init__(self, url: str) -> None:
        self.url, self.count, self.engine = url, 0, make_engine(url)
        self.database = Database(self.engine, wiring.CONSTRAINT_ERRORS)
        self.app = create_app(Settings(database_url=url, secret_key="only for tests"), self.database)
        self.app.config["PROPAGATE_EXCEPTIONS"] = False
        self.app.before_request_funcs.setdefault(None, []).insert(0, lambda: setattr(g, "now", NOW))
        self.clients: dict[str, Any] = {}
        event.listen(self.engine, "before_cursor_execute", self._tick)

    def _tick(self, *_: object) -> None:
        self.count += 1

    def enter(self, username: str) -> Any:
        """Return a client that is signed in."""
        if username not in self.clients:
            parts = self.app.extensions["fleet"]
            with self.database.transaction(SYSTEM) as session:
                user = session.scalars(select(UserAccount).where(UserAccount.username == username)).one()
                opened = sign_ins.open_for(session, user, kind=SignInKind.WEB, stage=Stage.FULL, origin=sign_ins.Origin(),
                                           limits=parts.limits(NOW), now=NOW, way="test")  # fmt: skip
            client = self.app.test_client()
            with client.session_transaction() as kept:
                kept["token"] = opened.token
            self.clients[username] = client
        return self.clients[username]

    def statements(self, username: str, rule: Any, values: Mapping[str, Any]) -> int | None:
        """Return how many statements the second opening takes; None where the page does not open."""
        path, client = path_of(self.app, rule, values), self.enter(username)
        for _ in range(2):
            self.count = 0
            answer = client.get(path, query_string=SAID.get(rule.endpoint))
            status, _ = answer.status_code, answer.close()
            if status != 200:
                assert status < 500, f"{path}: {status}"
                return None
        return self.count

    def ids(self, rule: Any) -> list[dict[str, int]]:
        """Return the numbers to try for a rule: the newest, the oldest."""
        wanted = {one: OTHERS.get(rule.endpoint, TABLES[one]) for one in rule.arguments if one in TABLES}
        if not wanted:
            return [{}]
        found = []
        with psycopg.connect(self.url) as connection:
            for which in ("max", "min"):
                row = {
                    one: connection.execute(f"SELECT {which}(id) FROM {table}").fetchone()[0]
                    for one, table in wanted.items()
                }
                if None not in row.values():
                    found.append(row)
        return found

    def measured(self, known: Mapping[str, tuple[str, int]], *, lists: bool = False) -> dict[str, tuple[str, int]]:
        """Open every page; in the name that the baseline says, else in the first that opens it."""
        found: dict[str, tuple[str, int]] = {}
        for _, rule in routes(self.app, unsafe=False):
            if rule.endpoint in APART or rule.endpoint in found or (lists and rule.arguments):
                continue
            people = [known[rule.endpoint][0]] if rule.endpoint in known else WHO
            tries = ((who, values) for who in people for values in self.ids(rule))
            for who, values in tries:
                if (number := self.statements(who, rule, values)) is not None:
                    found[rule.endpoint] = (who, number)
                    break
        return found


def read() -> dict[str, tuple[str, int]]:
    """Return the baseline; empty when it is to be written."""
    if os.environ.get("FLEET_STATEMENTS") == "write":
        return {}
    return {name: (who, number) for name, (who, number) in json.loads(BASELINE.read_text(encoding="utf-8")).items()}


@pytest.fixture(scope="module")
def counted(new_database):
    """What every list asks with few rows, and what every page asks with many."""
    url = new_database()
    site = Site(url)
    furnish(site.database, NOW)
    a_day(url, site.database, NOW)
    years.fill(url, cars=FEW, orders=FEW, now=NOW, small=True)
    few = site.measured(read(), lists=True)
    years.fill(url, cars=MANY, orders=MANY, cars_before=FEW, orders_before=FEW, now=NOW, small=True)
    many = site.measured(read())
    site.engine.dispose()
    return few, many


def test_no_page_asks_more_often_than_the_baseline_says(counted):
    _, many = counted
    if os.environ.get("FLEET_STATEMENTS") == "write":
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in sorted(many.items()))
        BASELINE.write_text("{\n" + lines + "\n}\n", encoding="utf-8")
    known = {name: tuple(found) for name, found in json.loads(BASELINE.read_text(encoding="utf-8")).items()}
    assert not many.keys() - known.keys(), f"new pages: add them with {REWRITE}"
    assert not known.keys() - many.keys(), (
        f"pages that do not open any more: {known.keys() - many.keys()}; or {REWRITE}"
    )
    # One more is what some pages ask now and then, by what the day happened to bring.
    grown = {name: f"{known[name][1]} -> {number}" for name, (_, number) in many.items() if number > known[name][1] + 1}
    assert not grown, f"ask the database more often than before; mend them, or take it with {REWRITE}: {grown}"


def test_no_list_asks_more_often_for_more_rows(counted):
    few, many = counted
    grown = {
        name: f"{number} -> {many[name][1]}"
        for name, (_, number) in few.items()
        if name in many and many[name][1] > number
    }
    assert not grown, f"ask once for each row: {grown}"
