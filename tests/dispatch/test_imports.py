"""Published formats: plans of imported problems are judged by readers of their own, which know nothing of the model."""

import itertools
import lzma
import math
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch import Assignment, FileError, Params, Plan, Until, check, solve
from dispatch.imports import lilim, mdvsp, read
from dispatch.ride import ride_of
from dispatch.route import Index

STOP = Until(time_limit_s=None, rounds=3)
FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# ---- multi-depot vehicle scheduling ---------------------------------------------------------------------------------


@st.composite
def schedules(draw):
    """Draw the lines of an MDVSP file with at most 2 depots and 5 trips, numbered in any order of time."""
    depots, trips = draw(st.integers(1, 2)), draw(st.integers(1, 5))
    size, when = depots + trips, draw(st.permutations(range(trips)))
    cost = [[-1] * size for _ in range(size)]
    for a, b in itertools.product(range(size), repeat=2):
        ends = max(a, b) >= depots and min(a, b) < depots
        if ends or (a >= depots and b >= depots and when[a - depots] < when[b - depots]):
            cost[a][b] = draw(st.sampled_from([-1, 0, 7, 40, 41, 300, 5_000]))
    caps = draw(st.lists(st.integers(0, 3), min_size=depots, max_size=depots))
    return [" ".join(map(str, [depots, trips, *caps])), *("\t".join(map(str, row)) for row in cost)]


def table(lines):
    depots, trips, *caps = map(int, lines[0].split())
    return depots, trips, caps, [list(map(int, line.split())) for line in lines[1:]]


def legs(lines, plan):
    """Return the entries of the matrix along the plan's vehicles, and how often each trip and depot is used."""
    depots, _, _, cost = table(lines)
    duties = defaultdict(list)
    for a in sorted(plan.assignments, key=lambda a: a.start_s):
        duties[a.vehicle_id].append(depots + int(a.request_id.removeprefix("trip-")) - 1)
    entries, trips, used = [], [], defaultdict(int)
    for vehicle, duty in duties.items():
        home = int(vehicle.removeprefix("depot-").split("/")[0]) - 1
        used[home] += 1
        trips += duty
        entries += [cost[a][b] for a, b in itertools.pairwise([home, *duty, home])]
    return entries, trips, used


def cheapest(lines):
    """Return the least cost of covering all trips, by trying everything; None where it is impossible."""
    depots, trips, caps, cost = table(lines)
    order = []
    while len(order) < trips:
        rest = [t for t in range(depots, depots + trips) if t not in order]
        order.append(next(t for t in rest if all(cost[u][t] < 0 for u in rest)))

    def plans(k, duties):
        if k == trips:
            pairs = [pair for home, *duty in duties for pair in itertools.pairwise([home, *duty, home])]
            if all(cost[a][b] >= 0 for a, b in pairs):
                yield sum(cost[a][b] for a, b in pairs)
            return
        for n, duty in enumerate(duties):
            yield from plans(k + 1, [*duties[:n], (*duty, order[k]), *duties[n + 1 :]])
        for home in range(depots):
            if sum(duty[0] == home for duty in duties) < caps[home]:
                yield from plans(k + 1, [*duties, (home, order[k])])

    return min(plans(0, []), default=None)


@FEW
@given(schedules())
def test_cost_of_a_plan_is_the_sum_of_matrix_entries(lines):
    instance, params = mdvsp(lines)
    plan = solve(instance, params=params, stop=STOP)
    assert check(instance, plan, params=params) == []
    entries, trips, used = legs(lines, plan)
    _, count, caps, _ = table(lines)
    assert min(entries, default=0) >= 0
    assert len(set(trips)) == len(trips) == count - len(plan.unassigned)
    assert all(used[depot] <= cap for depot, cap in enumerate(caps))
    assert plan.cost_fen == sum(entries) + len(plan.unassigned) * params.penalty_fen[1]
    best = cheapest(lines)
    assert (best is None) == bool(plan.unassigned)
    if best is not None:
        assert plan.bound_fen <= best <= plan.cost_fen
        assert plan.cost_fen == best or plan.stopped != "optimal"


def small(*, caps="1 2", rows=None):
    """Two depots and three trips, of which the file names the last first."""
    rows = rows or ["-1 -1 50 30 40", "-1 -1 60 70 20", "9 8 -1 -1 -1", "7 6 5 -1 -1", "4 3 2 1 -1"]
    return [f"2 3 {caps}", *rows]


