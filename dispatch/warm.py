"""Compile the inner loops once after installing, so that the first plan need not wait for it."""

from dataclasses import replace

from dispatch.day import generate
from dispatch.example import example
from dispatch.params import Params
from dispatch.pool import offered
from dispatch.problem import Problem
from dispatch.route import Index
from dispatch.schedule import Schedule


class _Patient:
    """A clock that never presses."""

    def left_s(self) -> float:
        return 3_600.0

    def expired(self) -> bool:
        return False


def warm() -> None:
    """Plan a small day with and without drivers and look for shared rides."""
    day = example()
    bare = replace(day, drivers=(), reserves=(), vehicles=tuple(replace(v, driver_id=None) for v in day.vehicles))
    ways = (replace(r, pooling=True, stops=r.stops[:2], duration_s=0) for r in day.requests)
    offered(Index(replace(day, requests=tuple(ways)), Params()))
    for instance in (day, bare):
        generate(Schedule(Problem(instance, Params()), seed=0), _Patient(), seed=0)
