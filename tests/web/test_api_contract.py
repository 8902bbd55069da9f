"""The API against its own document: every operation is asked what the document allows and what it does not.

Cases come from the document itself (schemathesis), always the same ones; the database is PostGIS, the application the whole
one. Each operation is undone before the next, so that none depends on another.
"""

import re
from collections import Counter, defaultdict
from itertools import chain, islice

import pytest
import schemathesis
import time_machine
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.generation.meta import CoverageScenario
from schemathesis.specs.openapi import checks
from sqlalchemy import select

from fleetapp import wiring
from fleetapp.accounts import sign_ins
from fleetapp.accounts.models import RoleGrant, SignInKind, UserAccount
from fleetapp.accounts.rules import Stage
from fleetapp.accounts.service import create_user
from fleetapp.factory import create_app
from fleetapp.kit.actor import ADMINISTRATORS, SYSTEM, Role
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings
from tests import world
from tests.conftest import NOW

pytestmark = pytest.mark.timeout(300)  # nearly three hundred operations each
ALLOWED, REFUSED = 2, 3
"""Requests an operation of each kind; the rest of what can be wrong is tried at its neighbours."""
ROWS = 6
"""The world has vehicles, drivers and accounts with ids up to this: what is asked for is there, more often than not."""
DOCUMENT = "/api/v1/openapi.json"
EVERYBODY = "every.role"
CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance, checks.response_headers_conformance,
    checks.response_schema_conformance, checks.negative_data_rejection, checks.unsupported_method,
]  # fmt: skip
"""Left out: ``positive_data_acceptance``, because what no JSON schema can say is refused with 422 too (an order of two dates, a plate's
form, a state); ``ignored_auth``, because ``test_walls`` tries every route without signing in; ``missing_required_header``,
because no operation has one; ``allow_header_conformance``, because no OPTIONS is sent; ``use_after_free`` and
``ensure_resource_availability``, because they follow links between operations and the document has none;
``object_level_authorization``, because ``test_scope`` and ``test_every_table`` try other people's rows one by one."""


class Staging:
    """The running application, its document, and ways to ask as whoever may."""

    def __init__(self, app, database, connection):
        self.app, self.database, self.connection = app, database, connection
        self.schema = schemathesis.openapi.from_wsgi(DOCUMENT, self.closing)
        self.schema.config.generation.with_security_parameters = False  # the token is ours
        self.operations = [result.ok() for result in self.schema.get_all_operations()]

    def closing(self, environ, start_response):
        """Be the application for a client that does not close what it has read, as every server does."""
        answer = self.app(environ, start_response)
        try:
            return [*answer]
        finally:
            answer.close()

    def headers(self, operation):
        """Return a bearer token of whoever may do it; administrators have no other role, so they are accounts of their own."""
        name = EVERYBODY
        if operation.path.startswith("/api/v1/users"):
            name = "security_admin.city" if "grants" in operation.path else "system_admin.city"
        parts = self.app.extensions["fleet"]
        with self.database.transaction(SYSTEM) as session:
            user = session.scalars(select(UserAccount).where(UserAccount.username == name)).one()
            opened = sign_ins.open_for(session, user, kind=SignInKind.API, stage=Stage.FULL, origin=sign_ins.Origin(),
                                       limits=parts.limits(NOW), now=NOW, way="test")  # fmt: skip
        return {"Authorization": f"Bearer {opened.token}"}

    def undone(self, operation, ask):
        """Let ``ask`` ask an operation, with the headers of whoever may; nothing of it stays."""
        with self.connection.begin_nested() as kept:
            ask(self.headers(operation))
            kept.rollback()


@pytest.fixture(scope="module")
def stage(new_database):
    """The application on a database of its own, with one account of every role but the administrators'."""
    url = new_database()
    engine = make_engine(url)
    with time_machine.travel(NOW), engine.connect() as connection:
        outer = connection.begin()
        database = Database(connection, wiring.CONSTRAINT_ERRORS)
        with database.transaction(SYSTEM) as session:
            city = session.scalars(select(UserAccount.org_id).where(UserAccount.username == "leader.city")).one()
            user = create_user(session, username=EVERYBODY, name_zh="各种角色", name_en="Every role", org_id=city, password=world.PASSWORD,
                               password_hash=world.password_hash(), grants=[], actor=SYSTEM, now=NOW)  # fmt: skip
            user.grants = [
                RoleGrant(role=role, org_id=city) for role in Role if role not in ADMINISTRATORS | {Role.SYSTEM}
            ]
        app = create_app(Settings(database_url=url, secret_key="only for tests"), database)
        app.config["PROPAGATE_EXCEPTIONS"] = False
        yield Staging(app, database, connection)
        outer.rollback()
    engine.dispose()


def near(value, name=""):
    """Return drawn input with its ids among the rows there are."""
    if isinstance(value, dict):
        return {key: near(part, key) for key, part in value.items()}
    if isinstance(value, list):
        return [near(part, name) for part in value]
    drawn = isinstance(value, int) and not isinstance(value, bool) and name.endswith(("_id", "_ids"))
    return value % ROWS + 1 if drawn else value


