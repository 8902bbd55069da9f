import hashlib
import random
import threading
import uuid
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect

from telematics import store, tables
from telematics.ingest import order_and_dedupe
from telematics.last import last_positions
from telematics.model import Fix

NOW = datetime(2024, 5, 20, 4, 0, tzinfo=UTC)
START = datetime(2024, 5, 20, 1, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def fix(second: int = 0, **changes) -> Fix:
    at = START + timedelta(seconds=second)
    return Fix(**{"at": at, "lat": 30.25, "lon": 120.15, "speed_kmh": 45.3, "direction_deg": 90, "acc": True} | changes)


def new_terminal(conn, **options) -> int:
    return store.add_terminal(conn, phone=f"a{uuid.uuid4().hex}", **options)


def read_all(conn, terminal: int) -> list[Fix]:
    return store.read_fixes(conn, terminal, datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC))


def touched(conn, terminal: int) -> list[store.Touched]:
    return [window for window in store.read_touched(conn, 1000) if window.terminal_id == terminal]


def count(conn, table: str, where: str = "true") -> int:
    return conn.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]


def test_a_fix_reads_back_as_it_was_saved(gps_conn):
    terminal = new_terminal(gps_conn)
    full = Fix(
        at=START + timedelta(microseconds=250_000), lat=-30.123456, lon=-120.654321, speed_kmh=6553.5, direction_deg=65535,
        altitude_m=-12, acc=False, fixed=False, odometer_m=429_496_729_500, alarm=2**32 - 1, status=2**32 - 2,
        accuracy_m=12.5, mock=True, blind=True, source="osmand", items={"车牌": "浙A", "raw": [{"id": "e1", "hex": "00ff"}]},
    )  # fmt: skip
    bare = Fix(at=START + timedelta(seconds=1), lat=0.0, lon=0.0)
    assert store.save(gps_conn, [(terminal, bare, None), (terminal, full, b"\x7e\x00\x7e")], NOW) == 2
    assert read_all(gps_conn, terminal) == [full, bare]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_order_and_any_duplicates_give_one_set_of_fixes(gps_conn, data):
    terminal = new_terminal(gps_conn)
    fixes = data.draw(
        st.lists(
            st.builds(
                fix, st.integers(-90_000, 90_000), lat=st.sampled_from([30.25, 30.26]), speed_kmh=st.sampled_from([None, 1.0])
            ),
            min_size=1, max_size=12,
        )
    )  # fmt: skip
    sent = data.draw(st.permutations(fixes + fixes[: len(fixes) // 2]))
    cut = data.draw(st.integers(0, len(sent)))
    added = sum(
        store.save(gps_conn, [(terminal, one, b"x") for one in part], NOW) for part in (sent[:cut], sent[cut:], sent)
    )
    expected = order_and_dedupe(fixes)
    assert added == len(expected)
    assert read_all(gps_conn, terminal) == expected


def test_reading_is_half_open_and_of_one_terminal(gps_conn):
    mine, other = new_terminal(gps_conn), new_terminal(gps_conn)
    store.save(gps_conn, [(terminal, fix(second), None) for terminal in (mine, other) for second in (0, 10, 20)], NOW)
    found = store.read_fixes(gps_conn, mine, START, START + timedelta(seconds=20))
    assert [one.at for one in found] == [START, START + timedelta(seconds=10)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (fix(at=datetime(1999, 12, 31, 23, 59, tzinfo=UTC)), "before 2000"),
        (fix(at=NOW + DAY + timedelta(seconds=1)), "more than a day ahead"),
        (fix(lat=4294.967295), "latitude"),
        (fix(lon=float("nan")), "longitude"),
        (fix(items={"temperature": float("inf")}), "JSON"),
    ],
)
def test_what_cannot_be_stored_goes_to_quarantine_with_a_reason(gps_conn, wrong, reason):
    terminal = new_terminal(gps_conn)
    assert store.save(gps_conn, [(terminal, wrong, b"evidence"), (terminal, fix(), b"")], NOW, peer="upload") == 1
    assert read_all(gps_conn, terminal) == [fix()]
    [row] = gps_conn.execute("SELECT peer, phone, reason, raw, received_at FROM gps_quarantine").fetchall()
    assert (row[0], row[1], row[3], row[4]) == ("upload", str(terminal), b"evidence", NOW)
    assert reason in row[2]


def test_last_position_is_the_newest_plausible_one_whatever_the_order(gps_conn):
    terminal = new_terminal(gps_conn)
    implausible = [
        fix(500, fixed=False), fix(501, mock=True), fix(502, lat=0.0, lon=0.0), fix(503, lat=95.0),
        fix(at=NOW + timedelta(minutes=3)),
    ]  # fmt: skip
    for batch in ([fix(100, odometer_m=7000)], [fix(50)], [fix(200, speed_kmh=12.3), fix(150)], implausible):
        store.save(gps_conn, [(terminal, one, None) for one in batch], NOW)
    [last] = last_positions(gps_conn, NOW, [terminal])
    assert (last.at, last.speed_kmh, last.lat, last.received_at) == (START + timedelta(seconds=200), 12.3, 30.25, NOW)
    assert last_positions(gps_conn, NOW + timedelta(seconds=1)) == []
    assert last_positions(gps_conn, NOW, []) == []


def test_touched_windows_grow_and_split_at_utc_midnight(gps_conn):
    terminal = new_terminal(gps_conn)
    midnight = datetime(2024, 5, 20, tzinfo=UTC)
    times = [midnight - timedelta(seconds=1), midnight, midnight + timedelta(hours=2)]
    store.save(gps_conn, [(terminal, fix(at=times[2]), None)], NOW)
    store.save(gps_conn, [(terminal, fix(at=at), None) for at in times], NOW + timedelta(seconds=5))
    windows = {window.day: (window.first_at, window.last_at) for window in touched(gps_conn, terminal)}
    assert windows == {date(2024, 5, 19): (times[0], times[0]), date(2024, 5, 20): (times[1], times[2])}


def test_a_window_touched_again_while_it_was_worked_on_is_not_cleared(gps_conn):
    terminal = new_terminal(gps_conn)
    store.save(gps_conn, [(terminal, fix(0), None), (terminal, fix(at=START - DAY), None)], NOW)
    seen = touched(gps_conn, terminal)
    store.save(gps_conn, [(terminal, fix(1), None)], NOW)  # at the same instant, even
    assert store.clear_touched(gps_conn, seen) == 1
    [left] = touched(gps_conn, terminal)
    assert left.day == START.date()
    assert store.clear_touched(gps_conn, [left]) == 1


def test_a_duplicate_touches_nothing(gps_conn):
    terminal = new_terminal(gps_conn)
    store.save(gps_conn, [(terminal, fix(), None)], NOW)
    store.clear_touched(gps_conn, touched(gps_conn, terminal))
    assert store.save(gps_conn, [(terminal, fix(), None)], NOW + DAY) == 0
    assert touched(gps_conn, terminal) == []


def test_raw_hashes_prove_the_bytes(gps_conn):
    terminal = new_terminal(gps_conn)
    store.save(gps_conn, [(terminal, fix(0), b"frame"), (terminal, fix(1), None)], NOW)
    hashes = store.raw_hashes(gps_conn, terminal, START, START + DAY)
    assert [entry.sha256 for entry in hashes] == [hashlib.sha256(b"frame").hexdigest(), None]


def test_a_fix_of_an_unknown_terminal_is_refused(gps_conn):
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        store.save(gps_conn, [(-1, fix(), None)], NOW)


@pytest.mark.parametrize("table", ["gps_fix", "gps_raw", "gps_quarantine", "gps_fix_20240520", "gps_raw_20240520"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_what_was_received_is_never_changed(gps_conn, table, statement):
    terminal = new_terminal(gps_conn)
    store.save(gps_conn, [(terminal, fix(), b""), (terminal, fix(lat=1e9), b"")], NOW)
    column = {"f": "rest", "r": "frames", "q": "peer"}[table[4]]
    with pytest.raises(psycopg.errors.RestrictViolation, match="never changed or removed"):
        gps_conn.execute(statement.format(table, column, column))


def test_identities_are_compared_without_leading_zeros(gps_conn):
    terminal = store.add_terminal(gps_conn, phone=" 013912345678 ", kind="phone", token="secret")
    found = gps_conn.execute("SELECT phone, token_sha256 FROM gps_terminal WHERE id = %s", [terminal]).fetchone()
    assert found == ("13912345678", hashlib.sha256(b"secret").hexdigest())
    with pytest.raises(ValueError, match="empty"):
        store.add_terminal(gps_conn, phone="000")
    with pytest.raises(psycopg.errors.UniqueViolation):
        store.add_terminal(gps_conn, phone="13912345678")


def test_partitions_are_made_once_by_many_connections_at_the_same_time(gps_dsn):
    failures = []

    def ensure():
        try:
            with psycopg.connect(gps_dsn, autocommit=True) as conn:
                for day in range(1, 6):
                    conn.execute("SELECT gps_ensure_partition(%s)", [date(2023, 1, day)])
        except psycopg.Error as error:
            failures.append(error)

    threads = [threading.Thread(target=ensure) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with psycopg.connect(gps_dsn) as conn:
        assert (
            count(
                conn,
                "pg_inherits",
                "inhparent = 'gps_fix'::regclass AND inhrelid::regclass::text LIKE 'gps_fix_202301%'",
            )
            == 5
        )
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            conn.execute("SELECT gps_ensure_partition('1999-12-31')")


def test_a_new_partition_does_not_wait_for_readers_of_the_others(gps_dsn):
    with psycopg.connect(gps_dsn) as reader, psycopg.connect(gps_dsn, options="-c lock_timeout=500") as maker:
        count(reader, "gps_fix")  # its transaction stays open
        maker.execute("SELECT gps_ensure_partition('2023-02-01')")
        assert maker.execute("SELECT to_regclass('gps_fix_20230201')").fetchone() == ("gps_fix_20230201",)


def test_two_writers_of_the_same_fixes_do_not_harm_each_other(gps_dsn):
    with psycopg.connect(gps_dsn) as setup:
        terminals = [new_terminal(setup) for _ in range(5)]
    fixes = [(terminal, fix(second), b"x") for terminal in terminals for second in range(40)]
    added = []

    def write(seed: int):
        mine = random.Random(seed).sample(fixes, len(fixes))
        with psycopg.connect(gps_dsn) as conn:
            for start in range(0, len(mine), 20):
                with conn.transaction():
                    added.append(store.save(conn, mine[start : start + 20], NOW))

    threads = [threading.Thread(target=write, args=[seed]) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(added) == len(fixes)
    assert len(added) == 30


def test_the_gateway_role_may_add_and_not_more(gps_dsn):
    with psycopg.connect(gps_dsn) as conn:
        terminal = new_terminal(conn)
        conn.execute("SET ROLE fleet_gateway")
        assert store.save(conn, [(terminal, fix(second), b"") for second in (0, 1)], NOW) == 2
        for refused in (
            "DELETE FROM gps_touched", "DELETE FROM gps_fix", "UPDATE gps_terminal SET enabled = false",
            "INSERT INTO gps_terminal (phone) VALUES ('1')", "CREATE TABLE mine ()",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege), conn.transaction():
                conn.execute(refused)
        conn.rollback()


def test_everything_can_be_dropped_and_made_again(gps_dsn):
    engine = create_engine(gps_dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.connect() as connection:
        outer = connection.begin()
        tables.drop_all(connection)
        assert [name for name in inspect(connection).get_table_names() if name.startswith("gps_")] == []
        tables.create_all(connection)
        outer.rollback()
    engine.dispose()