def test_trips_start_in_an_order_of_time_though_the_file_is_not_sorted():
    instance, params = mdvsp(small())
    assert [(r.id, r.earliest_s) for r in instance.requests] == [("trip-1", 2), ("trip-2", 1), ("trip-3", 0)]
    plan = solve(instance, params=params, stop=STOP)
    assert (plan.cost_fen, plan.bound_fen, plan.gap) == (20 + 1 + 5 + 8, 34, 0.0)
    assert [a.vehicle_id for a in plan.assignments] == ["depot-2/1"] * 3


def test_depot_that_cannot_reach_a_trip_does_not_serve_it():
    rows = ["-1 -1 -1 -1 -1", "-1 -1 60 70 20", "9 -1 -1 -1 -1", "7 6 5 -1 -1", "4 3 2 1 -1"]
    instance, params = mdvsp(small(rows=rows))
    plan = solve(instance, params=params, stop=STOP)
    assert list(plan.unassigned) == ["trip-1"]
    assert {a.vehicle_id[:7] for a in plan.assignments} == {"depot-2"}


def test_trips_too_many_for_the_vehicles_are_left_out_and_more_vehicles_than_trips_are_not_made():
    assert len(mdvsp(small(caps="0 1000000000"))[0].vehicles) == 3
    instance, params = mdvsp(small(caps="0 0"))
    assert len(solve(instance, params=params, stop=STOP).unassigned) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: depots, trips and the capacity of every depot expected, got 0 numbers."),
        (["", "2"], "line 2: depots, trips and the capacity of every depot expected, got 1 numbers."),
        (["0 3"], "line 1: at least 1 depot and 1 trip expected, got 0 and 3."),
        (["2 3 4"], "line 1: 2 capacities expected after depots and trips, got 1 numbers."),
        (small(caps="1 -2"), "line 1, number 4: a capacity of 0 or more expected, got -2."),
        (small(caps="1 two"), "line 1, number 4: a whole number expected, got 'two'."),
        (small(caps="1 2.5"), "line 1, number 4: a whole number expected, got '2.5'."),
        (small()[:-1], "the matrix has 4 rows, 5 expected."),
        ([*small(), "1 2"], "line 7: the file should end after 5 rows of the matrix. Remove the rest."),
        ([*small()[:3], "1 2 3", *small()[4:]], "line 4: a row of 5 numbers expected, got 3."),
        ([*small()[:5], "4 3 2 -7 -1"], "line 6, number 4: a cost from 0 to 20000000, or -1 where impossible, expected, got -7."),
        ([*small()[:5], "4 3 2 1 0"], "line 6, number 5: a trip cannot follow itself, -1 expected."),
        ([*small()[:3], "9 8 -1 -1 1", *small()[4:]], "the trips follow each other in a circle (trip 1 is on or behind one)"),
        ([small()[0], *(row.replace("-1 -1 ", "-1 -1 20000000 ", 1)[:24] for row in small()[1:])], "a row of 5 numbers"),
    ],
)  # fmt: skip
def test_bad_mdvsp_names_line_and_number(lines, message):
    with pytest.raises(FileError) as caught:
        mdvsp(lines)
    assert message in str(caught.value)


# ---- pick-up and delivery with time windows -------------------------------------------------------------------------


def nodes_of(lines):
    rows = [list(map(float, line.split())) for line in lines[1:]]
    return [dict(zip(("id", "x", "y", "demand", "ready", "due", "service", "pickup", "delivery"), r, strict=True)) for r in rows]  # fmt: skip


def routes(lines, plan):
    """Return the nodes every vehicle visits, in order, with the begin of service at each."""
    nodes, visits = nodes_of(lines), defaultdict(list)
    for a in plan.assignments:
        pick = int(a.request_id.removeprefix("pair-"))
        drop = int(nodes[pick]["delivery"])
        visits[a.vehicle_id].append((a.start_s / 60, pick))
        visits[a.vehicle_id].append((a.end_s / 60 - nodes[drop]["service"], drop))
    return [sorted(route) for route in visits.values()]


def judged(lines, plan):
    """Check windows, capacity, pairs and the way of every route with the file's own figures; return the distance."""
    nodes, (_, capacity, speed) = nodes_of(lines), map(float, lines[0].split())
    distance, close = 0.0, 1e-6
    for route in routes(lines, plan):
        at, free, load, aboard = 0, nodes[0]["ready"], 0.0, set()
        for begin, k in [*route, (nodes[0]["due"], 0)]:
            leg = math.dist((nodes[at]["x"], nodes[at]["y"]), (nodes[k]["x"], nodes[k]["y"]))
            distance += leg
            assert free + leg / speed <= begin + close
            assert nodes[k]["ready"] - close <= begin <= nodes[k]["due"] + close
            load += nodes[k]["demand"] if k else 0
            assert 0 <= load <= capacity
            if k and nodes[k]["pickup"] == 0:
                aboard.add(nodes[k]["delivery"])
            elif k:
                aboard.remove(k)
            at, free = k, begin + nodes[k]["service"]
        assert not aboard
    return distance


