"""A running plan that answers new orders at once: insert where it costs least, then match the rests of days anew.

Estimates (`gaps`) name the places worth trying; the judge decides and prices each on a small part of the plan (`running`),
so that every state passes `check` and the cost is `plan_cost`'s.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from dispatch.bounds import InvalidModel, require
from dispatch.check import Violation
from dispatch.gaps import Gaps
from dispatch.greedy import reason_code
from dispatch.matching import cheaper_rests
from dispatch.model import Assignment, Instance, Place, Plan, Request
from dispatch.offers import Offer, Offers, day_of
from dispatch.params import Params
from dispatch.roads import Ways
from dispatch.route import Index, Task, tasks_of
from dispatch.running import Change, Day, Judged, Running

EXCHANGES = 12  # of rests of days that are judged at the start and at the end of a new order
MOVES = 4  # vehicles whose tasks may move to others after a new order
TRIES = 12  # places that are judged for a new order, cheapest estimate first


@dataclass(frozen=True, slots=True)
class Answer:
    """What a change does to the plan: `assignments` that are new or other than before, `delta_fen` of the plan's cost.

    `rented`: the new order is to be rented; `reason`: why it stays without any vehicle, a code as in `Plan.unassigned`;
    `moved`: requests that were served before by another vehicle or driver, or are not any more.
    """

    assignments: tuple[Assignment, ...]
    delta_fen: int
    rented: bool = False
    reason: str | None = None
    moved: tuple[str, ...] = ()


class Live:
    """A plan that is carried out from `now_s` on (seconds after the epoch; None: nothing has begun).

    Assignments of outings already begun and those in `locked` never change; the ways before `now_s` neither.

    Raises
    ------
    InvalidModel
        The plan does not pass `check`.
    """

    def __init__(
        self,
        instance: Instance,
        plan: Plan,
        params: Params | None = None,
        *,
        now_s: int | None = None,
        locked: Sequence[Assignment] = (),
    ) -> None:
        self.params = params or Params()
        self._running = Running(instance, plan, self.params, now_s, locked)
        self._gaps = Gaps(instance, self.params, self._running.roads, now_s)
        self._vehicles, self._drivers = instance.vehicles, instance.drivers
        self._exact = not instance.bands
        self._row = {v.id: k for k, v in enumerate(instance.vehicles)}
        self._offers = Offers(instance, self._running, self._gaps)
        self._tasks = self._offers.tasks
        self._before: dict[str, Day] = {}
        if self._gaps.exchanges.any():
            cheaper_rests(np.zeros((1, 1), dtype=np.int64))  # loads OR-Tools here, not while an order waits
        self._note(self._running.index, self._running.days)

    @property
    def places(self) -> tuple[Place, ...]:
        """All known places, in the order that `Ways` follow."""
        return tuple(self._running.roads.places)

    @property
    def cost_fen(self) -> int:
        """Cost of the plan as it stands, fen."""
        return self._running.cost_fen

    def plan(self) -> Plan:
        """Return the plan as it stands."""
        return self._running.plan()

    def instance(self) -> Instance:
        """Return the instance with the requests and places that were added."""
        return self._running.instance()

    def add(self, request: Request, ways: Ways | None = None) -> Answer:
        """Answer a new request; `ways` lead from and to those places of its stops that are not known yet.

        Raises
        ------
        InvalidModel
            The request is there already, or a place of its stops is neither known nor new in `ways`.
        """
        running, who = self._running, f"Request {request.id}"
        require(request.id not in running.requests, who, "it is there already: cancel it first", request.id)
        unknown = {stop.place for stop in request.stops} - running.roads.index.keys()
        given = {p.id for p in ways.places} if ways else set()
        require(unknown <= given, who, "give ways for places that are not known yet", sorted(unknown - given))
        require(given <= unknown, who, "give ways for new places of its stops only", sorted(given - unknown))
        if ways:
            running.roads.check(ways)
            running.roads.extend(ways)
        running.requests[request.id] = request
        return self._answered(lambda: self._place(request), request.id)

    def cancel(self, request_id: str) -> Answer:
        """Take a request out. Others of its ride are placed anew, and so is what its vehicle could not do without it.

        Raises
        ------
        InvalidModel
            The request is unknown, or it or somebody in its ride is begun or locked.
        """
        running, who = self._running, f"Request {request_id}"
        require(request_id in running.requests, who, "it must be one of the requests to be cancelled", request_id)
        ride = next(
            (t for t in self._tasks.get(running.vehicle_of.get(request_id, ""), ()) if request_id in _aboard(t)), None
        )
        frozen = request_id in running.frozen or (ride is not None and self._fixed(ride))
        require(not frozen, who, "it, or somebody in its ride, is begun or locked: it cannot be cancelled", request_id)
        return self._answered(lambda: self._take_out(request_id), request_id)

    def rematch(self, at_s: int) -> Answer:
        """Exchange the rests of vehicles' days from a moment on (seconds after the epoch) where that saves.

        Vehicles of one kind that may have different yards take part, if the instance has no drivers and they are not
        battery-electric. Beginnings (tasks that start before `at_s`) and rests are matched at least cost.
        """

        def matched() -> None:
            for kind in np.unique(self._gaps.kind[self._gaps.exchanges]).tolist():
                self._match(kind, at_s)

        return self._answered(matched, None)

    def _answered(self, change: Callable[[], str | None], request_id: str | None) -> Answer:
        """Carry out a change and tell what it did."""
        self._before = {}
        cost_fen = self.cost_fen
        reason = change()
        days = self._running.days
        old = {a.request_id: a for day in self._before.values() for a in day}
        new = {a.request_id: a for v in self._before for a in days.get(v, ())}
        moved = [
            r
            for r, a in old.items()
            if r != request_id
            and (r not in new or (new[r].vehicle_id, new[r].driver_id) != (a.vehicle_id, a.driver_id))
        ]
        return Answer(
            tuple(a for r, a in new.items() if old.get(r) != a),
            self.cost_fen - cost_fen,
            request_id in self._running.rented,
            reason,
            tuple(moved),
        )

    def _note(self, index: Index, vehicle_ids: Collection[str]) -> None:
        """Put vehicles' days into the arrays."""
        running = self._running
        for v_id in vehicle_ids:
            tasks = tasks_of(index, running.days.get(v_id, ()))
            self._tasks[v_id] = tasks
            fixed = [any(a.request_id in running.frozen for a in t.assignments) for t in tasks]
            told = [sum(running.told_kept(a) for a in t.assignments) for t in tasks]
            self._gaps.set(self._row[v_id], tasks, fixed, told, running.vehicles[v_id])
        self._gaps.price([self._row[v_id] for v_id in vehicle_ids])

    def _take(self, judged: Judged) -> None:
        days = judged.change.days
        for v_id in days:
            self._before.setdefault(v_id, self._running.days.get(v_id, ()))
        self._running.take(judged)
        self._note(judged.index, days)

    def _place(self, request: Request) -> str | None:
        """Serve a request as cheaply as can be found, or rent, or leave it with a reason code; then mend what is near.

        First its place: a gap (with the rests of two days exchanged or not), that of another task, or an idle vehicle together
        with what is rented. Then the rests of days are matched anew at its start and end, and tasks of the vehicles touched
        move where that saves.
        """
        best = self._unserved(request)
        offers, refusals = self._offers, set[str]()
        served = self._cheapest(offers.plain(request), best.delta_fen, refusals)
        best = served or best
        served = self._cheapest(offers.ousting(request, best.delta_fen), best.delta_fen, set()) or served
        best = served or best
        if best.change.rented or best.change.left:
            served = self._cheapest(offers.opening(request), best.delta_fen, set()) or served
            best = served or best
        reason = None
        if best.change.left.get(request.id):
            reason = reason_code(refusals, suitable=offers.suits_any(request))
            best = replace(best, change=replace(best.change, left={request.id: reason}))
        self._take(best)
        if served is not None and self._gaps.exchanges.any():
            mine = self._running.vehicle_of[request.id]
            task = next(t for t in self._tasks[mine] if t.assignments[0].request_id == request.id)
            for at_s in (task.start_s, task.end_s):
                self._match(int(self._gaps.kind[self._row[mine]]), at_s, EXCHANGES)
        for v_id in list(self._before)[:MOVES]:
            moved = self._cheapest(offers.moving(v_id), 0, set())
            if moved is not None:
                self._take(moved)
        return reason

    def _cheapest(self, offers: Iterable[Offer], below_fen: int, refusals: set[str]) -> Judged | None:
        """Judge the cheapest offers; return the best that costs less than a price, and note why others do not do."""
        best = None
        for offer in islice(offers, TRIES):
            if self._exact and offer.fen >= below_fen:
                refusals.add("cost")
                break
            found = None
            for change in offer.changes:
                found = self._running.judge(change)
                if isinstance(found, Judged):
                    break
                refusals.add(_refusal(found))
            if found is None:
                refusals.add("driver")
            elif isinstance(found, Judged) and found.delta_fen < below_fen:
                best, below_fen = found, found.delta_fen
            elif isinstance(found, Judged):
                refusals.add("cost")
        return best

    def _unserved(self, request: Request) -> Judged:
        """Judge renting and leaving a request; return what is cheaper."""
        rented = self._running.judge(Change(rented=(request.id,)))
        left = self._running.judge(Change(left={request.id: "too_dear"}))
        fits = [j for j in (rented, left) if isinstance(j, Judged)]
        return min(fits, key=lambda j: j.delta_fen)

    def _match(self, kind: int, at_s: int, most: int | None = None) -> None:
        """Match beginnings and rests of days of one kind of vehicles anew."""
        rows, gap = self._gaps.group(kind, at_s)
        if len(rows) < 2:
            return
        cost = self._gaps.matrix(rows, gap)
        rest_of, cycles = cheaper_rests(cost)
        for cycle in cycles[:most]:
            ids = {n: self._vehicles[rows[n]].id for n in cycle}
            tasks = {n: self._tasks.get(ids[n], []) for n in cycle}
            days = {
                ids[n]: (
                    *day_of(ids[n], tasks[n][: gap[n]]), *day_of(ids[n], tasks[rest_of[n]][gap[rest_of[n]] :])
                )
                for n in cycle
            }  # fmt: skip
            found = self._running.judge(Change(days))
            if isinstance(found, Judged) and found.delta_fen < 0:
                self._take(found)

    def _take_out(self, request_id: str) -> None:
        running = self._running
        v_id = running.vehicle_of.get(request_id)
        if v_id is None:
            self._take(self._sound(running.judge(Change(gone=(request_id,)))))
            return
        tasks = self._tasks[v_id]
        at = next(n for n, t in enumerate(tasks) if request_id in _aboard(t))
        loose = [n for n in (*range(at, len(tasks)), *range(at)) if not self._fixed(tasks[n])]
        # Without it the vehicle may come to drive another way that breaks a rule: then more has to go.
        for most in range(1, len(loose) + 1):
            out = set[str]().union(*(_aboard(tasks[n]) for n in loose[:most]))
            day = tuple(a for a in running.days[v_id] if a.request_id not in out)
            others = sorted((running.requests[r] for r in out - {request_id}), key=lambda r: (r.earliest_s, r.id))
            found = running.judge(Change({v_id: day}, gone=(request_id, *(r.id for r in others))))
            if isinstance(found, Judged):
                break
        self._take(self._sound(found))
        for request in others:
            running.requests[request.id] = request
            self._place(request)

    def _fixed(self, task: Task) -> bool:
        return not self._running.frozen.isdisjoint(_aboard(task))

    @staticmethod
    def _sound(found: Judged | Violation) -> Judged:
        if isinstance(found, Violation):
            raise InvalidModel(f"Live: what is begun or locked forbids it, got {found}.")
        return found


def _aboard(task: Task) -> set[str]:
    return {a.request_id for a in task.assignments}


def _refusal(found: Violation) -> str:
    if found.code.startswith("driver"):
        return "driver"
    return "reserve" if found.code == "reserve" else "vehicle"
