"""The chain of the audit log: append only, every tampering named at its place, whole under parallel writers."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.audit import queries, service
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.settings import Settings


def append(database, now, count, name="甲", actor=SYSTEM):
    """Append entries, one transaction each."""
    for number in range(count):
        with database.transaction(actor) as session:
            service.record(session, actor=actor, now=now, action="test.appended", subject_type="test", subject_id=number,
                           org_id=None, name=name)  # fmt: skip


def verify(database):
    with database.transaction(SYSTEM) as session:
        return queries.verify(session)


@pytest.fixture
def five(live_database, now):
    """Five entries after those of the world; returns the sequence number of the first."""
    with live_database.transaction(SYSTEM) as session:
        before = session.scalar(text("SELECT coalesce(max(seq), 0) FROM audit_entry"))
    append(live_database, now, 5)
    assert verify(live_database) == []
    return before + 1


@pytest.fixture
def tamper(live_database_url):
    """Run SQL as a superuser with all triggers off."""

    def run(*statements):
        with psycopg.connect(live_database_url) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                assert connection.execute(statement).rowcount > 0, statement

    return run


def note(session, now, number):
    service.record(
        session, actor=SYSTEM, now=now, action="test.appended", subject_type="test", subject_id=number, org_id=None
    )


def numbers(database):
    with database.transaction(SYSTEM) as session:
        query = text("SELECT subject_id FROM audit_entry WHERE action = 'test.appended' ORDER BY seq")
        return [int(number) for number in session.scalars(query)]


def test_a_long_transaction_makes_no_other_wait(live_database, now):
    with live_database.transaction(SYSTEM) as long:
        note(long, now, 1)
        note(long, now, 2)
        with live_database.transaction(SYSTEM) as short:
            short.execute(text("SET LOCAL lock_timeout = '1s'"))
            note(short, now, 3)
        assert numbers(live_database) == [3]
    assert numbers(live_database) == [3, 1, 2]
    assert verify(live_database) == []


def test_what_is_rolled_back_was_never_noted(live_database, now):
    with live_database.transaction(SYSTEM) as session:
        note(session, now, 1)
        with session.begin_nested():
            note(session, now, 2)
            inner = session.begin_nested()
            note(session, now, 3)
            inner.rollback()
        outer = session.begin_nested()
        with session.begin_nested():
            note(session, now, 4)
        outer.rollback()
        note(session, now, 5)
    with live_database.transaction(SYSTEM) as session:
        note(session, now, 6)
        session.rollback()
    assert numbers(live_database) == [1, 2, 5]


def test_entries_are_numbered_and_chained(live_database, five):
    with live_database.transaction(SYSTEM) as session:
        rows = session.execute(
            text("SELECT seq, prev_hash, hash FROM audit_entry WHERE seq >= :first ORDER BY seq"), {"first": five}
        ).all()
    assert [row.seq for row in rows] == list(range(five, five + 5))
    for earlier, later in itertools.pairwise(rows):
        assert later.prev_hash == earlier.hash
    assert len({row.hash for row in rows}) == 5


def test_a_transaction_that_fails_leaves_no_entry_and_no_gap(live_database, five, now):
    def fail():
        with live_database.transaction(SYSTEM) as session:
            service.record(
                session, actor=SYSTEM, now=now, action="test.lost", subject_type="test", subject_id=1, org_id=None
            )
            raise RuntimeError("afterwards")

    with pytest.raises(RuntimeError, match="afterwards"):
        fail()
    append(live_database, now, 1)
    assert verify(live_database) == []
    with live_database.transaction(SYSTEM) as session:
        assert session.scalar(text("SELECT max(seq) FROM audit_entry")) == five + 5


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entry SET actor_name = '乙'", "DELETE FROM audit_entry", "TRUNCATE audit_entry"]
)
def test_change_and_removal_are_refused_even_for_the_owner(live_database, live_database_url, five, statement):
    with (
        psycopg.connect(live_database_url) as owner,
        pytest.raises(psycopg.errors.RestrictViolation, match="superseded"),
    ):
        owner.execute(statement)
    with pytest.raises(DBAPIError, match="permission denied"), live_database.transaction(SYSTEM) as session:
        session.execute(text(statement))
    assert verify(live_database) == []


def test_the_application_can_neither_move_the_head_nor_choose_a_number(live_database, five):
    with pytest.raises(DBAPIError, match="permission denied"), live_database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE audit_head SET seq = 0"))
    with live_database.transaction(SYSTEM) as session:
        session.execute(text(
            "INSERT INTO audit_entry (seq, at, actor_name, action, subject_type, data, prev_hash, hash)"
            " VALUES (1, now(), 'x', 'test.forged', 'test', '{}', '', '')"))  # fmt: skip
    with live_database.transaction(SYSTEM) as session:
        assert session.scalar(text("SELECT max(seq) FROM audit_entry WHERE action = 'test.forged'")) == five + 5
    assert verify(live_database) == []


CASES = {
    # name: (statements with {0} the first of the five .. {4} the last, faults as (offset, kind))
    "data altered": (["UPDATE audit_entry SET data = '{{\"name\": \"乙\"}}' WHERE seq = {2}"], [(2, "altered")]),
    "time altered": (["UPDATE audit_entry SET at = at + interval '1 microsecond' WHERE seq = {2}"], [(2, "altered")]),
    "actor altered": (["UPDATE audit_entry SET actor_id = 1 WHERE seq = {0}"], [(0, "altered")]),
    "altered with a hash made to fit": (
        ["UPDATE audit_entry SET actor_name = '乙' WHERE seq = {2}",
         "UPDATE audit_entry e SET hash = audit_entry_hash(e) WHERE seq = {2}"], [(2, "replaced")]),
    "middle removed": (["DELETE FROM audit_entry WHERE seq = {2}"], [(3, "missing")]),
    "two places at once": (
        ["DELETE FROM audit_entry WHERE seq = {1}", "UPDATE audit_entry SET action = 'x' WHERE seq = {3}"],
        [(2, "missing"), (3, "altered")]),
    "tail cut": (["DELETE FROM audit_entry WHERE seq >= {3}"], [(4, "tail")]),
    "last altered with a hash made to fit": (
        ["UPDATE audit_entry SET actor_name = '乙' WHERE seq = {4}",
         "UPDATE audit_entry e SET hash = audit_entry_hash(e) WHERE seq = {4}"], [(4, "replaced")]),
    "two neighbours exchanged": (
        ["UPDATE audit_entry SET seq = -1 WHERE seq = {1}", "UPDATE audit_entry SET seq = {1} WHERE seq = {2}",
         "UPDATE audit_entry SET seq = {2} WHERE seq = -1"], [(1, "moved"), (2, "moved")]),
    "one slipped in, the later ones counted up": (
        ["UPDATE audit_entry SET seq = -seq WHERE seq >= {3}", "UPDATE audit_entry SET seq = 1 - seq WHERE seq < 0",
         ("INSERT INTO audit_entry SELECT {3}, at, actor_id, actor_name, 'test.forged', subject_type, subject_id, org_id, data, hash, hash"
          " FROM audit_entry WHERE seq = {2}"),
         "UPDATE audit_entry e SET hash = audit_entry_hash(e) WHERE seq = {3}"],
        [(3, "inserted"), (4, "moved"), (5, "moved")]),
    "one written past the end": (
        [("INSERT INTO audit_entry SELECT seq + 1, at, actor_id, actor_name, action, subject_type, subject_id, org_id, data, hash, hash"
          " FROM audit_entry WHERE seq = {4}"),
         "UPDATE audit_entry e SET hash = audit_entry_hash(e) WHERE seq = {4} + 1"], [(5, "beyond")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_tampering_past_all_triggers_is_named_at_its_place(live_database, live_database_url, five, tamper, case):
    statements, faults = CASES[case]
    tamper(*(statement.format(*range(five, five + 5)) for statement in statements))
    expected = [(five + offset, kind) for offset, kind in faults]
    assert [(fault.seq, fault.fault) for fault in verify(live_database)] == expected

    app = create_app(Settings(database_url=live_database_url, secret_key="only for tests"), live_database)
    result = app.test_cli_runner().invoke(args=["audit", "verify"])
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == len(expected)
    for (seq, _), line in zip(expected, result.output.splitlines(), strict=True):
        assert str(seq) in line


def test_the_command_and_the_page_say_that_a_chain_is_whole(live_database, live_database_url, five, browse):
    app = create_app(Settings(database_url=live_database_url, secret_key="only for tests"), live_database)
    result = app.test_cli_runner().invoke(args=["audit", "verify"])
    assert result.exit_code == 0, result.output
    assert f"{five + 4} entries" in result.output
    page = browse("auditor.city").get("/audit/verify").get_data(as_text=True)
    first_piece = re.search(r'hx-get="(/audit/verify/piece[^"]+)"', page)[1].replace("&amp;", "&")
    assert "校验通过" in browse("auditor.city").get(first_piece).get_data(as_text=True)
    assert browse("dispatcher.city").get("/audit/verify").status_code == 403


def test_eight_writers_at_once_keep_the_chain_whole(live_database, five, now):
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(append, live_database, now, 12, name=f"writer {number}") for number in range(8)]
        assert [future.result(timeout=60) for future in done] == [None] * 8
    assert verify(live_database) == []
    with live_database.transaction(SYSTEM) as session:
        numbers = session.scalars(
            text("SELECT seq FROM audit_entry WHERE seq >= :first ORDER BY seq"), {"first": five}
        ).all()
    assert numbers == list(range(five, five + 5 + 8 * 12))


def test_auditors_read_the_entries_of_their_sub_tree_only(database, session_as, acting, now):
    with database.transaction(SYSTEM) as session:
        orgs = dict(session.execute(text("SELECT code, id FROM organisation")).all())
        for code in ("330106-EDU", "330108-WATER"):
            service.record(
                session,
                actor=SYSTEM,
                now=now,
                action=f"test.{code}",
                subject_type="test",
                subject_id=1,
                org_id=orgs[code],
            )
        service.record(
            session, actor=SYSTEM, now=now, action="test.everywhere", subject_type="test", subject_id=1, org_id=None
        )

    def seen(username):
        with session_as(username) as session:
            found = session.scalars(queries.filtered(queries.visible_to(acting(username)), q="test.")).all()
            return {entry.action for entry in found}

    assert seen("auditor.binjiang") == {"test.330108-WATER"}
    assert seen("auditor.xihu") == {"test.330106-EDU"}
    assert seen("dispatcher.city") == set()
    assert {"test.330106-EDU", "test.330108-WATER"} <= seen("auditor.city")


@pytest.mark.parametrize("hint", ["(0,1)", "(4294967295,65535)", ""])
def test_a_wrong_hint_of_the_heads_place_changes_nothing(live_database, five, now, hint):
    with live_database.transaction(SYSTEM) as session:
        session.execute(text("SELECT set_config('fleet.audit_head_at', :hint, true)"), {"hint": hint})
        entries = [(number, None, {"n": number}) for number in range(300)]
        service.record_many(session, actor=SYSTEM, now=now, action="test.many", subject_type="test", entries=entries)
        service.record(
            session, actor=SYSTEM, now=now, action="test.one", subject_type="test", subject_id=1, org_id=None
        )
    append(live_database, now, 2)
    with live_database.transaction(SYSTEM) as session:
        rows = session.execute(text("SELECT subject_id FROM audit_entry WHERE action = 'test.many' ORDER BY seq")).all()
    assert [int(row[0]) for row in rows] == list(range(300))
    assert verify(live_database) == []
