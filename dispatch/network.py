"""The graph chains are made of: nodes with fixed times, and for each price of driving the links between them.

A request with a start window stands for several nodes, one per start; a shared ride is a node that covers two or three
requests. Vehicle types are lanes of the group that has their price of driving.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from dispatch.kernels.sweep import BIG, mark_useful
from dispatch.problem import Floats, Ints, Problem, VehicleType
from dispatch.tariff import drive_fen

Steps = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
FAR = 1.3  # times the usual way from the yard
BLOCK = 512  # rows of the link matrix in memory at once
NOT_FROM_HOME_S = -(2**30)  # before any coming home: what only begins a chain
DEAREST = 2**31  # fen from which no link is worth driving


@dataclass(frozen=True, slots=True)
class Nodes:
    """What a vehicle can be given, in order of start: arrays of shape (n,), ``covers`` (n, 3) with -1 for none.

    Driving inside a node is cut at its first and last rest: `head_s` before the first (-1: there is none), `tail_s`
    after the last, with the idle times at both ends; `sound` False: it breaks the rule of rest by itself.
    """

    job: Ints
    start_s: Ints
    end_s: Ints
    loaded_m: Ints
    covers: Steps
    first: Ints
    last: Ints
    lead_idle_s: Ints
    head_s: Ints
    tail_s: Ints
    tail_idle_s: Ints
    sound: Mask
    complete: bool  # every permitted start and every shared ride is a node


@dataclass(frozen=True, slots=True)
class Links:
    """Links between positions of a group, unsorted: from, to, price, driving, and whether they wait little.

    Seconds and metres are left out (empty) where neither driver hours nor range ask for them: most days have millions.
    """

    rows: Steps
    cols: Steps
    fen: Steps
    link_s: Steps
    link_m: Steps
    near: Mask


@dataclass(frozen=True, slots=True)
class Lanes:
    """What a group's types make of its nodes, arrays (k, m): price of serving, ways out and back, moments, spans."""

    serve: Floats
    out_fen: Floats
    back_fen: Floats
    out_s: Steps
    back_s: Steps
    out_m: Steps
    back_m: Steps
    depart_s: Steps
    home_s: Steps
    span: Steps


@dataclass(frozen=True, slots=True)
class Group:
    """Types with one price of driving: m lanes over k of the nodes, by position; see the module for the rest.

    Links of i are ``ptr[i]:ptr[i + 1]``; those before ``near_end[i]`` wait `max_wait_s` at most. ``pred`` holds the same
    links by target.
    """

    types: Ints
    nodes: Ints
    ptr: Ints
    near_end: Ints
    succ: Steps
    fen: Steps
    link_s: Steps
    link_m: Steps
    pptr: Ints
    pnear_end: Ints
    pred: Steps
    pfen: Steps
    serve: Floats
    out_fen: Floats
    back_fen: Floats
    out_s: Steps
    back_s: Steps
    out_m: Steps
    back_m: Steps
    depart_s: Steps
    home_s: Steps
    span: Steps
    several: bool
    bev: bool
    home_pos: Steps = field(repr=False)
    depart_rank: Steps = field(repr=False)
    home_rank: Steps = field(repr=False)
    depart_pos: Steps = field(repr=False)


@dataclass(frozen=True, slots=True)
class Network:
    """Nodes and groups of a problem; `lane_of` gives group and lane of a type."""

    problem: Problem
    nodes: Nodes
    groups: tuple[Group, ...]
    lane_of: dict[int, tuple[int, int]]


MOST_NODES = 12_000


