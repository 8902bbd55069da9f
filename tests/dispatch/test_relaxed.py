"""The master's linear programmes by gradient steps, against a simplex solver."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ortools.linear_solver import pywraplp

from dispatch.kernels.relaxed import Programme, steps


@st.composite
def programmes(draw):
    """Draw covering rows with a way out each, some of them equations, some rows of capacity, and a band."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    covers, caps, chains = draw(st.integers(1, 12)), draw(st.integers(1, 3)), draw(st.integers(0, 40))
    columns = [([r], [1.0], rng.uniform(3, 9)) for r in range(covers)]
    for _ in range(chains):
        who = rng.choice(covers, size=rng.integers(1, min(4, covers) + 1), replace=False).tolist()
        columns.append(([*who, covers + int(rng.integers(caps))], [1.0] * (len(who) + 1), rng.uniform(0.5, 4)))
    band = covers + caps
    for n in rng.choice(len(columns), size=len(columns) // 3, replace=False):
        columns[n][0].append(band)
        columns[n][1].append(float(rng.integers(1, 5)))
    columns += [([band], [1.0], 2.0), ([band], [-1.0], 2.0)]
    low = np.concatenate([np.ones(covers), np.full(caps, -np.inf), [rng.uniform(0, 3)]])
    high = np.concatenate(
        [np.where(rng.random(covers) < 0.3, 1.0, np.inf), rng.integers(0, 6, caps), [rng.uniform(3, 6)]]
    )
    ptr = np.cumsum([0, *(len(rows) for rows, _, _ in columns)])
    return Programme(
        ptr.astype(np.int64), np.concatenate([rows for rows, _, _ in columns]).astype(np.int64),
        np.concatenate([values for _, values, _ in columns]), np.array([fen for _, _, fen in columns]), low, high,
    )  # fmt: skip


def best(lp):
    """Solve by simplex."""
    solver = pywraplp.Solver.CreateSolver("GLOP")
    rows = [solver.Constraint(float(a), float(b)) for a, b in zip(lp.low, lp.high, strict=True)]
    for j, fen in enumerate(lp.cost):
        var = solver.NumVar(0, solver.infinity(), "")
        solver.Objective().SetCoefficient(var, float(fen))
        for q in range(lp.ptr[j], lp.ptr[j + 1]):
            rows[lp.rows[q]].SetCoefficient(var, float(lp.coefficients[q]))
    solver.Objective().SetMinimization()
    assert solver.Solve() == pywraplp.Solver.OPTIMAL
    return solver.Objective().Value()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programmes())
def test_gradient_steps_end_at_the_optimum_of_the_simplex_method(lp):
    x, y = np.zeros(len(lp.cost)), np.zeros(len(lp.low))
    weight, value = steps(lp, x, y, 1.0, 200_000, 100, 1e-5)
    optimum = best(lp)
    assert abs(value - optimum) <= 1e-3 * max(1.0, optimum)
    assert abs(lp.cost @ x - optimum) <= 1e-3 * max(1.0, optimum)
    assert (x >= 0).all()
    assert weight > 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programmes())
def test_a_warm_start_at_the_optimum_stays_there(lp):
    x, y = np.zeros(len(lp.cost)), np.zeros(len(lp.low))
    weight, value = steps(lp, x, y, 1.0, 200_000, 100, 1e-5)
    before = x.copy()
    _, again = steps(lp, x, y, weight, 100, 100, 1e-5)
    assert abs(again - value) <= 1e-3 * max(1.0, abs(value))
    assert abs(lp.cost @ (x - before)) <= 1e-3 * max(1.0, abs(value))