@st.composite
def deliveries(draw):
    """Draw the lines of a Li & Lim file of up to 4 pairs that can be served in time, each alone."""
    pairs = draw(st.integers(1, 4))
    capacity, speed = draw(st.sampled_from([10, 200, 701])), draw(st.sampled_from([1, 2]))
    # Mostly one way, so that rides can be shared.
    ends = st.tuples(st.integers(0, 10), st.integers(10, 16), st.integers(8, 30), st.integers(10, 20))
    lines = [f"{draw(st.integers(1, 4))}\t{capacity}\t{speed}", "0 15 15 0 0 1000 0 0 0"]
    for k in range(1, 2 * pairs, 2):
        (px, py, dx, dy), service = draw(ends), draw(st.sampled_from([0, 3, 10]))
        demand, width = draw(st.integers(1, capacity)), draw(st.sampled_from([0, 2, 60, 60]))
        ready, wait = draw(st.integers(50, 90)), draw(st.sampled_from([-20, -20, 0, 120]))
        arrive = math.ceil(ready + service + math.dist((px, py), (dx, dy)))
        opens = max(0, arrive + wait)
        lines.append(f"{k} {px} {py} {demand} {ready} {ready + width} {service} 0 {k + 1}")
        lines.append(
            f"{k + 1} {dx} {dy} {-demand} {opens} {max(arrive, opens) + draw(st.sampled_from([0, 150, 200]))} 5 {k} 0"
        )
    return lines


@FEW
@given(deliveries())
def test_routes_keep_windows_capacity_and_pairs(lines):
    instance, params = lilim(lines)
    plan = solve(instance, params=params, stop=STOP)
    assert check(instance, plan, params=params) == []
    distance, vehicles = judged(lines, plan), len(routes(lines, plan))
    served = [k for route in routes(lines, plan) for _, k in route]
    assert sorted(served + [n for r in plan.unassigned for n in pair(r)]) == list(range(1, len(lines) - 1))
    left = len(plan.unassigned)
    fen = plan.cost_fen - left * params.penalty_fen[1] - vehicles * params.day_fen["coach"]
    assert fen == pytest.approx(100 * distance, abs=2 * len(served) + 2)


def pair(request_id):
    pick = int(request_id.removeprefix("pair-"))
    return pick, pick + 1


def two(**changed):
    """Two pairs on a line, the second inside the first, with wide windows."""
    rows = {
        "head": "3 10 1", "depot": "0 0 0 0 0 400 0 0 0", "p1": "1 10 0 4 20 40 2 0 3", "p2": "2 20 0 4 20 60 2 0 4",
        "d1": "3 40 0 -4 50 200 2 1 0", "d2": "4 30 0 -4 30 200 2 2 0",
    }  # fmt: skip
    return list({**rows, **changed}.values())


def shared(instance, params, ids):
    """Return a plan that serves some requests in one ride and leaves the others out, or None."""
    ride = ride_of(Index(instance, params), ids)
    if ride is None:
        return None
    vehicle = instance.vehicles[0].id
    rows = [Assignment(r, vehicle, None, *span, ride.key) for r, span in zip(ride.request_ids, ride.spans, strict=True)]
    return Plan(tuple(rows), {r.id: "manual" for r in instance.requests if r.id not in ids}, (), 0)


@FEW
@given(deliveries())
def test_shared_rides_keep_windows_and_pairs_whatever_else_is_served(lines):
    instance, params = lilim(lines)
    for ids in itertools.combinations([r.id for r in instance.requests], 2):
        plan = shared(instance, params, ids)
        # Loads are checked against a vehicle only where the ride is given one.
        if plan and ride_of(Index(instance, params), ids).passengers <= instance.vehicles[0].seats:
            judged(lines, plan)


def test_two_deliveries_on_one_way_share_the_vehicle():
    instance, params = lilim(two())
    plan = shared(instance, params, ("pair-1", "pair-2"))
    assert [k for _, k in routes(two(), plan)[0]] == [1, 2, 4, 3]
    assert judged(two(), plan) == 80


def test_full_vehicle_takes_one_after_the_other():
    lines = two(p1="1 10 0 7 20 40 2 0 3", d1="3 40 0 -7 50 200 2 1 0")
    instance, params = lilim(lines)
    plan = solve(instance, params=params, stop=STOP)
    assert judged(lines, plan) > 80
    assert len(plan.unassigned) == 0


