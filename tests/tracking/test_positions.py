"""The answer to "what changed since": scope, nothing lost or repeated under concurrent commits, no request that breaks it."""

import gzip
import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.settings import Settings
from fleetapp.tracking import bridge
from fleetapp.tracking.rules import LiveState, live_state, outlook
from fleetapp.tracking.schemas import LiveOut, PositionOut, WatchedOut
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.models import Vehicle
from telematics import store
from telematics.model import Fix
from tests import world
from tests.conftest import NOW

XIHU, BINJIANG = "13900000001", "13900000005"


@pytest.fixture(autouse=True)
def at_nine():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def call(live_database_url, live_database):
    """Return ``call(username)(since)`` against a database whose transactions are real."""
    app = create_app(Settings(database_url=live_database_url, secret_key="only for tests"), live_database)
    app.testing = True

    def as_user(username):
        client = app.test_client()
        token = client.post("/api/v1/tokens", json={"username": username, "password": world.PASSWORD}).json["token"]

        def ask(since=None, **query):
            query |= {"since": since} if since is not None else {}
            return client.get("/api/v1/positions", query_string=query, headers={"Authorization": f"Bearer {token}"})

        return ask

    return as_user


@contextmanager
def writing(url, phone, *, at=NOW - timedelta(minutes=1)):
    """A position stored in a transaction that commits at the end of the block."""
    with psycopg.connect(url) as connection:
        [terminal] = connection.execute("SELECT id FROM gps_terminal WHERE phone = %s", [phone]).fetchone()
        fix = Fix(at=at, lat=30.26, lon=120.12, speed_kmh=42.0, acc=True)
        store.save(connection, [(terminal, fix, None)], NOW, peer="test")
        yield


def write(url, phone, **how):
    with writing(url, phone, **how):
        pass


def plates(*answers):
    """Return the plates of the positions of the last answer; the first, full one names the vehicles."""
    names = {one["vehicle_id"]: one["plate"] for answer in answers for one in answer["vehicles"]}
    return sorted(names[one["vehicle_id"]] for one in answers[-1]["positions"])


def test_everybody_sees_the_vehicles_of_their_own_sub_tree(call, live_database_url):
    for phone in (XIHU, BINJIANG):
        write(live_database_url, phone)
    assert plates(call("dispatcher.city")().json) == ["浙A10001", "浙A10005"]
    assert plates(call("dispatcher.xihu")().json) == ["浙A10001"]
    assert plates(call("auditor.binjiang")().json) == ["浙A10005"]
    assert call("applicant.xhedu")().status_code == 403


def test_only_what_changed_is_sent_again(call, live_database_url):
    ask = call("dispatcher.city")
    write(live_database_url, XIHU)
    first = ask().json
    assert first["full"]
    assert plates(first) == ["浙A10001"]
    assert len(first["vehicles"]) == len(world.VEHICLES)
    again = ask(first["next"]).json
    assert (again["full"], again["positions"], again["vehicles"]) == (False, [], [])
    write(live_database_url, BINJIANG)
    assert plates(first, ask(again["next"]).json) == ["浙A10005"]


def test_a_transaction_that_commits_late_is_not_lost_and_nothing_is_sent_twice(call, live_database_url):
    ask = call("dispatcher.city")
    start = ask().json
    yesterday = NOW - timedelta(hours=2)  # writers of one day wait for each other, those of two do not
    write(live_database_url, BINJIANG, at=yesterday)
    start = ask(start["next"]).json | {"vehicles": start["vehicles"]}
    with writing(live_database_url, XIHU, at=yesterday):
        write(live_database_url, BINJIANG)  # begun later, committed earlier
        middle = ask(start["next"]).json
        assert plates(start, middle) == ["浙A10005"]
        assert ask(middle["next"]).json["positions"] == []
    end = ask(middle["next"]).json
    assert plates(start, end) == ["浙A10001"]
    assert ask(end["next"]).json["positions"] == []


def test_a_transaction_that_is_rolled_back_leaves_nothing(call, live_database_url):
    ask = call("dispatcher.city")
    start = ask().json
    with pytest.raises(RuntimeError), writing(live_database_url, XIHU):
        raise RuntimeError
    assert ask(start["next"]).json["positions"] == []


@pytest.mark.parametrize("secrecy", ["restricted", "secret"])
def test_whoever_is_hidden_disappears_from_every_map(call, live_database_url, live_database, secrecy):
    ask = call("dispatcher.city")
    for phone in (XIHU, BINJIANG):
        write(live_database_url, phone)
    first = ask().json
    with live_database.transaction(SYSTEM) as session:
        session.scalars(select(Vehicle).where(Vehicle.plate == "浙A10001")).one().secrecy = secrecy
    after = ask(first["next"]).json
    assert after["full"]
    assert plates(after) == ["浙A10005"]
    assert "浙A10001" not in [one["plate"] for one in after["vehicles"]]
    assert not ask(after["next"]).json["full"]


def test_a_vehicle_whose_terminal_is_taken_out_disappears(call, live_database_url, live_database):
    ask = call("dispatcher.xihu")
    write(live_database_url, XIHU)
    first = ask().json
    with live_database.transaction(world.actor(live_database, "fleet_manager.xihu")) as session:
        vehicle = session.scalar(select(Vehicle.id).where(Vehicle.plate == "浙A10001"))
        vehicles.unbind_terminal(session, vehicle_id=vehicle, actor=session.info["actor"], now=NOW)
    with time_machine.travel(NOW + timedelta(seconds=1), tick=False):
        after = ask(first["next"]).json
    assert after["full"]
    assert after["positions"] == []


