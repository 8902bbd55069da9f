"""What could be done with a new request in a running plan: changes worth judging, cheapest estimate first."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from dispatch.check import suitable
from dispatch.gaps import Gaps, Spot, Wanted
from dispatch.model import Assignment, Instance, Request, Vehicle
from dispatch.route import Index, Task
from dispatch.running import Change, Running
from dispatch.tariff import drive_fen, rental_fen, upgrade_fen

DRIVERS = 6  # drivers that are asked for each vehicle
PAIRS = 2_000  # exchanges of two days' rests that are estimated in full
IDLE = 2  # vehicles that could be sent out
OUSTED = 24  # tasks for which another place is looked for, so that the new one may have theirs


@dataclass(frozen=True, slots=True)
class Offer:
    """What serving a request would cost more by estimate, fen, and the changes that do so: the first sound one counts."""

    fen: int
    changes: Iterable[Change]


class Offers:
    """Ways to serve a request, by the arrays of gaps and the tasks of every vehicle."""

    def __init__(self, instance: Instance, running: Running, gaps: Gaps) -> None:
        self.running, self.gaps = running, gaps
        self.tasks: dict[str, list[Task]] = {}
        self._vehicles, self._drivers = instance.vehicles, instance.drivers
        self._row = {v.id: k for k, v in enumerate(instance.vehicles)}
        # Vehicles that differ in nothing a request asks about.
        alike: dict[Vehicle, list[int]] = {}
        for k, v in enumerate(instance.vehicles):
            span = instance.vehicles[0].available
            plain = Vehicle("any", "any", v.owner_org, v.vehicle_class, v.seats, span, purposes=v.purposes, tags=v.tags)
            alike.setdefault(plain, []).append(k)
        self._alike = {v: np.array(rows, dtype=np.int64) for v, rows in alike.items()}
        self._known: dict[Request, tuple[Index, Wanted]] = {}
        for r in running.rented:
            self._facts(running.requests[r])

    def suits_any(self, request: Request) -> bool:
        """Tell whether any vehicle may serve a request at all."""
        return bool(self._facts(request)[1].suits.any())

    def _facts(self, request: Request) -> tuple[Index, Wanted]:
        """Return an index of a request alone, and the request as gaps see it."""
        if request not in self._known:
            index = self.running.part([request.id])
            self._known[request] = index, self._wanted(index, request)
        return self._known[request]

    def _wanted(self, index: Index, request: Request) -> Wanted:
        where, served = self.running.roads.index, index.service_at(request.id, request.earliest_s)
        count, params = len(self._vehicles), index.params
        serve_fen, suits = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
        for v, rows in self._alike.items():
            suits[rows] = suitable(index, request, v) is None
            lent_fen = params.lent_fen if v.owner_org != request.owner_org else 0
            serve_fen[rows] = upgrade_fen(params, request, v, served.distance_m) + lent_fen
        serve_fen += drive_fen(self.gaps.rate, np.full(count, served.distance_m))
        for a in self.running.told(request.id):
            if a.vehicle_id in self._row:
                serve_fen[self._row[a.vehicle_id]] -= params.change_fen
        return Wanted(
            where[request.stops[0].place], where[request.stops[-1].place], served.busy_s, request.earliest_s,
            request.latest_s, index.instance.start_step_s, serve_fen, suits,
        )  # fmt: skip

    def plain(self, request: Request) -> list[Offer]:
        """Put it into a gap, also with the rests of two days exchanged behind it."""
        _, wanted = self._facts(request)
        spots = [*self.gaps.spots(wanted), *self.gaps.crossings(wanted, PAIRS)]
        return [Offer(s.fen, self._changes(request, s)) for s in sorted(spots, key=lambda s: s.fen)]

    def ousting(self, request: Request, below_fen: int) -> list[Offer]:
        """Put it in the place of another task, which is served elsewhere or not at all; less than `below_fen` only."""
        _, wanted = self._facts(request)
        found = []
        spots = self.gaps.spots(wanted, over=1)
        for spot in sorted(spots, key=lambda s: s.fen + s.ousted_fen)[:OUSTED]:
            if spot.fen + spot.ousted_fen >= below_fen:
                break
            task = self.tasks[self._vehicles[spot.vehicle].id][spot.gap]
            out = self.running.requests[task.assignments[0].request_id]
            index, other = self._facts(out)
            told_fen = index.params.change_fen * self.running.told_kept(task.assignments[0])
            away_fen = self._away_fen(index, out)
            places = [s for s in self.gaps.spots(other) if s.vehicle != spot.vehicle][:1]
            fen = spot.fen + told_fen + min([away_fen, *(s.fen for s in places)])
            if fen < below_fen:
                elsewhere = places[0] if places and places[0].fen < away_fen else None
                found.append(Offer(fen, self._ousts(request, spot, out, elsewhere)))
        return sorted(found, key=lambda o: o.fen)

    def opening(self, request: Request) -> list[Offer]:
        """Send out an idle vehicle for it and for what is rented so far: one order alone is seldom worth a vehicle's day."""
        if self._drivers:
            return []
        asked = [self.running.requests[r] for r in self.running.rented if r != request.id] + [request]
        facts = [self._facts(r) for r in asked]
        wanted, must = [w for _, w in facts], len(asked) - 1
        worth = np.array([self._away_fen(index, r) for (index, _), r in zip(facts, asked, strict=True)])
        idle = [s.vehicle for s in self.gaps.spots(wanted[must]) if not self.gaps.count[s.vehicle]]
        found = []
        for v in list(dict.fromkeys(idle))[:IDLE]:
            saved_fen, chosen = self.gaps.chain(v, wanted, worth, must)
            day = tuple(self._assignment(asked[k], self._vehicles[v], None, asked[k].earliest_s) for k in chosen)
            found.append(Offer(int(worth[must]) - saved_fen, [Change({self._vehicles[v].id: day})]))
        return sorted(found, key=lambda o: o.fen)

    def moving(self, vehicle_id: str) -> list[Offer]:
        """Move one task of a vehicle to another one that serves it for less."""
        found = []
        for gap, saved_fen in self.gaps.savings(self._row[vehicle_id]):
            task = self.tasks[vehicle_id][gap].assignments[0]
            request = self.running.requests[task.request_id]
            index, wanted = self._facts(request)
            told_fen = index.params.change_fen * self.running.told_kept(task)
            day = tuple(a for a in self.running.days[vehicle_id] if a != task)
            for spot in self.gaps.spots(wanted)[:2]:
                if self._vehicles[spot.vehicle].id != vehicle_id and spot.fen + told_fen < saved_fen:
                    moves = (Change({vehicle_id: day, **c.days}) for c in self._changes(request, spot))
                    found.append(Offer(spot.fen + told_fen - saved_fen, moves))
                    break
        return sorted(found, key=lambda o: o.fen)

    @staticmethod
    def _away_fen(index: Index, request: Request) -> int:
        served = index.services[request.id]
        price = rental_fen(index.params, request, served.distance_m, served.busy_s)
        penalty = index.params.penalty_fen[request.priority]
        return penalty if price is None else min(price, penalty)

    def _ousts(self, request: Request, spot: Spot, out: Request, elsewhere: Spot | None) -> Iterator[Change]:
        """Yield changes that give a request the place and driver of another."""
        vehicle = self._vehicles[spot.vehicle]
        ousted = self.tasks[vehicle.id][spot.gap].assignments[0]
        new = self._assignment(request, vehicle, ousted.driver_id, spot.start_s)
        day = tuple(a for a in self.running.days[vehicle.id] if a != ousted)
        if elsewhere is not None:
            for change in self._changes(out, elsewhere):
                yield Change({vehicle.id: (*day, new), **change.days})
            return
        index, _ = self._facts(out)
        served = index.services[out.id]
        price = rental_fen(index.params, out, served.distance_m, served.busy_s)
        if price is not None and price <= index.params.penalty_fen[out.priority]:
            yield Change({vehicle.id: (*day, new)}, rented=(out.id,))
        else:
            yield Change({vehicle.id: (*day, new)}, left={out.id: "too_dear"})

    def _assignment(self, request: Request, vehicle: Vehicle, driver_id: str | None, start_s: int) -> Assignment:
        end_s = start_s + self._facts(request)[0].service_at(request.id, start_s).busy_s
        return Assignment(request.id, vehicle.id, driver_id, start_s, end_s)

    def _changes(self, request: Request, spot: Spot) -> Iterator[Change]:
        """Yield the days that put a request in its place, with one driver after the other."""
        vehicle = self._vehicles[spot.vehicle]
        tasks = self.tasks.get(vehicle.id, [])
        put = partial(self._assignment, request, vehicle, start_s=spot.start_s)
        new = put(None)
        if spot.rest_of != spot.vehicle:
            other = self._vehicles[spot.rest_of].id
            theirs = self.tasks.get(other, [])
            at = sum(t.start_s < spot.start_s for t in theirs)
            mine = (*day_of(vehicle.id, tasks[: spot.gap]), new, *day_of(vehicle.id, theirs[at:]))
            yield Change({vehicle.id: mine, other: (*day_of(other, theirs[:at]), *day_of(other, tasks[spot.gap :]))})
            return
        day = self.running.days.get(vehicle.id, ())
        beside = [t.assignments[0].driver_id for t in tasks[max(0, spot.gap - 1) : spot.gap + 1]]
        drivers = self._asked(vehicle, beside, new) if self._drivers else [None]
        for driver_id in islice(drivers, DRIVERS):
            yield Change({vehicle.id: (*day, put(driver_id))})

    def _asked(self, vehicle: Vehicle, beside: Iterable[str | None], new: Assignment) -> Iterator[str | None]:
        """Yield drivers who might: the vehicle's own, those of its day, then those of its yard and of others."""
        running = self.running
        if vehicle.driver_id is not None:
            yield vehicle.driver_id
            return
        here = [a.driver_id for a in running.days.get(vehicle.id, ())]
        known = dict.fromkeys(d for d in (*beside, *here) if d is not None)
        yield from known
        for driver in sorted(self._drivers, key=lambda d: d.yard != vehicle.yard):
            if (
                driver.id not in known
                and vehicle.vehicle_class in driver.classes()
                and running.free_to_drive(vehicle, driver)
                and any(span.holds(new.start_s, new.end_s) for span in driver.on_duty)
                and not any(a.start_s < new.end_s and new.start_s < a.end_s for a in running.drives(driver.id))
            ):
                yield driver.id


def day_of(vehicle_id: str, tasks: Iterable[Task]) -> Iterator[Assignment]:
    """Yield the assignments of tasks, given to a vehicle."""
    for task in tasks:
        for a in task.assignments:
            yield a if a.vehicle_id == vehicle_id else replace(a, vehicle_id=vehicle_id)
