"""A plan while it is carried out, and the judge's word on a change of it: only what the change touches is judged."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dispatch.bounds import InvalidModel
from dispatch.check import Violation, broken_rules, check
from dispatch.costs import band_cost, band_values, change_cost, unserved_cost, vehicle_cost
from dispatch.model import Assignment, Driver, Instance, Plan, Request, Vehicle, by_id
from dispatch.params import Params
from dispatch.roads import Roads
from dispatch.route import Index, Outing, by_vehicle, walk

Day = tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """New days of some vehicles, and what becomes of requests that are in none of them (`gone`: no longer asked for)."""

    days: Mapping[str, Day] = field(default_factory=dict)
    rented: tuple[str, ...] = ()
    left: Mapping[str, str] = field(default_factory=dict)
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A change that breaks no rule and what the plan then costs more; `index` knows all that it touches."""

    change: Change
    delta_fen: int
    index: Index
    lent_m: Mapping[str, int]
    without: Mapping[str, int]


class Running:
    """A plan that changes: days by vehicle, what is rented or left, and its cost. Unsound changes are not taken."""

    def __init__(
        self, instance: Instance, plan: Plan, params: Params, now_s: int | None, locked: Sequence[Assignment]
    ) -> None:
        found = check(instance, plan, params=params, locked=locked)
        if found:
            raise InvalidModel(f"Live: the plan must pass check, got {found[0]} and {len(found) - 1} more.")
        self.params, self.now_s, self.locked = params, now_s, tuple(locked)
        self.roads = Roads(instance.travel)
        # Places and requests that come later are kept apart: an instance checks everything again when it is made.
        self._base = instance
        self.requests: dict[str, Request] = by_id(instance.requests)
        self.vehicles: dict[str, Vehicle] = by_id(instance.vehicles)
        self.drivers: dict[str, Driver] = by_id(instance.drivers)
        self.days: dict[str, Day] = {v: tuple(day) for v, day in by_vehicle(plan.assignments).items()}
        self.vehicle_of = {a.request_id: a.vehicle_id for a in plan.assignments}
        self.rented, self.left = dict.fromkeys(plan.rented), dict(plan.unassigned)
        self.cost_fen = plan.cost_fen
        index = Index(instance, params)
        self.index = index
        self._priced: dict[str, tuple[Day, int]] = {}
        self._told: dict[str, list[Assignment]] = defaultdict(list)
        for a in instance.told:
            self._told[a.request_id].append(a)
        self._bound = index.vehicle_of
        self._driven: dict[str, Counter[str]] = defaultdict(Counter)
        for a in plan.assignments:
            if a.driver_id is not None:
                self._driven[a.driver_id][a.vehicle_id] += 1
        self._lent_m: Counter[str] = Counter()
        self._without: Counter[str] = Counter()
        if instance.bands:
            lent_m, without = band_values(index, plan)
            self._lent_m.update(lent_m)
            self._without.update(without)
        self.frozen = {a.request_id for a in locked}
        if now_s is not None:
            for v, day in self.days.items():
                outings, _ = walk(index, self.vehicles[v], day)
                self.frozen |= {a.request_id for o in outings if o.out_s <= now_s for a in o.assignments}

    def instance(self) -> Instance:
        """Return the instance with everything that was added."""
        return replace(self._base, travel=self.roads.travel(), requests=tuple(self.requests.values()))

    def plan(self) -> Plan:
        """Return the plan as it stands."""
        assignments = tuple(a for day in self.days.values() for a in day)
        return Plan(assignments, dict(self.left), tuple(self.rented), self.cost_fen, method="live")

    def told(self, request_id: str) -> Sequence[Assignment]:
        """Return what people know of a request."""
        return self._told.get(request_id, ())

    def told_kept(self, a: Assignment) -> bool:
        """Tell whether people know of an assignment as it is."""
        kept = a.vehicle_id, a.driver_id, a.start_s
        return any((t.vehicle_id, t.driver_id, t.start_s) == kept for t in self.told(a.request_id))

    def drives(self, driver_id: str) -> Iterable[Assignment]:
        """Yield what a driver does."""
        for v in self._driven.get(driver_id, ()):
            yield from (a for a in self.days[v] if a.driver_id == driver_id)

    def free_to_drive(self, vehicle: Vehicle, driver: Driver) -> bool:
        """Tell whether neither of the two is bound to another."""
        return vehicle.driver_id in (None, driver.id) and self._bound.get(driver.id, vehicle.id) == vehicle.id

    def judge(self, change: Change) -> Judged | Violation:
        """Judge a change on an instance of no more than it touches; return the first rule it breaks.

        That are the vehicles with new days, their drivers, what else those drive, and where a reserve hangs on one of the
        vehicles its whole fleet. Other drivers on these vehicles are seen in part only: nothing changes for them.
        """
        touched = [self.vehicles[v] for v in change.days]
        before = {v: self.days.get(v, ()) for v in change.days}
        crew = {a.driver_id for days in (before, change.days) for day in days.values() for a in day}
        crew |= {v.driver_id for v in touched}
        crew.discard(None)
        pools = {(v.yard, v.vehicle_class) for v in touched}
        reserves = tuple(s for s in self._base.reserves if (s.yard, s.vehicle_class) in pools)
        pools &= {(s.yard, s.vehicle_class) for s in reserves}
        fleet = dict.fromkeys(change.days)
        for d in sorted(d for d in crew if d):
            fleet |= dict.fromkeys((*sorted(self._driven.get(d, ())), *([self._bound[d]] if d in self._bound else [])))
        if pools:
            fleet |= dict.fromkeys(v.id for v in self.vehicles.values() if (v.yard, v.vehicle_class) in pools)
        before |= {v: self.days.get(v, ()) for v in fleet}
        after = {**before, **change.days}
        named = {a.driver_id for day in before.values() for a in day} | {self.vehicles[v].driver_id for v in fleet}
        bystanders = named - crew - {None}
        asked = dict.fromkeys(a.request_id for days in (before, after) for day in days.values() for a in day)
        asked |= dict.fromkeys((*change.rented, *change.left, *change.gone))
        old = Plan(
            tuple(a for day in before.values() for a in day),
            {r: self.left[r] for r in asked if r in self.left},
            tuple(r for r in asked if r in self.rented),
            0,
        )
        new = Plan(tuple(a for day in after.values() for a in day), change.left, change.rented, 0)
        index = self.part(
            asked, fleet, [d for d in (*sorted(crew - {None}, key=str), *sorted(bystanders, key=str)) if d]
        )
        index = Index(replace(index.instance, reserves=reserves), self.params)
        lent_m: Mapping[str, int] = {}
        without: Mapping[str, int] = {}
        if self._base.bands:
            index, lent_m, without = self._banded(index, old, new)
        locked = tuple(a for a in self.locked if a.request_id in asked)
        for found in broken_rules(index, new, locked):
            if found.code != "request_missing" and (found.driver_id is None or found.driver_id not in bystanders):
                return found
        for v in touched:
            late = self._undone(index, v, before[v.id], change.days[v.id])
            if late:
                return late
        delta_fen = self._fen(index, new, after) - self._fen(index, old, before)
        return Judged(change, delta_fen, index, lent_m, without)

    def _fen(self, index: Index, plan: Plan, days: Mapping[str, Day]) -> int:
        """Return `plan_cost` of a part; what the days cost as they stand is remembered."""
        fen = unserved_cost(index, plan.rented, plan.unassigned).total_fen
        fen += change_cost(index, plan).total_fen + band_cost(index, plan).total_fen
        for v, day in days.items():
            if self._priced.get(v, (None, 0))[0] is not day:
                self._priced[v] = day, vehicle_cost(index, self.vehicles[v], day).total_fen
            fen += self._priced[v][1]
        return fen

    def part(self, asked: Iterable[str], fleet: Iterable[str] = (), crew: Iterable[str] = ()) -> Index:
        """Return an instance of some requests, vehicles and drivers."""
        requests = tuple(self.requests[r] for r in asked)
        vehicles, drivers = tuple(self.vehicles[v] for v in fleet), tuple(self.drivers[d] for d in crew)
        names = [stop.place for r in requests for stop in r.stops]
        names += [v.yard for v in vehicles] + [d.yard for d in drivers]
        told = tuple(a for r in requests for a in self._told.get(r.id, ()))
        part = replace(
            self._base, travel=self.roads.part(names), requests=requests, vehicles=vehicles, drivers=drivers, reserves=(),
            bands=(), told=told,
        )  # fmt: skip
        return Index(part, self.params)

    def _banded(self, index: Index, old: Plan, new: Plan) -> tuple[Index, Mapping[str, int], Mapping[str, int]]:
        """Move the bands by what the rest of the plan measures, so that the part costs more or less as the whole does."""
        (old_m, old_without), (new_m, new_without) = band_values(index, old), band_values(index, new)
        bands = []
        for band in self._base.bands:
            lent = band.measure == "lent_m"
            rest = self._lent_m[band.org] - old_m.get(band.org, 0) if lent else (
                self._without[band.org] - old_without.get(band.org, 0)
            )  # fmt: skip
            bands.append(replace(band, low=max(0, band.low - rest), high=max(0, band.high - rest)))
        lent_m = {org: new_m.get(org, 0) - old_m.get(org, 0) for org in {*old_m, *new_m}}
        without = {org: new_without.get(org, 0) - old_without.get(org, 0) for org in {*old_without, *new_without}}
        return Index(replace(index.instance, bands=tuple(bands)), self.params), lent_m, without

    def _undone(self, index: Index, vehicle: Vehicle, old: Day, new: Day) -> Violation | None:
        """Find what was begun or locked and would be another way."""
        lost = next((a for a in old if a.request_id in self.frozen and a not in new), None)
        if lost:
            return Violation("locked_moved", lost.request_id, vehicle.id, lost.driver_id)
        if self.now_s is None or self._begun(walk(index, vehicle, old)[0]) == self._begun(walk(index, vehicle, new)[0]):
            return None
        first = next(a for a in (*new, *old))
        return Violation("begun", first.request_id, vehicle.id, first.driver_id)

    def _begun(self, outings: Iterable[Outing]) -> set[tuple[int, str, str]]:
        """Return the legs without passengers that begin before now: moment, from, to."""
        legs = set()
        for o in outings:
            yard, after_s = o.vehicle.yard, self._base.after_s
            legs.add((o.out_s, yard, o.tasks[0].first))
            for earlier, later in zip(o.tasks, [*o.tasks[1:], None], strict=True):
                legs.add((earlier.end_s + after_s, earlier.last, later.first if later else yard))
        return {leg for leg in legs if self.now_s is not None and leg[0] < self.now_s}

    def take(self, judged: Judged) -> None:
        """Change the plan."""
        change = judged.change
        for v, day in change.days.items():
            for a in self.days.get(v, ()):
                self.vehicle_of.pop(a.request_id, None)
                if a.driver_id is not None:
                    self._driven[a.driver_id][v] -= 1
                    if not self._driven[a.driver_id][v]:
                        del self._driven[a.driver_id][v]
            self.days.pop(v, None)
            if day:
                self.days[v] = day
        for v, day in change.days.items():
            for a in day:
                self.vehicle_of[a.request_id] = v
                if a.driver_id is not None:
                    self._driven[a.driver_id][v] += 1
                self.rented.pop(a.request_id, None)
                self.left.pop(a.request_id, None)
        for r in (*change.rented, *change.left, *change.gone):
            self.rented.pop(r, None)
            self.left.pop(r, None)
        self.rented |= dict.fromkeys(change.rented)
        self.left |= change.left
        for r in change.gone:
            self.requests.pop(r, None)
        for totals, more in ((self._lent_m, judged.lent_m), (self._without, judged.without)):
            for org, by in more.items():
                totals[org] += by
        self.cost_fen += judged.delta_fen