def test_delivery_that_opens_late_is_waited_for():
    lines = two(d1="3 40 0 -4 150 160 2 1 0")
    instance, _ = lilim(lines)
    first = instance.requests[0]
    assert (first.earliest_s, first.latest_s, first.duration_s) == (2_400, 2_400, (150 + 2 - 40) * 60)


def test_loads_above_the_seats_of_the_model_are_scaled_up():
    lines = two(head="3 200 1", p1="1 10 0 61 20 40 2 0 3", d1="3 40 0 -61 50 200 2 1 0")
    instance, _ = lilim(lines)
    assert [v.seats for v in instance.vehicles] == [60, 60]
    assert [r.passengers for r in instance.requests] == [math.ceil(61 * 0.3), 2]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "line 1: vehicles, capacity and speed expected, got 0 numbers."),
        (["3 10"], "line 1: vehicles, capacity and speed expected, got 2 numbers."),
        (two(head="0 10 1"), "line 1, number 1: vehicles of at least 1 expected, got 0."),
        (two(head="3 -5 1"), "line 1, number 2: capacity of at least 1 expected, got -5."),
        (two(head="3 10 0"), "line 1, number 3: speed of at least 1e-06 expected, got 0."),
        (two(head="3 10 fast"), "line 1, number 3: a number expected, got 'fast'."),
        (two()[:2], "a depot and at least one pair of nodes expected, got 1 nodes."),
        (two(p2="2 20 0 4 20 60 2 0"), "line 4: id x y demand ready due service pickup delivery expected, got 8 numbers."),
        (two(p2="7 20 0 4 20 60 2 0 4"), "line 4: node 2 expected, got 7. Number the nodes from 0 on in order."),
        (two(p2="2 nan 0 4 20 60 2 0 4"), "line 4: finite numbers expected."),
        (two(p2="2 1e9 0 4 20 60 2 0 4"), "line 4: coordinates of at most 20000 expected, got 1e+09 0."),
        (two(p2="2 20 0 14 20 60 2 0 4"), "line 4: a demand within the capacity of 10 expected, got 14."),
        (two(p2="2 20 0 4 70 60 2 0 4"), "line 4: 0 <= ready <= due <= 44640 and a service from 0 to 44640 expected, got 70, 60 and 2."),
        (two(p2="2 20 0 4 20 60 2 0 9"), "line 4: either a pickup or a delivery node from 1 to 4 expected."),
        (two(p2="2 20 0 4 20 60 2 0 3"), "line 4: node 3 is its partner but names another one."),
        (two(d2="4 30 0 -3 30 200 2 2 0"), "line 4: demand of a pick-up above 0, of its delivery the same below 0 expected"),
        (two(d1="3 40 0 -4 10 30 2 1 0"), "line 5: delivery 3 is due before anybody can come there from pick-up 1."),
        (two(depot="0 0 0 0 0 0 0 0 0"), "the file does not fit the model. Span: start_s must be before end_s"),
    ],
)  # fmt: skip
def test_bad_lilim_names_the_line(lines, message):
    with pytest.raises(FileError) as caught:
        lilim(lines)
    assert message in str(caught.value)


# ---- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.inp", "a.inp.xz", "unnamed"])
def test_files_are_unpacked_by_content(tmp_path, name):
    text = "\n".join(small()).encode()
    (tmp_path / name).write_bytes(text if name == "a.inp" else lzma.compress(text))
    instance, params = read(str(tmp_path / name), "mdvsp")
    assert (len(instance.requests), len(instance.vehicles)) == (3, 3)
    assert isinstance(params, Params)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("no/such.inp", None, "cannot be read: No such file or directory. Give the path of a readable file."),
        ("a.inp.xz", b"2 3 1 2" * 50, "this is no sound xz file. Fetch it again or unpack it first."),
        ("a.inp.xz", lzma.compress(b"2 3 1 2" * 50)[:-20], "the xz file ends too early. Fetch it again."),
        ("a.inp", b"\xff\xfe\x00", "this is not text. Give a file of numbers as published"),
        ("a.inp", b"", "line 1: depots, trips and the capacity of every depot expected, got 0 numbers."),
    ],
)
def test_bad_file_is_refused_by_name(tmp_path, name, data, message):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(FileError) as caught:
        read(str(tmp_path / name), "mdvsp")
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert message in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([mdvsp, lilim]), st.lists(st.text("-0123456789.e naif\t", max_size=20), max_size=5))
def test_any_text_is_refused_by_a_sentence(reader, lines):
    with pytest.raises(FileError):
        reader(lines)
