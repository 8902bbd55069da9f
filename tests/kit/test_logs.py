"""Log lines name the request and the place in the program, and nobody."""

import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.kit import logs
from fleetapp.kit.actor import SYSTEM
from fleetapp.web import request as web_request

PEOPLE = ("李四海", "13900000001", "浙A10001", "330106199001011234", "li.si@example.gov.cn", "330106 1990 0101")


@pytest.fixture
def lines(monkeypatch, capsys):
    """Set the programs' logging up as in operation; gives what was written as objects."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("FLEET_LOG", "json")
    logs.configure()
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("datum", PEOPLE)
def test_what_may_be_somebodys_is_left_out(datum):
    assert datum not in logs.scrubbed(f"cannot send to {datum} now")
    assert logs.scrubbed(f"cannot send to {datum} now").startswith("cannot send to …")


@given(st.text(max_size=80))
def test_scrubbing_twice_is_scrubbing_once_and_keeps_to_one_line(words):
    once = logs.scrubbed(words)
    assert logs.scrubbed(once) == once
    assert "\n" not in once


def test_an_error_is_its_kind_and_place_with_no_value_of_the_statement(lines, live_database):
    log = structlog.get_logger()
    with pytest.raises(DBAPIError) as caught, live_database.transaction(SYSTEM) as session:
        session.execute(text("INSERT INTO organisation (code) VALUES (:code)"), {"code": PEOPLE[0]})
    log.error("unexpected", exc_info=caught.value, contact=PEOPLE[1], note={"who": [PEOPLE[0]]}, count=3)
    logging.getLogger("other.library").error("cannot reach %s", PEOPLE[4], exc_info=caught.value)
    ours, other = lines()
    assert (ours["error"], ours["sqlstate"], ours["count"]) == ("IntegrityError", "23502", 3)
    assert any(place.startswith(("fleetapp/", "/")) for place in ours["where"])
    assert (other["logger"], other["error"]) == ("other.library", "IntegrityError")
    for line in (ours, other):
        assert not [datum for datum in PEOPLE if datum in json.dumps(line, ensure_ascii=False)]


def test_a_request_that_fails_leaves_its_id_and_nothing_of_what_it_brought(lines, own_app, database):
    seen = []

    @own_app.get("/vehicles/fails/<plate>")
    def fails(plate):
        with database.transaction(SYSTEM) as session:
            seen.append(session.scalar(text("SELECT current_setting('application_name')")))
        raise ValueError(f"no {plate} of {PEOPLE[0]}")

    own_app.testing = False
    client = own_app.test_client()
    client.application.before_request_funcs[None][:] = [
        hook for hook in client.application.before_request_funcs[None] if hook.__name__ != "guard"
    ]
    answer = client.get(
        f"/vehicles/fails/{PEOPLE[2]}?contact={PEOPLE[1]}", headers={"X-Request-ID": "proxy-0123456789"}
    )
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "proxy-0123456789"
    assert seen == ["fleet proxy-0123456789"]
    [line] = [line for line in lines() if line["event"] == "unexpected"]
    assert (line["request_id"], line["endpoint"], line["error"]) == ("proxy-0123456789", "fails", "ValueError")
    assert not [datum for datum in PEOPLE if datum in json.dumps(line, ensure_ascii=False)]


def test_an_id_that_could_write_into_the_log_is_not_taken(app):
    answer = app.test_client().get("/healthz", headers={"X-Request-ID": 'x" level="error" 李四海'.encode()})
    assert web_request.REQUEST_ID.fullmatch(answer.headers["X-Request-ID"])
    assert "level" not in answer.headers["X-Request-ID"]
