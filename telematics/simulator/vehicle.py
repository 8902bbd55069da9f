"""One virtual terminal: drives, keeps what is not acknowledged, sends it again, comes back after every cut.

Repetitions follow JT/T 808-2013, 5.2 (see ``telematics.gateway.terminal``). A position leaves the memory only when
its acknowledgement has come; when the memory is full the newest positions are lost and counted, as in a real device
that protects what it holds.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from random import Random

from telematics.gateway.terminal import NoAnswer, Refused
from telematics.ingest import digest
from telematics.model import Fix
from telematics.protocols.jt808_body import encode_location, parse_location
from telematics.simulator.chaos import CALM, Odds, UnreliableTerminal, jump
from telematics.simulator.ledger import Identity, Ledger
from telematics.simulator.roads import Road

BACKLOG = 5
"""So many waiting positions are a backlog: they go out as a 0x0704 supplement instead of one by one."""
BATCH_FIXES = 15  # with items 15 x 52 bytes, within the 1,023 of one frame
TIMER_S = 0.002
RECONNECT_S = (0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How every vehicle of a simulation behaves: gateway, positions a second, first wait for an answer, memory."""

    host: str
    port: int
    rate_hz: float = 1.0
    wait_s: float = 10.0
    memory: int = 10_000
    odds: Odds = CALM


@dataclass(slots=True)
class Counts:
    """What one vehicle, or all of them, did.

    ``delays_s`` are waits for acknowledgements, first attempt to answer, and ``begun_s`` when each began (event loop).
    """

    made: int = 0
    forgotten: int = 0
    acknowledged: int = 0
    resent: int = 0
    refused: int = 0
    connections: int = 0
    waiting: int = 0
    delays_s: list[float] = field(default_factory=list)
    begun_s: list[float] = field(default_factory=list)


class Vehicle:
    """A vehicle on its road with its terminal; ``clock`` is the time of day, the event loop's the stopwatch."""

    def __init__(
        self, phone: str, plan: Plan, *, road: Road, rng: Random, clock: Callable[[], datetime], ledger: Ledger
    ) -> None:
        self.counts = Counts()
        self._phone = phone
        self._plan = plan
        self._road = road
        self._rng = rng
        self._clock = clock
        self._ledger = ledger
        self._code: str | None = None
        self._memory: dict[Identity, Fix] = {}
        self._clock_error = timedelta()
        self._next_s = self._until_s = 0.0

    async def run(self, *, until_s: float, patience_s: float) -> None:
        """Report until the loop's ``until_s``, then for at most ``patience_s`` deliver what is left."""
        loop = asyncio.get_running_loop()
        self._until_s = until_s
        self._next_s = loop.time() + self._rng.random() / self._plan.rate_hz
        failures = 0
        try:
            async with asyncio.timeout_at(until_s + patience_s):
                while loop.time() < until_s or self._memory:
                    acknowledged = self.counts.acknowledged
                    await self._connection(until_s)
                    failures = 0 if self.counts.acknowledged > acknowledged else failures + 1
                    wait_s = RECONNECT_S[min(failures, len(RECONNECT_S) - 1)]
                    await asyncio.sleep(wait_s * self._rng.uniform(0.5, 1))
        except TimeoutError:
            pass  # what is left is counted
        self.counts.waiting = len(self._memory)

    async def _connection(self, until_s: float) -> None:
        """Work on one connection until it breaks or nothing is left to do."""
        plan = self._plan
        terminal = UnreliableTerminal(
            plan.host, plan.port, self._phone, odds=plan.odds, rng=self._rng, wait_s=plan.wait_s
        )
        try:
            async with terminal:
                self.counts.connections += 1
                self._code = await terminal.log_in(self._code)
                while True:
                    self._drive()
                    if self._memory:
                        await self._deliver(terminal)
                    elif (now_s := asyncio.get_running_loop().time()) >= until_s:
                        return
                    else:
                        # A timer may wake a little early, and then several times.
                        await asyncio.sleep(max(min(self._next_s, until_s) - now_s, 0) + TIMER_S)
        except Refused:
            self.counts.refused += 1
            self._code = None
        except (NoAnswer, OSError):
            pass  # the caller connects anew
        finally:
            self.counts.resent += terminal.resent
            self._drive()

    # -- positions

    def _drive(self) -> None:
        """Make the positions that are due by now, with the time each was due at."""
        now_s, now = asyncio.get_running_loop().time(), self._clock()
        while self._next_s <= min(now_s, self._until_s):
            self._report(now - timedelta(seconds=now_s - self._next_s))
            self._next_s += 1 / self._plan.rate_hz

    def _report(self, at: datetime) -> None:
        if self._rng.random() < self._plan.odds.clock:
            self._clock_error = jump(self._rng)
        place = self._road.advance(1 / self._plan.rate_hz)
        fix = Fix(
            at=(at + self._clock_error).replace(microsecond=0),
            lat=place.lat,
            lon=place.lon,
            speed_kmh=place.speed_kmh,
            direction_deg=place.direction_deg,
            altitude_m=12,
            acc=True,
            odometer_m=round(place.odometer_m),
            items={"satellites": 12, "signal": 25, "fuel_l": 40.0},
        )
        self.counts.made += 1
        if len(self._memory) >= self._plan.memory:
            self.counts.forgotten += 1
            return
        known = parse_location(encode_location(fix))  # in the resolution of the wire: that is what will be stored
        self._memory[self._phone.lstrip("0"), known.at, digest(known)] = known

    async def _deliver(self, terminal: UnreliableTerminal) -> None:
        """Send the oldest positions, a backlog in batches; raises what the first failed sending raised."""
        waiting = list(islice(self._memory.items(), BACKLOG * BATCH_FIXES))
        if self._rng.random() < self._plan.odds.disorder:
            self._rng.shuffle(waiting)
        size = 1 if len(waiting) < BACKLOG else BATCH_FIXES
        groups = [waiting[first : first + size] for first in range(0, len(waiting), size)]
        if len(groups) == 1:
            await self._send(terminal, groups[0])
            return
        results = await asyncio.gather(*(self._send(terminal, group) for group in groups), return_exceptions=True)
        for result in results:
            if result is not None:
                raise result

    async def _send(self, terminal: UnreliableTerminal, group: list[tuple[Identity, Fix]]) -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for identity, _ in group:
            self._ledger.note("sent", identity)
        if len(group) == 1:
            await terminal.send(group[0][1])
        else:
            await terminal.send_batch([fix for _, fix in group], blind=True)
        self.counts.delays_s.append(loop.time() - begun_s)
        self.counts.begun_s.append(begun_s)
        for identity, _ in group:
            if self._memory.pop(identity, None) is not None:
                self.counts.acknowledged += 1
                self._ledger.note("acknowledged", identity)