def test_another_ones_cursor_and_one_of_the_future_begin_anew(call, live_database_url):
    write(live_database_url, XIHU)
    ask = call("dispatcher.xihu")
    assert ask(call("dispatcher.city")().json["next"]).json["full"]
    known = ask().json["next"].partition("-")[0]
    ahead = ask(f"{known}-{2**62}:{2**62}:").json
    assert ahead["full"]
    assert plates(ahead) == ["浙A10001"]
    assert not ask(ahead["next"]).json["full"]


@pytest.mark.parametrize(
    "cursor", ["x", "-", "a-1:2", "a-2:1:", "a-1:1:9", "a-0:0:", f"a-1:{2**63}:", "a-1:1:" + "1," * 3000, "a-١:٢:"]
)
def test_a_cursor_that_no_answer_gave_is_refused_in_words(call, cursor):
    answer = call("dispatcher.xihu")(cursor)
    assert (answer.status_code, answer.json["code"]) == (422, "tracking.cursor")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.dictionaries(
        st.sampled_from(["since", "page", "x"]) | st.text(max_size=4), st.text(max_size=40), max_size=2
    )
    | st.fixed_dictionaries(
        {"since": st.from_regex(r"[0-9a-f]{0,16}-[0-9]{1,20}:[0-9]{1,20}:([0-9]{1,20},?){0,3}", fullmatch=True)}
    )
)
@example(query={"since": "\x00"})
def test_no_request_breaks_it(api, query):
    ask = api.known = getattr(api, "known", None) or api("dispatcher.city")
    answer = ask("GET", "/positions", query_string=query)
    assert answer.status_code in {200, 422}
    if answer.status_code == 200:
        assert set(answer.json) == {"next", "as_of", "full", "vehicles", "positions"}


def test_an_answer_is_what_the_schema_says_and_smaller_for_whoever_can_unpack_it(api, database, monkeypatch):
    with database.transaction(SYSTEM) as session:
        terminal = session.scalar(text("SELECT id FROM gps_terminal WHERE phone = :phone"), {"phone": XIHU})
        fix = Fix(at=NOW - timedelta(minutes=1), lat=30.26, lon=120.12, speed_kmh=42.0, direction_deg=90, acc=True)
        bridge.save_fixes(session, fixes=[(terminal, fix)], now=NOW, peer="test")
    ask = api("dispatcher.city")
    answer = ask("GET", "/positions")
    assert answer.json.keys() == LiveOut().fields.keys()
    assert answer.json["vehicles"][0].keys() == WatchedOut().fields.keys()
    [position] = answer.json["positions"]
    assert position.keys() == PositionOut().fields.keys()
    assert position["at"] == "2026-11-18T00:59:00Z"
    assert (position["state"], position["moving_until"]) == ("moving", "2026-11-18T01:02:00Z")
    monkeypatch.setattr("fleetapp.tracking.api.WORTH_IT", 0)
    squeezed = ask("GET", "/positions", query_string={}, environ_overrides={"HTTP_ACCEPT_ENCODING": "gzip"})
    assert squeezed.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(squeezed.data)).keys() == answer.json.keys()


def test_the_api_document_describes_it(browse):
    document = browse("dispatcher.city").get("/api/v1/openapi.json").json
    [since] = document["paths"]["/api/v1/positions"]["get"]["parameters"]
    assert since["name"] == "since"
    assert {"next", "full", "positions"} <= document["components"]["schemas"]["TrackingLiveOut"]["properties"].keys()


@settings(max_examples=200)
@given(
    silent_s=st.integers(0, 7200), delay_s=st.integers(-60, 7200), later_s=st.integers(0, 7200),
    speed_kmh=st.none() | st.floats(0, 150),
)  # fmt: skip
def test_the_outlook_says_what_the_rule_will_say(silent_s, delay_s, later_s, speed_kmh):
    received_at = datetime(2026, 11, 18, tzinfo=UTC)
    at, now = received_at - timedelta(seconds=delay_s), received_at + timedelta(seconds=silent_s)
    seen = outlook(at=at, received_at=received_at, speed_kmh=42.0, now=now)
    later = now + timedelta(seconds=later_s)
    said = (
        LiveState.OFFLINE if later > seen.offline_from
        else LiveState.MOVING if seen.moving_until is not None and later <= seen.moving_until
        else LiveState.PARKED
    )  # fmt: skip
    assert said == live_state(at=at, received_at=received_at, speed_kmh=42.0, now=later)


def test_the_database_says_which_transaction_changed_a_row(live_database_url):
    write(live_database_url, XIHU)
    with psycopg.connect(live_database_url) as connection:
        changed = "SELECT changed, changed < txid_snapshot_xmax(txid_current_snapshot()) FROM gps_last"
        [(before, past)] = connection.execute(changed).fetchall()
        assert past
    write(live_database_url, XIHU, at=NOW)
    with psycopg.connect(live_database_url) as connection:
        assert connection.execute(changed).fetchone()[0] > before