def unsound(case, answer):
    """Return what is wrong with an answer: what the checks say, a success of another status than documented, words that are missing."""
    found = []
    try:
        case.validate_response(answer, CHECKS)
    except FailureGroup as group:
        found = [f"{type(failure).__name__}: {failure}" for failure in group.exceptions]
    if answer.status_code < 400:
        # ``default`` stands for every failure and would let any success pass
        if str(answer.status_code) not in case.operation.responses.status_codes:
            found.append("a success that is not documented")
        return found
    said = answer.json()
    words = said["message"]
    if (
        said["status"] != answer.status_code
        or words["zh"] == words["en"]
        or not re.search(r"[\u4e00-\u9fff]", words["zh"])
    ):
        found.append("a failure without its status or its words in both languages")
    return found


def told(case, answer, found):
    """Return a fault as one line of a failing test."""
    asked = f"{case.method} {case.formatted_path} {case.query} {case.body if isinstance(case.body, (dict, list, str)) else ''}"
    return [f"{fault} <- {asked[:400]} -> {answer.status_code} {answer.content[:200]!r}" for fault in found]


def test_every_route_of_the_api_stands_in_the_document_and_nothing_else(stage):
    routes = {
        (method, re.sub(r"<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule))
        for rule in stage.app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/")
    }
    documented = {(operation.method.upper(), operation.path) for operation in stage.operations}
    assert routes - documented == {("GET", DOCUMENT)}
    assert not documented - routes
    assert all(
        operation.definition.raw.get("summary") or operation.definition.raw.get("description")
        for operation in stage.operations
    )


def test_what_the_document_allows_is_answered_as_it_says(stage):
    faults, statuses = defaultdict(list), Counter()

    def ask(case, headers):
        case.path_parameters, case.body = near(case.path_parameters), near(case.body)
        answer = case.call(headers=headers)
        statuses[answer.status_code] += 1
        if found := unsound(case, answer):
            faults[case.operation.label] += told(case, answer, found)

    for operation in stage.operations:
        # no constants of the sources as input: which there are depends on what else has been imported
        cases = operation.as_strategy(generation_mode=GenerationMode.POSITIVE, feedback=FeedbackSources())

        def several(headers, cases=cases):
            @settings(max_examples=ALLOWED, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
                      suppress_health_check=list(HealthCheck))  # fmt: skip
            @given(cases)
            def each(case):
                ask(case, headers)

            each()

        stage.undone(operation, several)
    assert not faults, "\n".join(chain.from_iterable(faults.values()))
    assert statuses[200] + statuses[201] + statuses[202] + statuses[204] > 150, (
        f"hardly anything was reached: {statuses}"
    )
    assert not statuses[401], "the token did not do"


def test_what_the_document_does_not_allow_is_refused_in_both_languages(stage):
    faults, tried, statuses = defaultdict(list), Counter(), Counter()
    for number, operation in enumerate(stage.operations):
        ways = {}
        for case in stage.schema.iter_coverage_cases(
            operation,
            generation_modes=[GenerationMode.NEGATIVE],
            generation_config=stage.schema.config.generation_for(operation=operation),
        ):
            ways.setdefault(case.meta.phase.data.scenario, case)
        method = ways.pop(CoverageScenario.UNSPECIFIED_HTTP_METHOD, None)
        others = [ways[way] for way in sorted(ways)]
        start = number % len(others) if others else 0
        chosen = [*([method] if method else []), *islice(chain(others[start:], others[:start]), REFUSED - 1)]

        def ask(headers, chosen=chosen, label=operation.label):
            for case in chosen:
                at = case.path_parameters
                if (
                    case.meta.phase.data.parameter_location is not ParameterLocation.PATH
                ):  # one thing is wrong at a time
                    case.path_parameters = {name: 1 if name.endswith("_id") else at[name] for name in at}
                answer = case.call(headers=headers)
                tried[case.meta.phase.data.scenario] += 1
                statuses[answer.status_code] += 1
                if found := unsound(case, answer):
                    faults[label] += told(case, answer, found)

        stage.undone(operation, ask)
    assert not faults, "\n".join(chain.from_iterable(faults.values()))
    assert tried[CoverageScenario.UNSPECIFIED_HTTP_METHOD] > 200
    assert len(tried) >= 12, f"few ways of being wrong: {tried}"
    assert statuses[422] > 100 < statuses[405], f"refused for another reason: {statuses}"


@pytest.mark.parametrize("number", [2**31, 2**63])
def test_no_number_is_too_large_for_an_address(stage, number):
    answers = {}
    client = stage.app.test_client()
    for operation in stage.operations:
        if operation.method != "get" or "_id}" not in operation.path:
            continue
        path = re.sub(r"\{\w+_id\}", str(number), operation.path)
        stage.undone(
            operation, lambda headers, path=path: answers.update({path: client.get(path, headers=headers).status_code})
        )
    assert len(answers) > 30
    wrong = {path: status for path, status in answers.items() if status not in {403, 404, 422}}
    assert not wrong