def build(problem: Problem, begun: Mapping[int, int] | None = None) -> Network:
    """Compile nodes and links of a problem.

    `begun` are jobs that only begin a chain, with what the day costs until their pick-up (`dispatch.begun`).
    """
    nodes = _nodes(problem)
    begun = begun or {}
    kinds: dict[tuple[int, bool, bool], list[int]] = {}
    for t, kind in enumerate(problem.types):
        kinds.setdefault((kind.rate, kind.bev, len(kind.outing_spans) > 1), []).append(t)
    groups: list[Group] = []
    lane_of: dict[int, tuple[int, int]] = {}
    for alike in kinds.values():
        for types in _by_reach(problem, nodes, alike):
            wanted = problem.serves[types][:, nodes.job].any(axis=0)
            if not wanted.any():
                continue
            lane_of.update({t: (len(groups), y) for y, t in enumerate(types)})
            groups.append(_group(problem, nodes, np.array(types, dtype=np.int64), np.flatnonzero(wanted), begun))
    return Network(problem, nodes, tuple(groups), lane_of)


def _by_reach(problem: Problem, nodes: Nodes, types: list[int]) -> list[list[int]]:
    """Set types apart whose yards are far from most nodes: they wait on the road where others go home, over many links."""
    yards = problem.yard_place[[problem.types[t].yard for t in types]]
    mean_s = problem.instance.travel.time_s[np.ix_(yards, nodes.first)].mean(axis=1)
    far = mean_s > FAR * np.median(mean_s)
    parts = ([t for t, off in zip(types, far.tolist(), strict=True) if off is side] for side in (False, True))
    return [part for part in parts if part]


