"""Pricing under driver hours and range, against every chain there is, judged by the rules in plain Python."""

import threading
from itertools import combinations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch import Driver, Instance, Params, Request, Span, Stop, Vehicle
from dispatch.chains import Chains
from dispatch.crew import Duty, sound
from dispatch.duties import MANY, Duties
from dispatch.kernels.sweep import BIG, CLOSED
from dispatch.network import build
from dispatch.problem import Problem
from tests.dispatch.anyday import PLACES, travels
from tests.dispatch.instances import EPOCH, HOUR_S

SOME = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
MODES = pytest.mark.parametrize("mode", ["free", "pooled", "bound"])
ENERGY = pytest.mark.parametrize("energy", ["petrol", "bev"])


def spans(draw):
    start_s = draw(st.integers(0, 9)) * HOUR_S
    first = Span(start_s, start_s + draw(st.integers(5, 20)) * HOUR_S)
    if draw(st.integers(0, 3)):
        return (first,)
    gap_s = draw(st.sampled_from([600, 2_400, 2 * HOUR_S]))
    return (first, Span(first.end_s + gap_s, first.end_s + gap_s + 9 * HOUR_S))


@st.composite
def lanes(draw, mode, energy, stops_s=(1_200, 1_800)):
    """Draw a day with one type of vehicle, and parameters close to what the day asks for."""
    requests = []
    for k in range(draw(st.integers(1, 7))):
        route = draw(st.lists(st.sampled_from(PLACES), min_size=2, max_size=3))
        start_s = draw(st.integers(5 * 12, 20 * 12)) * 300
        stops = tuple(Stop(place, draw(st.sampled_from([0, 300, 1_200, 2_400]))) for place in route)
        duration_s = draw(st.sampled_from([0, 600, 3_600]))
        secret = draw(st.integers(0, 5)) == 0
        requests.append(
            Request(f"r{k}", stops, start_s, start_s, duration_s, 1, "sedan", "meeting", "city", secret=secret)
        )
    vehicle = Vehicle(
        "v", draw(st.sampled_from(PLACES[:2])), "city", "sedan", 4, spans(draw), energy=energy,
        range_m=draw(st.integers(20, 300)) * 1_000 if energy == "bev" else None, soc=draw(st.sampled_from([0.5, 1.0])),
        driver_id="d" if mode == "bound" else None, tags=frozenset({"secret"}),
    )  # fmt: skip
    driver = Driver(
        "d", draw(st.sampled_from([vehicle.yard, *PLACES[:2]])), "city", "C1", spans(draw),
        shift_max_s=draw(st.sampled_from([5, 8, 10])) * HOUR_S,
        off_since_s=draw(st.sampled_from([None, 0])), tags=draw(st.sampled_from([frozenset(), frozenset({"secret"})])),
    )  # fmt: skip
    stop_s = draw(st.sampled_from(stops_s))
    params = Params(
        drive_max_s=draw(st.sampled_from([2, 3, 4])) * HOUR_S, yard_stop_s=stop_s,
        charge_m_per_h=draw(st.sampled_from([0, 7_001, 120_000])),
        range_reserve_permille=draw(st.sampled_from([1_000, 1_200])),
        between_shifts_s=draw(st.sampled_from([0, 3 * HOUR_S, 8 * HOUR_S])),
    )  # fmt: skip
    instance = Instance(
        EPOCH, draw(travels()), tuple(requests), (vehicle,), (driver,) if mode != "free" else (),
        before_s=draw(st.sampled_from([0, 300])), after_s=draw(st.sampled_from([0, 300])),
    )  # fmt: skip
    return Problem(instance, params)


def reference(problem, nodes, positions):
    """Return a chain of the only type by the rules in plain Python, or None."""
    kind = problem.types[0]
    jobs, starts_s = nodes.job[positions].tolist(), nodes.start_s[positions].tolist()
    chain = Chains(problem).evaluate(kind, jobs, starts_s)
    if chain is None or kind.crew is None:
        return chain
    duties = [Duty(trip.out_s, trip.in_s, kind.yard, kind.class_no, -1, trip) for trip in chain.trips]
    if kind.class_no not in kind.crew.classes or any(trip.secret and not kind.crew.secret for trip in chain.trips):
        return None
    return chain if sound(problem, kind.crew, duties) else None


