"""The figures of a plan and of a run that people compare."""

import resource
import sys
from typing import Any

from dispatch.model import Assignment, Instance, Plan
from dispatch.params import Params
from dispatch.problem import Problem
from dispatch.route import Index, by_vehicle, walk
from dispatch.solve import Progress, Until, solve


def figures(index: Index, plan: Plan) -> dict[str, Any]:
    """Return cost and bound in fen, the gap in percent, and what the plan uses."""
    days = by_vehicle(plan.assignments)
    outings = [outing for v, day in days.items() for outing in walk(index, index.vehicles[v], day)[0]]
    return {
        "cost": plan.cost_fen,
        "bound": plan.bound_fen,
        "gap_pct": None if plan.gap is None else round(100 * plan.gap, 4),
        "seconds": plan.elapsed_s,
        "vehicles": len(days),
        "rented": len(plan.rented),
        "unassigned": len(plan.unassigned),
        "deadhead_km": round(sum(sum(o.empty_m) for o in outings) / 1_000, 1),
        "pooled": sum(a.ride is not None for a in plan.assignments),
        "stopped": plan.stopped,
        "method": plan.method,
    }


def measured(
    instance: Instance, params: Params, stop: Until, *, seed: int = 0, locked: tuple[Assignment, ...] = ()
) -> dict[str, Any]:
    """Solve and return a row of figures.

    `greedy_ratio` is the cost of the first plan over that of the last, `types` the number of kinds of vehicles, `peak_mb`
    the most memory that the process has used so far.
    """
    steps: list[Progress] = []
    plan = solve(instance, params=params, stop=stop, seed=seed, locked=locked, progress=steps.append)
    problem = Problem(instance, params, locked)
    row = {"orders": len(instance.requests), "types": len(problem.types), **figures(problem.index, plan)}
    row["greedy_ratio"] = round(steps[0].cost_fen / plan.cost_fen, 4) if plan.cost_fen else None
    # Linux counts in KiB, macOS in bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    row["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
    return row