def _nodes(problem: Problem) -> Nodes:
    """Make nodes of the jobs: one per permitted start; with too many starts only some, and `complete` is False."""
    step_s, jobs = problem.instance.start_step_s, problem.jobs
    count = sum((j.latest_s - j.earliest_s) // step_s + 2 for j in jobs)
    coarse = max(1, -(-count // MOST_NODES))
    found: list[tuple[int, int, int]] = []
    for k, job in enumerate(jobs):
        starts = dict.fromkeys([*range(job.earliest_s, job.latest_s + 1, step_s * coarse), job.latest_s])
        found += [(start_s, start_s + problem.busy_at(k, start_s), k) for start_s in starts]
    found.sort(key=lambda f: (f[0], f[1], problem.order_id(f[2])))
    job_no = np.array([f[2] for f in found], dtype=np.int64)
    covers = np.full((len(found), 3), -1, dtype=np.int32)
    for n, (_, _, k) in enumerate(found):
        members = jobs[k].members
        covers[n, : len(members)] = members
    drives = [_driving(problem, k, start_s) for start_s, _, k in found]
    return Nodes(
        job=job_no,
        start_s=np.array([f[0] for f in found], dtype=np.int64),
        end_s=np.array([f[1] for f in found], dtype=np.int64),
        loaded_m=np.array([jobs[k].loaded_m for k in job_no], dtype=np.int64),
        covers=covers,
        first=problem.first_place[job_no],
        last=problem.last_place[job_no],
        lead_idle_s=np.array([d[0] for d in drives], dtype=np.int64),
        head_s=np.array([d[1] for d in drives], dtype=np.int64),
        tail_s=np.array([d[2] for d in drives], dtype=np.int64),
        tail_idle_s=np.array([d[3] for d in drives], dtype=np.int64),
        sound=np.array([d[4] for d in drives], dtype=np.bool_),
        complete=coarse == 1 and problem.every_ride,
    )


def _driving(problem: Problem, k: int, start_s: int) -> tuple[int, int, int, int, bool]:
    """Cut the driving inside a job at its rests: idle before, head, tail, idle after, and whether it keeps the rule."""
    rest_s, most_s = problem.params.rest_min_s, problem.params.drive_max_s
    lead = idle = run = 0
    head, drives, sound = -1, False, True
    for driving, seconds in problem.timeline_at(k, start_s):
        if not driving:
            idle += seconds
        elif seconds > 0:
            if not drives:
                lead, drives = idle, True
            elif idle >= rest_s:
                head, run = run if head < 0 else head, 0
            run, idle = run + seconds, 0
            sound &= run <= most_s
    return lead, head, run, idle, sound


def _group(problem: Problem, nodes: Nodes, types: Ints, mine: Ints, begun: Mapping[int, int]) -> Group:
    kinds = [problem.types[t] for t in types]
    start_s, end_s = nodes.start_s[mine], nodes.end_s[mine]
    ready_s, free_s = start_s - problem.before_s, end_s + problem.after_s
    yards = problem.yard_place[[k.yard for k in kinds]]
    first, last, rate = nodes.first[mine], nodes.last[mine], kinds[0].rate
    by, after = problem.pace_at(ready_s), problem.pace_at(free_s)
    time_s, distance_m = problem.instance.travel.time_s, problem.instance.travel.distance_m
    out_s = paced(time_s[np.ix_(yards, first)].T, by[:, None])
    back_s = paced(time_s[np.ix_(last, yards)], after[:, None])
    out_m, back_m = distance_m[np.ix_(yards, first)].T.copy(), distance_m[np.ix_(last, yards)].copy()
    depart_s, home_s = ready_s[:, None] - out_s, free_s[:, None] + back_s
    serves = problem.serves[types][:, nodes.job[mine]].T
    prices = np.array([k.serve_fen for k in kinds], dtype=np.float64)[:, nodes.job[mine]].T
    for n in np.flatnonzero(np.isin(nodes.job[mine], list(problem.told_start))).tolist():
        job, at_s = int(nodes.job[mine[n]]), int(start_s[n])
        prices[n] += [problem.shifted_fen(k.id, job, at_s) for k in kinds]
    span = np.full(serves.shape, -1, dtype=np.int32)
    out_fen = drive_fen(rate, out_m.astype(np.int64)).astype(np.float64)
    back_fen = drive_fen(rate, back_m.astype(np.int64)).astype(np.float64)
    for y, kind in enumerate(kinds):
        for s, (from_s, to_s) in enumerate(kind.outing_spans):
            inside = (from_s <= ready_s) & (free_s <= to_s)
            span[inside, y] = s
            out_fen[inside & (depart_s[:, y] < from_s), y] = BIG
            back_fen[inside & (home_s[:, y] > to_s), y] = BIG
    serve = np.where(serves & (span >= 0), prices, BIG)
    for n in np.flatnonzero(np.isin(nodes.job[mine], list(begun))).tolist():
        out_fen[n], depart_s[n] = begun[int(nodes.job[mine[n]])], NOT_FROM_HOME_S
    links = _links(problem, kinds[0], (ready_s, free_s, after, first, last), serve, depart_s, home_s)
    lanes = Lanes(
        serve, out_fen, back_fen, out_s.astype(np.int32), back_s.astype(np.int32), out_m, back_m,
        depart_s.astype(np.int32), home_s.astype(np.int32), span,
    )  # fmt: skip
    several = any(len(kind.outing_spans) > 1 for kind in kinds)
    return _ordered(types, mine, links, lanes, several, kinds[0].bev, problem.params.yard_stop_s)


def _ordered(  # noqa: PLR0917
    types: Ints, mine: Ints, links: Links, lanes: Lanes, several: bool, bev: bool, stop_s: int
) -> Group:
    """Sort links by both ends."""
    k, rows, cols = len(mine), links.rows, links.cols
    order, by_target = np.lexsort((cols, ~links.near, rows)), np.lexsort((rows, ~links.near, cols))
    ptr, near_end = _spans(rows, links.near, k)
    pptr, pnear_end = _spans(cols, links.near, k)
    return Group(
        types=types, nodes=mine, ptr=ptr, near_end=near_end, succ=cols[order], fen=links.fen[order],
        link_s=_taken(links.link_s, order), link_m=_taken(links.link_m, order),
        pptr=pptr, pnear_end=pnear_end, pred=rows[by_target], pfen=links.fen[by_target],
        **{f.name: getattr(lanes, f.name) for f in fields(Lanes)}, several=several, bev=bev, **_moments(lanes, stop_s),
    )  # fmt: skip


def _spans(ends: Steps, near: Mask, count: int) -> tuple[Ints, Ints]:
    """Return where the links of each position begin once sorted (and the last end), and where those that wait little end."""
    ptr = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=count))]).astype(np.int64)
    return ptr, ptr[:-1] + np.bincount(ends[near], minlength=count)


