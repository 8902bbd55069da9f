"""Reference for tiny instances: every sound plan, by trying everything and asking the judge."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import combinations, product

from dispatch import Assignment, Instance, Params, Plan, Request, check
from dispatch.check import priced, request_violations
from dispatch.ride import Ride, ride_of
from dispatch.route import Index

Starts = Callable[[Request], Iterable[int]]


def earliest(request: Request) -> tuple[int, ...]:
    """Return the earliest start only: all there is where the start is fixed."""
    return (request.earliest_s,)


def permitted(problem: Instance) -> Starts:
    """Return every start the judge accepts."""
    return lambda r: dict.fromkeys([*range(r.earliest_s, r.latest_s, problem.start_step_s), r.latest_s])


def every_plan(
    problem: Instance, starts: Starts = earliest, params: Params | None = None, locked: Collection[Assignment] = ()
) -> Iterator[Plan]:
    """Yield every sound plan: each request alone on each vehicle with each driver, in a ride, rented, or left."""
    index = Index(problem, params or Params())
    for rides in _apart(_rides(index)):
        aboard = {name for ride in rides for name in ride.request_ids}
        choices = [_together(index, ride) for ride in rides]
        choices += [_alone(index, r, starts) for r in problem.requests if r.id not in aboard]
        for chosen in product(*choices):
            made = Plan(
                tuple(a for part in chosen if not isinstance(part, str) for a in part),
                {part[6:]: "given_up" for part in chosen if isinstance(part, str) and part.startswith("leave ")},
                tuple(part[5:] for part in chosen if isinstance(part, str) and part.startswith("rent ")),
                0,
            )
            made = priced(problem, made, params=params)
            if not check(problem, made, params=params, locked=tuple(locked)):
                yield made


def cheapest(
    problem: Instance, starts: Starts = earliest, params: Params | None = None, locked: Collection[Assignment] = ()
) -> Plan:
    """Return a sound plan of the least cost."""
    return min(every_plan(problem, starts, params, locked), key=lambda made: made.cost_fen)


def _rides(index: Index) -> list[Ride]:
    names = [r.id for r in index.instance.requests if r.pooling]
    sets = (some for size in range(2, index.params.pool_most + 1) for some in combinations(names, size))
    return [ride for ride in (ride_of(index, some) for some in sets) if ride is not None]


def _apart(rides: list[Ride]) -> Iterator[list[Ride]]:
    """Yield every choice of rides in which nobody rides twice."""
    if not rides:
        yield []
        return
    first, *others = rides
    for chosen in _apart(others):
        yield chosen
        if all(set(first.request_ids).isdisjoint(ride.request_ids) for ride in chosen):
            yield [first, *chosen]


def _hands(index: Index) -> Iterator[tuple[str, str | None]]:
    """Yield every vehicle with every driver who may drive it."""
    for v in index.instance.vehicles:
        for d in index.instance.drivers or [None]:
            if d is None:
                yield v.id, None
            elif v.vehicle_class in d.classes() and v.driver_id in (None, d.id):
                yield v.id, d.id


def _alone(index: Index, request: Request, starts: Starts) -> list[tuple[Assignment, ...] | str]:
    found: list[tuple[Assignment, ...] | str] = [f"leave {request.id}", f"rent {request.id}"]
    for v, d in _hands(index):
        for start_s in starts(request):
            tried = Assignment(request.id, v, d, start_s, start_s + index.service_at(request.id, start_s).busy_s)
            if not list(request_violations(index, tried)):
                found.append((tried,))
    return found


def _together(index: Index, ride: Ride) -> list[tuple[Assignment, ...] | str]:
    found: list[tuple[Assignment, ...] | str] = []
    for v, d in _hands(index):
        tried = tuple(
            Assignment(name, v, d, start_s, end_s, ride.key)
            for name, (start_s, end_s) in zip(ride.request_ids, ride.spans, strict=True)
        )
        if not any(list(request_violations(index, a)) for a in tried):
            found.append(tried)
    return found
