"""The order of a day: what is due when, in simulated time, by several people at once; the jobs of the system in between."""

import heapq
import itertools
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import psycopg
from sqlalchemy import select

from fleetapp import wiring
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.orders.models import TravelOrder
from fleetapp.planning import again
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.settings import Settings
from telematics import store
from telematics.model import Fix
from tests.walks.day.clock import Clock
from tests.walks.day.fleet import Car, Fleet, Wish, moment
from tests.walks.day.people import Book, Person

JOBS_EVERY = timedelta(minutes=20)
HANDS = 6
SKIPPED_JOBS = frozenset({"plans", "positions", "exchange"})
"""Plans are made at once where one is asked for; archives and the platform above are no part of a day."""
BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
Act = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Held:
    """The vehicle and driver that an order has now."""

    assignment_id: int
    order_id: int
    vehicle_id: int
    driver_id: int
    state: str


@dataclass
class Day:
    """One day with everything that belongs to it; the database is read here only to know who would look at what."""

    base: str
    url: str
    database: Database
    clock: Clock
    fleet: Fleet
    on: date
    book: Book = field(default_factory=Book)
    people: dict[str, Person] = field(default_factory=dict)
    orders: dict[int, int] = field(default_factory=dict)
    troubles: dict[int, str] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    spent_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _due: list[tuple[datetime, int, str, Act]] = field(default_factory=list)
    _fixes: list[tuple[datetime, int, int, Fix]] = field(default_factory=list)
    _count: "itertools.count[int]" = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _told: set[int] = field(default_factory=set)
    _ran: dict[str, datetime] = field(default_factory=dict)
    stored: int = 0
    step: timedelta = timedelta(minutes=5)
    """What is due within so much of the day happens at once, by several people."""
    say: Callable[[str], object] = lambda _text: None

    def at(self, hour: float, days: int = 0) -> datetime:
        """Return a local hour of the day, or of one some days on."""
        return moment(self.on + timedelta(days=days), hour)

    def who(self, username: str) -> Person:
        """Return somebody."""
        with self._lock:
            if username not in self.people:
                self.people[username] = Person(self.base, self.book, username)
            return self.people[username]

    def later(self, at: datetime, name: str, act: Act) -> None:
        """Let something happen at a moment."""
        with self._lock:
            heapq.heappush(self._due, (at, next(self._count), name, act))

    def count(self, what: str, n: int = 1) -> None:
        """Count something that happened."""
        with self._lock:
            self.notes[what] += n

    def first_look(self, assignment_id: int) -> bool:
        """Tell whether a driver has not been told to look at an assignment before."""
        with self._lock:
            known = assignment_id in self._told
            self._told.add(assignment_id)
            return not known

    def wish_of(self, order_id: int) -> Wish:
        """Return what somebody wanted with an order."""
        return self.fleet.wishes[next(number for number, known in self.orders.items() if known == order_id)]

    # ---- what stands ------------------------------------------------------------------------------------------------

    def held(self, order_id: int | None = None) -> list[Held]:
        """Return which orders have which vehicle now, all or one."""
        query = select(
            Assignment.id, Assignment.order_id, Assignment.vehicle_id, Assignment.driver_id, TravelOrder.state
        )
        query = query.join(TravelOrder, TravelOrder.id == Assignment.order_id).where(
            Assignment.state == AssignmentState.ACTIVE
        )
        if order_id is not None:
            query = query.where(Assignment.order_id == order_id)
        with self.database.transaction(SYSTEM) as session:
            return [Held(*row) for row in session.execute(query.order_by(Assignment.id))]

    def states(self) -> dict[int, str]:
        """Return the state of every order of the day by id."""
        with self.database.transaction(SYSTEM) as session:
            return dict(session.execute(select(TravelOrder.id, TravelOrder.state)).all())  # type: ignore[arg-type]

    # ---- time -------------------------------------------------------------------------------------------------------

    def until(self, end: datetime) -> None:
        """Live until a moment: what is due, terminals, jobs."""
        with ThreadPoolExecutor(HANDS) as hands:
            while self.clock.now() < end:
                to = min(end, self.clock.now() + self.step)
                self.clock.reach(to)
                due = []
                with self._lock:
                    while self._due and self._due[0][0] <= to:
                        due.append(heapq.heappop(self._due))
                list(hands.map(self._one, due))
                self._heartbeats()
                self._send(self.clock.now())
                self._jobs(self.clock.now())
                self.say(
                    f"{clock.local(self.clock.now()):%m-%d %H:%M} {len(due)} acts {sum(self.spent_s.values()):.0f} s {len(self.book.errors)} errors"
                )

    def _one(self, due: tuple[datetime, int, str, Act]) -> None:
        began = time.perf_counter()
        try:
            due[3]()
        except Exception as error:  # noqa: BLE001 -- whatever goes wrong is told at the end, the day goes on
            self.book.failed(f"{due[2]}: {type(error).__name__} {str(error)[:400]}")
        with self._lock:
            self.spent_s[due[2]] += time.perf_counter() - began

    def _jobs(self, now: datetime) -> None:
        settings = Settings(database_url=self.url, secret_key="only for tests")
        for name, seconds, job in wiring.jobs(settings):
            if name in SKIPPED_JOBS or now - self._ran.get(name, BEFORE) < max(JOBS_EVERY, timedelta(seconds=seconds)):
                continue
            self._ran[name] = now
            began = time.perf_counter()
            try:
                job(self.database, now)
            except Exception as error:  # noqa: BLE001 -- as the scheduler: one job's fault is told and stops no other
                self.book.failed(f"job {name}: {type(error).__name__} {str(error)[:400]}")
            self.spent_s[f"job {name}"] += time.perf_counter() - began

    def make_plans(self) -> None:
        """Make the plans that were asked for, as the scheduler does within a second."""
        began = time.perf_counter()
        again.work(self.database, tick=self.clock.now)
        with self._lock:
            self.spent_s["job plans"] += time.perf_counter() - began

    # ---- terminals ----------------------------------------------------------------------------------------------------

    def drives(self, car: Car, fixes: list[Fix]) -> None:
        """Let a vehicle's terminal report these positions when they are due; a silent one keeps them until it is heard again."""
        with self._lock:
            for fix in fixes:
                sent_at = max(fix.at, car.silent_until) if car.silent_until and fix.at < car.silent_until else fix.at
                heapq.heappush(self._fixes, (sent_at, next(self._count), car.terminal_id, fix))

    def _heartbeats(self) -> None:
        from random import Random

        from fleetapp.demo.drive import park

        now = self.clock.now().replace(microsecond=0)
        for car in self.fleet.cars.values():
            if car.busy_until <= now and (car.silent_until is None or car.silent_until <= now):
                beat = park(
                    car.at,
                    now,
                    now + timedelta(seconds=1),
                    Random(f"{car.plate}{now}"),
                    odometer_m=car.odometer_m,
                    first_s=0,
                )
                with self._lock:
                    heapq.heappush(self._fixes, (now, next(self._count), car.terminal_id, beat[0]))

    def _send(self, now: datetime) -> None:
        began, rows = time.perf_counter(), []
        with self._lock:
            while self._fixes and self._fixes[0][0] <= now:
                _, _, terminal_id, fix = heapq.heappop(self._fixes)
                rows.append((terminal_id, fix, None))
        if rows:
            with psycopg.connect(self.url) as connection:
                store.save(connection, rows, now, peer="day")
        self.stored += len(rows)
        self.spent_s["terminals"] += time.perf_counter() - began
