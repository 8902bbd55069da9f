"""The road engine by HTTP, with the answers OSRM gives and the faults a network has; each figure says where it comes from."""

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from fleetapp.trips.roads import DETOUR_FACTOR, ESTIMATE_FACTOR, FAILURES, POINTS, Roads
from tests.trips.engine import engine, says

__all__ = ["engine"]

HOME, STATION = (30.2741, 120.1551), (30.2900, 120.2120)
FAR = [(39.90, 116.40), (39.95, 116.40)]
MATCHED = {"code": "Ok", "matchings": [{"distance": 5502.6, "duration": 472.5, "confidence": 0.9}], "tracepoints": []}


def way(metres: float, seconds: float) -> dict:
    shape = {"type": "LineString", "coordinates": [[120.1551, 30.2741], [120.18, 30.28], [120.212, 30.29]]}
    legs = [{"annotation": {"speed": [10.0, 20.0]}}]
    return {"distance": metres, "duration": seconds, "geometry": shape, "legs": legs}


def line(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return 1.7e9 + 10.0 * np.arange(n), 30.27 + 1e-4 * np.arange(n), np.full(n, 120.15)


def test_a_track_is_matched_in_pieces_that_share_a_point(engine):
    says(engine, MATCHED)
    at_s, lat, lon = line(2 * POINTS)
    found = Roads(engine.url + "/").match(at_s, lat, lon, gps_m=1.0)
    assert (found.metres, found.source) == (pytest.approx(3 * 5502.6), "osrm")
    first, second, third = ([*path.split("?")[0].rpartition("/")[2].split(";")] for path in engine.asked)
    assert (len(first), len(second), len(third)) == (POINTS, POINTS, 2)
    assert (first[-1], second[-1]) == (second[0], third[0])
    assert first[0] == "120.150000,30.270000"
    assert engine.asked[0].startswith("/match/v1/driving/")
    assert "timestamps=1700000000;1700000010;" in engine.asked[0]


def test_routes_come_quickest_first_and_slow_ones_do_not_count(engine):
    says(engine, {"code": "Ok", "routes": [way(7356, 491), way(5503, 472), way(9000, 700)]})
    found = Roads(engine.url).routes([HOME, STATION], longest_time=1.3)
    assert [(one.metres, one.seconds, one.source) for one in found] == [(5503, 472, "osrm"), (7356, 491, "osrm")]
    assert found[0].points[0].tolist() == [30.2741, 120.1551]
    assert found[0].pace_kmh.tolist() == [36.0, 72.0, 72.0]
    assert [len(Roads(engine.url).routes([HOME, STATION], longest_time=most)) for most in (1.0, 2.0)] == [1, 3]


def test_a_table_says_metres_and_seconds(engine):
    says(engine, {"code": "Ok", "distances": [[0, 5503.5], [5380.9, 0]], "durations": [[0, 472.5], [428.8, 0]]})
    found = Roads(engine.url).table([HOME, STATION])
    assert (found.metres[0, 1], found.seconds[1, 0], found.source) == (5503.5, 428.8, "osrm")


@pytest.mark.parametrize(
    "fault",
    [
        (500, b"Internal Server Error"), (429, b""), (200, b""), (200, b"<html>captive portal</html>"), (200, b"[]"), (200, b"null"),
        (200, {"code": "Ok"}), (200, {"matchings": [{"distance": "far"}], "routes": [way(1, -5)], "distances": [], "durations": []}),
        (200, {"matchings": [{"distance": float("nan")}], "routes": [], "distances": [[0]], "durations": [[0]]}),
        (200, {"matchings": 7, "routes": [{}], "distances": [[0, None], [0, 0]], "durations": [[0, 1], [1, 0]]}),
    ],
)  # fmt: skip
def test_no_usable_answer_is_an_estimate_that_says_so(engine, fault):
    says(engine, fault)
    at_s, lat, lon = line(5)
    matched = Roads(engine.url).match(at_s, lat, lon, gps_m=1000.0)
    assert (matched.metres, matched.source) == (1000 * ESTIMATE_FACTOR, "estimate")
    [route] = Roads(engine.url).routes(FAR, longest_time=1.3)
    assert (route.source, route.metres) == ("estimate", pytest.approx(5560 * DETOUR_FACTOR, rel=0.01))
    table = Roads(engine.url).table(FAR)
    assert (table.source, table.metres[0, 1]) == ("estimate", pytest.approx(route.metres))
    assert len(engine.asked) == 3


def test_an_engine_that_is_down_is_left_alone_for_the_rest_of_the_run(engine):
    says(engine, (200, MATCHED, 1.0))
    roads = Roads(engine.url, timeout_s=0.1)
    began_s = time.perf_counter()
    for _ in range(20):
        assert roads.match(*line(3), gps_m=100.0).source == "estimate"
    assert time.perf_counter() - began_s < 5
    assert len(engine.asked) == FAILURES
    assert not roads.answering


def test_an_answer_in_between_and_a_place_off_the_roads_do_not_count_as_down(engine):
    off = (400, {"code": "NoSegment", "message": "Could not find a matching segment for any coordinate."})
    says(engine, (500, b""), (500, b""), MATCHED, (500, b""), *[off] * 9, MATCHED)
    roads = Roads(engine.url)
    found = [roads.match(*line(3), gps_m=100.0).source for _ in range(14)]
    assert [place for place, source in enumerate(found) if source == "osrm"] == [2, 13]


def test_nobody_listening_and_no_engine_at_all():
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port
    for roads in (Roads(f"http://127.0.0.1:{port}"), Roads()):
        assert roads.match(*line(3), gps_m=100.0).source == "estimate"
    assert not Roads().answering


def test_without_an_engine_the_main_roads_at_hand_are_the_route():
    [route] = Roads().routes([HOME, STATION, HOME], longest_time=1.3)
    [there] = Roads().routes([HOME, STATION], longest_time=1.3)
    assert (route.source, there.source) == ("graph", "graph")
    assert route.metres == pytest.approx(2 * there.metres, rel=0.05)
    assert 5_500 < there.metres < 9_000
    assert abs(there.points[-1] - STATION).max() < 0.01


def test_one_stop_is_no_route():
    with pytest.raises(ValueError, match="two stops"):
        Roads().routes([HOME], longest_time=1.3)
