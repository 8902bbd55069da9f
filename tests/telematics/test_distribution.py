"""The tables of positions keep to what a distributed PostgreSQL (Citus) demands of tables distributed by terminal.

Source: Citus documentation, "Creating and Modifying Distributed Objects" and "SQL Support and Workarounds": unique indexes
contain the distribution column itself, an expression over it does not count; foreign keys lead to reference tables only; triggers
are refused unless citus.enable_unsafe_triggers is on.
"""

from datetime import UTC, datetime

import psycopg
import pytest

from telematics import store
from tests.telematics.running import NOW, fix

BY_TERMINAL = ("gps_fix", "gps_last", "gps_touched", "gps_link")
APPEND_ONLY = {"append_only", "append_only_all"}


@pytest.fixture
def relations(gps_conn) -> dict[int, str]:
    """Tables by terminal and frames, with the partitions of a day, by object number."""
    terminal = store.add_terminal(gps_conn, phone="13800138000")
    store.save(gps_conn, [(terminal, fix(), b"frame")], NOW)
    query = """
        SELECT c.oid, c.relname FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE c.relname = ANY (%s) OR i.inhparent IN ('gps_fix'::regclass, 'gps_raw'::regclass)"""
    found = dict(gps_conn.execute(query, [[*BY_TERMINAL, "gps_raw"]]).fetchall())
    assert {"gps_fix_20240520", "gps_raw_20240520"} <= set(found.values())
    return found


def unique_indexes(conn: psycopg.Connection, relations: dict[int, str]) -> dict[str, bool]:
    """Whether the key of each unique index holds terminal_id as a column."""
    query = """
        SELECT x.indexrelid::regclass::text, EXISTS (
            SELECT FROM pg_attribute a WHERE a.attrelid = x.indrelid AND a.attname = 'terminal_id'
            AND a.attnum = ANY ((string_to_array(x.indkey::text, ' ')::int2[])[1:x.indnkeyatts]))
        FROM pg_index x WHERE x.indisunique AND x.indrelid = ANY (%s)"""
    return dict(conn.execute(query, [list(relations)]).fetchall())


def test_every_unique_index_holds_the_terminal(gps_conn, relations):
    found = unique_indexes(gps_conn, relations)
    assert {"uq_gps_fix_20240520", "pk_gps_last", "pk_gps_touched", "pk_gps_link"} <= found.keys()
    assert [name for name, holds in found.items() if not holds] == []
    gps_conn.execute("CREATE UNIQUE INDEX wrong ON gps_fix_20240520 (gps_moment(at), digest)")
    assert not unique_indexes(gps_conn, relations)["wrong"]


def test_foreign_keys_lead_to_the_list_of_terminals_alone(gps_conn, relations):
    query = "SELECT conrelid, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND (conrelid = ANY (%s) OR confrelid = ANY (%s))"
    found = gps_conn.execute(query, [list(relations), list(relations)]).fetchall()
    assert {target for _, target in found} == {"gps_terminal"}
    assert {relations[source] for source, _ in found} == {"gps_last", "gps_touched", "gps_link"}


def test_triggers_only_refuse_changes_and_need_nothing_of_other_rows(gps_conn, relations):
    query = "SELECT tgname, tgfoid::regproc::text, tgtype & 4 > 0 FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = ANY (%s)"
    found = gps_conn.execute(query, [list(relations)]).fetchall()
    assert {name for name, _, _ in found} == APPEND_ONLY
    assert {function for _, function, _ in found} == {"gps_refuse"}
    assert not any(on_insert for *_, on_insert in found)


def test_no_column_counts_and_nothing_is_excluded(gps_conn, relations):
    counting = gps_conn.execute(
        "SELECT attrelid::regclass::text FROM pg_attribute WHERE attrelid = ANY (%s) AND (attidentity <> '' OR attgenerated <> '')",
        [list(relations)],
    ).fetchall()
    excluding = gps_conn.execute(
        "SELECT conname FROM pg_constraint WHERE contype = 'x' AND conrelid = ANY (%s)", [list(relations)]
    ).fetchall()
    assert counting == excluding == []


def test_the_same_moment_and_content_of_two_terminals_are_two_fixes(gps_conn):
    first, second = (store.add_terminal(gps_conn, phone=phone) for phone in ("13800138001", "13800138002"))
    assert store.save(gps_conn, [(first, fix(), None), (second, fix(), None), (first, fix(), None)], NOW) == 2
    day = datetime(2024, 5, 20, tzinfo=UTC), datetime(2024, 5, 21, tzinfo=UTC)
    assert [len(store.read_fixes(gps_conn, one, *day)) for one in (first, second)] == [1, 1]
