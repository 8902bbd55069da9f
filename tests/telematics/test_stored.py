"""Columns straight from the store are those of the fixes read one by one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics import archive, store
from telematics.model import Fix
from telematics.rows import from_row, to_row
from telematics.stored import of_rows
from telematics.track import Track, columns

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
NAMES = Track.__slots__[2:]

maybe = st.none
counts = st.dictionaries(
    st.sampled_from(["satellites", "signal", "battery", "fuel_l"]), st.integers(-5, 2**40), max_size=4
)
phones = st.fixed_dictionaries(
    {}, optional={"hdop": st.floats(0, 50), "satellites": st.integers(0, 30), "note": st.text(max_size=5), "battery": st.floats(0, 1)}
)  # fmt: skip
fixes = st.builds(
    Fix,
    at=st.timedeltas(timedelta(days=-9_000), timedelta(0)).map(NOON.__add__),
    lat=st.integers(-90_000_000, 90_000_000).map(lambda value: value / 1e6),
    lon=st.integers(-180_000_000, 180_000_000).map(lambda value: value / 1e6),
    speed_kmh=maybe() | st.integers(0, 5_000).map(lambda value: value / 10),
    direction_deg=maybe() | st.integers(0, 600),
    altitude_m=maybe() | st.integers(-3_000, 9_000),
    acc=maybe() | st.booleans(),
    fixed=st.booleans(),
    odometer_m=maybe() | st.integers(0, 2**40),
    alarm=st.sampled_from([0, 1, 2**31, 2**32 - 1]),
    status=st.integers(0, 2**32 - 1),
    accuracy_m=maybe() | st.floats(0, 1000, width=32),
    mock=st.booleans(),
    blind=st.booleans(),
    source=st.sampled_from(["jt808", "osmand", "gpx", "一种新来源"]),
    items=counts | phones,
)


def same(one: Track, other: Track) -> None:
    for name in NAMES:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    assert one.fixes == other.fixes


@settings(deadline=None)  # the first call loads the compiled loops
@given(given_=st.lists(fixes, max_size=8))
def test_columns_of_rows_are_those_of_their_fixes(given_):
    rows = [to_row(1, fix, None, NOON)[1:6] for fix in given_]
    same(of_rows(rows), columns([from_row((at, *rest)) for at, _digest, *rest in rows]))


def drawn(number: int) -> Fix:
    return Fix(
        NOON + timedelta(seconds=20 * number), 30 + number / 1e4, 120.1, speed_kmh=40.0, direction_deg=90, altitude_m=8,
        odometer_m=number * 200, status=3, items={"satellites": number % 12},
    )  # fmt: skip


@pytest.fixture
def terminal(gps_conn):
    return store.add_terminal(gps_conn, phone="13912340001")


def test_a_window_over_midnight_reads_the_same_in_columns(gps_conn, terminal):
    given_ = [drawn(number) for number in range(4_000)]
    odd = [
        replace(given_[7], lat=31.0, items={"hdop": 9.5, "satellites": 3}),
        replace(given_[9], source="osmand", accuracy_m=12.5, mock=True, speed_kmh=None, acc=False),
    ]
    store.save(
        gps_conn, [(terminal, fix, None) for fix in [*given_[::-1], *odd, *given_[:50]]], NOON + timedelta(days=2)
    )
    start, end = NOON + timedelta(seconds=100), NOON + timedelta(hours=22)
    found = archive.read_columns(gps_conn, terminal, start, end)
    assert len(found) == len(given_) - 5 - 40 + len(odd)
    same(found, columns(store.read_fixes(gps_conn, terminal, start, end)))
    assert archive.read_track(gps_conn, terminal, start, end) == list(found.fixes)


def test_an_empty_window_and_an_unknown_terminal_give_no_columns(gps_conn, terminal):
    store.save(gps_conn, [(terminal, drawn(1), None)], NOON)
    assert len(store.read_columns(gps_conn, terminal, NOON, NOON)) == 0
    assert len(store.read_columns(gps_conn, terminal + 1, NOON, NOON + timedelta(hours=1))) == 0
    assert not store.read_columns(gps_conn, terminal, NOON - timedelta(days=400), NOON - timedelta(days=300)).fixes