def every_chain(problem, network):
    """Yield positions and chain (None where it breaks a rule) of every sequence in order of time."""
    mine = network.groups[0].nodes
    for count in range(1, len(mine) + 1):
        for chosen in combinations(range(len(mine)), count):
            yield np.array(chosen), reference(problem, network.nodes, mine[list(chosen)])


def priced_by_hand(problem, network, prices):
    """Return the least reduced cost and the reduced cost of every chain, with prices (cov, out, back) by node."""
    cov, out, back = prices
    costs = {}
    position = {int(network.nodes.job[n]): k for k, n in enumerate(network.groups[0].nodes)}
    for chosen, chain in every_chain(problem, network):
        if chain is not None:
            ends = [(position[trip.visits[0][0]], position[trip.visits[-1][0]]) for trip in chain.trips]
            cost = chain.cost_fen - cov[chosen].sum() + sum(out[a] + back[b] for a, b in ends)
            costs[tuple(chosen.tolist())] = cost
    return min([0.0, *costs.values()]), costs


def drawn_prices(data, count):
    """Draw what nodes are worth, and what the time of outings costs."""
    numbers = st.lists(st.integers(0, 40_000), min_size=count, max_size=count)
    worth = np.array(data.draw(numbers), dtype=np.float64)
    away = np.array(data.draw(numbers), dtype=np.float64) / 40 * data.draw(st.sampled_from([0, 1]))
    return worth, away[::-1] - away.mean(), away


def price(network, prices, most):
    group = network.groups[0]
    worth, out, back = prices
    duties = Duties(network, group, threading.local())
    day = float(network.problem.types[0].day_fen)
    cov = np.where(group.serve[:, 0] >= CLOSED, BIG, group.serve[:, 0] - worth)
    return duties.lane(0, cov, group.out_fen[:, 0] + out, group.back_fen[:, 0] + back, day, len(worth), most)


@MODES
@ENERGY
@SOME
@given(st.data())
def test_least_is_that_of_all_chains_and_chains_are_allowed(mode, energy, data):
    problem = data.draw(lanes(mode, energy))
    network = build(problem)
    if not network.groups:
        return
    prices = drawn_prices(data, len(network.groups[0].nodes))
    least, costs = priced_by_hand(problem, network, prices)
    found = price(network, prices, MANY)
    assert found.exact
    assert found.least == pytest.approx(least, abs=1e-5)
    if least < -1e-3:
        assert found.chains[0][0] == pytest.approx(least, abs=1e-5)
    for cost, path in found.chains:
        assert costs[tuple(path.tolist())] == pytest.approx(cost, abs=1e-5)


@MODES
@ENERGY
@settings(SOME, max_examples=30)
@given(st.data(), st.integers(1, 3))
def test_with_few_labels_the_bound_stays_below(mode, energy, data, most):
    problem = data.draw(lanes(mode, energy, stops_s=(0, 600, 1_200)))
    network = build(problem)
    if not network.groups:
        return
    prices = drawn_prices(data, len(network.groups[0].nodes))
    least, _ = priced_by_hand(problem, network, prices)
    found = price(network, prices, most)
    assert found.least <= least + 1e-5
    assert not found.exact or found.least == pytest.approx(least, abs=1e-5)


@MODES
@ENERGY
@SOME
@given(st.data())
def test_chain_costs_what_the_rules_say_and_is_refused_where_they_refuse(mode, energy, data):
    problem = data.draw(lanes(mode, energy, stops_s=(0, 600, 1_200)))
    network = build(problem)
    if not network.groups:
        return
    duties = Duties(network, network.groups[0], threading.local())
    for chosen, chain in every_chain(problem, network):
        assert duties.evaluate(0, chosen) == (None if chain is None else chain.cost_fen)
