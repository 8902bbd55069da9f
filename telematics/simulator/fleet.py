"""Many vehicles at once, all drawn from one seed."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random
from typing import Any

from psycopg import Connection

from telematics import store
from telematics.model import Fix
from telematics.simulator.ledger import Ledger
from telematics.simulator.roads import MadeRoad, RecordedRoad, Road
from telematics.simulator.vehicle import Counts, Plan, Vehicle


def numbers(first: int, terminals: int) -> list[str]:
    """Phone numbers of a simulation, one after the other."""
    return [str(first + n) for n in range(terminals)]


def admit(conn: Connection[Any], phones: Sequence[str]) -> int:
    """Allow those of the terminals to send that are not known yet; returns how many. The caller commits."""
    known = {
        phone for (phone,) in conn.execute("SELECT phone FROM gps_terminal WHERE phone = ANY (%s)", [list(phones)])
    }
    new = [phone for phone in phones if phone not in known]
    for phone in new:
        store.add_terminal(conn, phone=phone, note="simulated")
    return len(new)


async def simulate(
    phones: Sequence[str],
    plan: Plan,
    *,
    seconds: float,
    patience_s: float,
    seed: int,
    clock: Callable[[], datetime],
    ledger: Ledger,
    tracks: Sequence[Sequence[Fix]] = (),
    spread_s: float = 0.0,
) -> Counts:
    """Drive all vehicles for some seconds, their beginnings spread over ``spread_s``; returns their counts added up."""
    vehicles = []
    for n, phone in enumerate(phones):
        rng = Random(f"{seed} {phone}")
        road: Road = RecordedRoad(tracks[n % len(tracks)], rng) if tracks else MadeRoad(rng)
        vehicles.append(Vehicle(phone, plan, road=road, rng=rng, clock=clock, ledger=ledger))
    begin_s = asyncio.get_running_loop().time()
    until_s = begin_s + spread_s + seconds

    async def begin(n: int, vehicle: Vehicle) -> None:
        await asyncio.sleep(spread_s * n / len(vehicles))
        await vehicle.run(until_s=until_s, patience_s=patience_s)

    await asyncio.gather(*(begin(n, vehicle) for n, vehicle in enumerate(vehicles)))
    return total([vehicle.counts for vehicle in vehicles])


def total(counts: Sequence[Counts]) -> Counts:
    """All counts added up."""
    return Counts(
        made=sum(one.made for one in counts),
        forgotten=sum(one.forgotten for one in counts),
        acknowledged=sum(one.acknowledged for one in counts),
        resent=sum(one.resent for one in counts),
        refused=sum(one.refused for one in counts),
        connections=sum(one.connections for one in counts),
        waiting=sum(one.waiting for one in counts),
        delays_s=[delay_s for one in counts for delay_s in one.delays_s],
        begun_s=[begun_s for one in counts for begun_s in one.begun_s],
    )
