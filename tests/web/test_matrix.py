"""The committed table of who gets which answer, against the live application; ``python -m tests.web.matrix`` writes it anew."""

import pytest

from tests.web import matrix

pytestmark = pytest.mark.timeout(900)  # hundreds of requests for every role
PUBLISHED = {("/price-books/<int:book_id>", matrix.ELSEWHERE), ("/api/v1/price-books/<int:book_id>", matrix.ELSEWHERE)}
"""Rows that are not one unit's: a published price book is public."""
OTHER_ROWS = {("/emergency/new", "dispatcher"), ("/emergency/new", "vehicle_office")}
"""The page alone is asked about a plan that is not there; both roles may open it."""


@pytest.fixture(scope="module")
def site(new_database):
    """A furnished database and the application on it."""
    with matrix.furnished(new_database()) as made:
        yield made


@pytest.fixture(scope="module")
def table():
    """The committed table."""
    return matrix.read()


def test_the_table_names_every_route_and_no_other(site, table):
    live = {(method, rule) for method, rule, _, _ in site.questions}
    assert live - table.keys() == set(), "python -m tests.web.matrix, and look at what the new route answers whom"
    assert table.keys() - live == set(), "a route of the table is gone"


@pytest.mark.parametrize("asker", matrix.ASKERS)
def test_every_answer_is_as_the_table_says(site, table, asker):
    wrong = {}
    for question in site.questions:
        expected = table[question[:2]][asker]
        found = site.answer(asker, question)
        if found != expected:
            wrong[f"{question[0]} {question[1]}"] = f"{found}, the table says {expected}"
    assert not wrong, str(wrong)


def test_without_signing_in_nothing_is_allowed_but_what_is_public(table):
    opened = {rule for (_, rule), line in table.items() if line["anonymous"] == "allowed"}
    assert opened == {
        "/api/v1/openapi.json", "/healthz", "/language", "/phone/", "/phone/manifest.webmanifest", "/phone/sw.js", "/readyz", "/sign-in",
        "/slips/keys.json", "/slips/offline.html", "/slips/verify", "/static/<path:filename>",
    }  # fmt: skip


def test_nobody_without_a_role_and_nobody_of_another_district_does_anything_to_a_row(table):
    done = {
        (rule, asker)
        for (method, rule), line in table.items()
        for asker in (matrix.NOBODY, matrix.ELSEWHERE)
        if line[asker] == "allowed" and "<int:" in rule
    }
    assert done == PUBLISHED


def test_a_form_that_is_sent_shows_no_more_than_its_page(table):
    """A page that answers a wrong form draws itself again: never for somebody who may not open it."""
    wrong = {
        (rule, asker)
        for (method, rule), line in table.items()
        if method == "POST" and ("GET", rule) in table and not rule.startswith("/api/")
        for asker in matrix.ASKERS
        if table["GET", rule][asker] in {"refused", "not found"} and line[asker] in {"allowed", "unfit"}
    }
    assert wrong <= OTHER_ROWS


def test_the_three_administrators_do_what_is_theirs_alone(table):
    def allowed(method, rule):
        return {asker for asker in matrix.ROLES if table[method, rule][asker] == "allowed"}

    assert allowed("GET", "/accounts/new") == {"system_admin"}
    assert allowed("POST", "/accounts/<int:user_id>/close") == {"system_admin"}
    assert allowed("POST", "/accounts/<int:user_id>/grants/<int:grant_id>/revoke") == {"security_admin"}
    assert allowed("POST", "/accounts/<int:user_id>/password/reset") == {"system_admin", "security_admin"}
    assert allowed("POST", "/accounts/<int:user_id>/factor/reset") == {"system_admin", "security_admin"}
    assert allowed("GET", "/audit") == {"audit_admin", "auditor"}
