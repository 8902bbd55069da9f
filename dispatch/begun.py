"""Vehicles under way: where nothing can be put before a vehicle's last locked job, its day so far is only a price.

A locked vehicle is a type of its own, and at ten in the morning hundreds are. With its day so far folded into the way out to
its last locked job it is like any other of its traits again.
"""

import copy
from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from dispatch.chains import Chains, Label
from dispatch.jobs import NOBODY
from dispatch.problem import Ints, Problem, VehicleType


@dataclass(frozen=True, slots=True)
class Begun:
    """A vehicle's locked jobs before its last one, and what its day costs until the pick-up of that, without the day price."""

    vehicle: int
    before: tuple[int, ...]
    out_fen: int


@dataclass(frozen=True)
class Grouped:
    """A problem with fewer types than the `whole` one: `begun` by last locked job, `rows` are the requests that are still to be decided."""

    problem: Problem
    whole: Problem
    begun: dict[int, Begun]
    rows: Ints


def grouped(problem: Problem) -> Grouped:
    """Put vehicles under way together with their like.

    Drivers, reserves and bands ask for every outing, range for the charge, and what people were told for the vehicle:
    there vehicles stay apart.
    """
    everybody = np.arange(problem.size)
    instance = problem.instance
    if problem.crew or instance.reserves or instance.bands or problem.told_vehicle:
        return Grouped(problem, problem, {}, everybody)
    locked: dict[int, list[int]] = defaultdict(list)
    for k, job in enumerate(problem.jobs):
        if job.pinned_vehicle >= 0:
            locked[job.pinned_vehicle].append(k)
    free = np.array([k for k, job in enumerate(problem.jobs) if job.pinned_vehicle == NOBODY], dtype=np.int64)
    begun: dict[int, Begun] = {}
    for v, jobs in locked.items():
        kind = problem.types[problem.type_of[v]]
        order = sorted(jobs, key=lambda k: problem.jobs[k].earliest_s)
        label = None if kind.bev else _behind(problem, kind, order, free[kind.serves[free]])
        if label is not None:
            fen = label.cost_fen - kind.serve_fen[order[-1]] - kind.day_fen
            begun[order[-1]] = Begun(v, tuple(order[:-1]), fen)
    if not begun:
        return Grouped(problem, problem, {}, everybody)
    past = {r for b in begun.values() for r in problem.covered(b.before)}
    return Grouped(
        _merged(problem, begun, free), problem, begun, np.array([r for r in everybody.tolist() if r not in past])
    )


def _behind(problem: Problem, kind: VehicleType, order: list[int], free: Ints) -> Label | None:
    """Return the label that stands at the end of the last of some locked jobs, if no free job fits before it."""
    chains = Chains(problem)
    label: Label | None = None
    for k in order:
        label = chains.extend(kind, label, k)
        if label is None:
            return None
    lasts = [(span_s, -1) for span_s, _ in kind.outing_spans[:1]]
    lasts += [(problem.jobs[k].earliest_s + problem.jobs[k].busy_s + problem.after_s, k) for k in order[:-1]]
    time_s = problem.instance.travel.time_s
    quickest = min([1_000, *(pace.permille for pace in problem.instance.travel.paces)])
    first, last = problem.first_place[free], problem.last_place[free]
    latest_s = np.array([problem.jobs[k].latest_s for k in free.tolist()], dtype=np.int64)
    earliest_s = np.array([problem.jobs[k].earliest_s for k in free.tolist()], dtype=np.int64)
    busy_s = np.array([problem.jobs[k].busy_s for k in free.tolist()], dtype=np.int64) * quickest // 1_000
    for (free_s, before), k in zip(lasts, order, strict=True):
        here = problem.yard_place[kind.yard] if before < 0 else problem.last_place[before]
        start_s = np.maximum(earliest_s, free_s + time_s[here, first] * quickest // 1_000 + problem.before_s)
        there_s = start_s + busy_s + problem.after_s + time_s[last, problem.first_place[k]] * quickest // 1_000
        if ((start_s <= latest_s) & (there_s + problem.before_s <= problem.jobs[k].earliest_s)).any():
            return None
    return label


def _merged(problem: Problem, begun: dict[int, Begun], free: Ints) -> Problem:
    """Return the problem with one type for all vehicles that differ only in what they have begun."""
    last_of = {b.vehicle: k for k, b in begun.items()}
    numbers: dict[object, int] = {}
    types: list[VehicleType] = []
    type_of: list[int] = []
    apart = {j.pinned_vehicle for j in problem.jobs} - set(last_of)
    traits: dict[int, object] = {}
    for v, t in enumerate(problem.type_of):
        kind = problem.types[t]
        if t not in traits:
            traits[t] = (
                kind.yard, kind.class_no, kind.owner_org, kind.rate, kind.bev, kind.range_m, kind.left_m, kind.spans,
                kind.outing_spans, kind.charge_m_per_h, kind.serves[free].tobytes(),
            )  # fmt: skip
        key = v if v in apart else traits[t]
        if key not in numbers:
            numbers[key] = len(types)
            serves = np.zeros_like(kind.serves)
            serves[free] = kind.serves[free]
            types.append(replace(kind, id=len(types), serves=kind.serves if v in apart else serves))
        type_of.append(numbers[key])
        if v in last_of:
            types[numbers[key]].serves[last_of[v]] = True
    merged = copy.copy(problem)
    merged.types, merged.type_of = tuple(types), type_of
    merged.members = [[] for _ in types]
    for v, t in enumerate(type_of):
        merged.members[t].append(v)
    merged.serves = np.array([kind.serves for kind in types], dtype=np.bool_).reshape(len(types), len(problem.jobs))
    return merged