def _moments(lanes: Lanes, stop_s: int) -> dict[str, Any]:
    """Rank the moments of leaving and coming home, and find which leavings follow a coming home."""
    departs, homes = np.sort(lanes.depart_s, axis=0), np.sort(lanes.home_s, axis=0)
    home_pos, depart_pos = np.empty(lanes.serve.shape, dtype=np.int32), np.empty(lanes.serve.shape, dtype=np.int32)
    for y in range(lanes.serve.shape[1]):
        home_pos[:, y] = np.searchsorted(departs[:, y], lanes.home_s[:, y] + stop_s, side="left")
        depart_pos[:, y] = np.searchsorted(homes[:, y], lanes.depart_s[:, y] - stop_s, side="right")
    ranks = {"depart_rank": _ranks(lanes.depart_s), "home_rank": _ranks(lanes.home_s)}
    return {"home_pos": home_pos, "depart_pos": depart_pos, **ranks}


def _taken(values: Steps, which: Ints | Mask) -> Steps:
    """Return values at some places; nothing stays nothing."""
    taken: Steps = values[which] if len(values) else values
    return taken


def paced(base_s: npt.NDArray[np.int32], permille: Ints) -> Ints:
    """Scale driving times by paces, rounded up."""
    scaled: Ints = -(-base_s.astype(np.int64) * permille // 1_000)
    return scaled


def _ranks(moments_s: Ints | Steps) -> Steps:
    """Return each node's place in the order of its lane's moments."""
    ranks = np.empty(moments_s.shape, dtype=np.int32)
    for y in range(moments_s.shape[1]):
        ranks[np.argsort(moments_s[:, y], kind="stable"), y] = np.arange(len(moments_s))
    return ranks


def _links(  # noqa: PLR0917
    problem: Problem, kind: VehicleType, at: tuple[Ints, Ints, Ints, Ints, Ints], serve: Floats,
    depart_s: Ints, home_s: Ints,
) -> Links:  # fmt: skip
    """List the links worth driving: from, to, price, seconds, metres, and whether they wait little."""
    ready_s, free_s, after, first, last = at
    params, travel = problem.params, problem.instance.travel
    parts, count, timed = [], len(ready_s), kind.bev or bool(problem.crew)
    begins = depart_s[:, 0] == NOT_FROM_HOME_S
    depart32, home32 = depart_s.astype(np.int32), home_s.astype(np.int32)
    for low in range(0, count, BLOCK):
        block = np.arange(low, min(low + BLOCK, count))
        link_s = paced(travel.time_s[np.ix_(last[block], first)], after[block][:, None])
        wait_s = ready_s[None, :] - free_s[block][:, None] - link_s
        i, j = np.nonzero((wait_s >= 0) & (np.arange(count)[None, :] > block[:, None]))
        if begins.any():
            i, j = i[~begins[j]], j[~begins[j]]
        rows, waits_s = block[i], wait_s[i, j]
        near, useful = np.empty(len(i), dtype=np.bool_), np.empty(len(i), dtype=np.bool_)
        mark_useful(
            rows, j, waits_s, params.max_wait_s, kind.bev, serve, depart32, home32, params.yard_stop_s, near, useful
        )
        link_m = travel.distance_m[last[rows], first[j]]
        fen = drive_fen(kind.rate, link_m.astype(np.int64)) + (params.wait_hour_fen * waits_s + 1_800) // 3_600
        kept = np.flatnonzero(useful & (fen < DEAREST))
        timed_s, timed_m = (link_s[i[kept], j[kept]], link_m[kept]) if timed else (kept[:0], link_m[:0])
        columns = (rows[kept], j[kept], fen[kept], timed_s, timed_m)
        parts.append((*(column.astype(np.int32) for column in columns), near[kept]))
    return Links(*(np.concatenate(column) for column in zip(*parts, strict=True)))
