"""Whatever pieces a track comes in, in whatever order and how often: the trips are those of the whole."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fleetapp.kit.actor import SYSTEM
from fleetapp.trips import bridge, jobs
from telematics.model import Fix
from tests.telematics.driving import Second, drive, reported
from tests.trips.conftest import ORDERED, STRAY
from tests.trips.test_service import trips_of

HOUR = timedelta(hours=1)
EAST = [(0.0, 0.0), (2500.0, 0.0), (2500.0, 1500.0)]
PIECES = 9


def facts(trips):
    return [(trip.start_at, trip.end_at, trip.content_digest, trip.gaps, trip.stops) for trip in trips]


@pytest.fixture
def week(now) -> Callable[[], list[Fix]]:
    """Four drives, 13 hours, three days and half an hour of silence between them, two of them found elsewhere; one corrupt fix."""
    seconds: list[Second] = []
    at, corners = now - timedelta(days=6), EAST
    for silent in (13 * HOUR, 72 * HOUR, HOUR / 2, HOUR):
        seconds += drive(corners, start_at=at)
        at = seconds[-1].at + silent
        corners = [(x + 900.0, y) for x, y in corners[::-1]]
    fixes = reported(seconds, every_s=20)
    fixes[30] = replace(fixes[30], lat=fixes[30].lat + 0.3)
    return lambda: fixes


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(order=st.permutations(range(PIECES)), again=st.integers(0, PIECES - 1), whole_job=st.booleans())
def test_pieces_in_any_order_give_the_trips_of_the_whole(furnished, save, now, week, order, again, whole_job):
    fixes = week()
    edges = [len(fixes) * k // PIECES for k in range(PIECES + 1)]
    pieces = [fixes[first:last] for first, last in pairwise(edges)]
    with furnished.engine.begin_nested() as example:
        save(STRAY, fixes, now)
        jobs.derive(furnished, now)
        for number, piece in enumerate([*order, again]):
            later = now + timedelta(seconds=number)
            save(ORDERED, pieces[piece][::-1], later)
            if not whole_job or number == PIECES:
                jobs.derive(furnished, later)
        whole, pieced = facts(trips_of(furnished, STRAY)), facts(trips_of(furnished, ORDERED))
        example.rollback()
    assert len(whole) == 4
    assert [len(gaps) for _, _, _, gaps, _ in whole] == [1, 2, 2, 1]
    assert pieced == whole


def test_far_windows_of_a_terminal_are_read_apart(furnished, save, now, week):
    """Late fixes of 20 days ago do not make the job read the days since."""
    fixes = week()
    save(STRAY, fixes, now)
    jobs.derive(furnished, now)
    late = [replace(fix, at=fix.at - timedelta(days=20)) for fix in fixes[:12]]
    save(STRAY, [*late, replace(fixes[-1], at=fixes[-1].at + timedelta(seconds=7))], now + HOUR)
    with furnished.transaction(SYSTEM) as session:
        groups = jobs.together(bridge.read_touched(session, limit=100))
    assert [len(group) for group in groups] == [1, 1]
    done = jobs.derive(furnished, now + HOUR)
    assert done["windows"] == 2
    assert len(trips_of(furnished, STRAY)) == 5
