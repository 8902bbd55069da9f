"""The sealing of the last National Day with its records, and the draft of the next holiday's notice."""

import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.demo import people
from fleetapp.demo.city import City
from fleetapp.demo.records import Story
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor, Role
from fleetapp.kit.db import Database, become
from fleetapp.seals import jobs, queries, service
from fleetapp.seals.models import SealRecord
from fleetapp.seals.rules import KeyHolder
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import DayKind

NATIONAL_DAY = "国庆节"
DISTRICTS = 4
"""So many districts tell their holiday; all of them would take the seeding too long."""
EARLIEST = timedelta(days=10)
"""So long before the holiday its notice is drafted."""
DUTY_EVERY = 8
"""Of so many vehicles of a unit one stays on duty."""
ODD_M = 2_600
"""How much the odometer of one vehicle went on while sealed; it is a vehicle that the story leaves in its place."""
PURPOSES = ("防汛防台值班备勤", "应急指挥值班用车", "节日期间值班室用车", "安全生产检查备勤")
KEYS = (KeyHolder.DUTY_ROOM, KeyHolder.UNIT_ADMIN, KeyHolder.FLEET_MANAGER)


def picture(colour: tuple[int, int, int]) -> bytes:
    """Return a small PNG: a car of a colour in its bay, seen from above."""
    width, height = 96, 64
    rows = []
    for y in range(height):
        row = bytearray(b"\x00")
        for x in range(width):
            car = 22 <= x < 74 and 20 <= y < 44
            glass = car and (30 <= x < 36 or 58 <= x < 64)
            line = x in {10, 11, 84, 85} or y in {6, 7}
            row += bytes((60, 70, 80) if glass else colour if car else (240, 240, 240) if line else (120, 122, 126))
        rows.append(bytes(row))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + chunk(b"IEND", b"")
    )


def seal(database: Database, city: City, story: Story, *, since: datetime, now: datetime) -> int:
    """Tell the last National Day of the fleet centre and some districts, and draft the next notice; returns the vehicles sealed.

    It is told if it lies between the registration of the vehicles (``since``) and the story.
    """
    with database.transaction(SYSTEM) as session:
        everybody = people.everybody(session)
        orgs = session.scalars(select(Organisation).order_by(Organisation.code)).all()
        period = _national_day(session, story.first_on)
        proposal = queries.next_holiday(session, on=clock.local_date(now))
    offices = {actor.org_id: actor for actor in everybody.values() if actor.has(Role.VEHICLE_OFFICE)}
    top = next(org for org in orgs if org.kind == OrgKind.CITY)
    centre = [org for org in orgs if org.kind == OrgKind.OPERATOR]
    districts = [org for org in orgs if org.kind == OrgKind.DISTRICT]
    driven = {plate for plate, legs in story.legs.items() if legs}
    sealed = 0
    if period is not None and clock.start_of(period[0]) - EARLIEST > since:
        for number, org in enumerate([*centre, *districts[:DISTRICTS]]):
            office = offices.get(org.id, offices[top.id])
            readings_m = {car.plate: car.odometer_on(period[0], story.first_on) for car in city.vehicles}
            sealed += _Holiday(database, everybody, office, org.id, *period, driven, readings_m, number).tell()
    with database.transaction(offices[top.id]) as session:
        service.draft(session, org_id=top.id, holiday=proposal.holiday, start_on=proposal.start_on, end_on=proposal.end_on,
                      actor=offices[top.id], now=now - timedelta(hours=20))  # fmt: skip
    return sealed


def _national_day(session: Session, first_on: date) -> tuple[date, date] | None:
    """Return ``[first, end)`` of the last National Day that was over when the story began."""
    for year in (first_on.year, first_on.year - 1):
        days = workdays.day_kinds(session, date(year, 9, 25), date(year, 10, 15))
        off = [day.on for day in days if day.kind is DayKind.HOLIDAY and day.name == NATIONAL_DAY]
        if off and off[-1] < first_on:
            return off[0], off[-1] + timedelta(days=1)
    return None


@dataclass(frozen=True, slots=True)
class _Holiday:
    """One campaign from its draft to the last vehicle unsealed, each step by whoever takes it."""

    database: Database
    everybody: dict[str, Actor]
    office: Actor
    org_id: int
    start_on: date
    end_on: date
    driven: set[str]
    readings_m: dict[str, int]
    number: int

    def tell(self) -> int:
        """Tell it; returns how many vehicles were sealed."""
        day_before = clock.start_of(self.start_on) - timedelta(hours=7)
        made = self._as(self.office, service.draft, day_before - EARLIEST + timedelta(days=1), org_id=self.org_id, holiday=NATIONAL_DAY,
                        start_on=self.start_on, end_on=self.end_on)  # fmt: skip
        notice_no = f"机管办〔{self.start_on.year}〕{28 + self.number}号"
        self._as(self.office, service.publish, day_before - timedelta(days=8), campaign_id=made.id, notice_no=notice_no)
        steps = list(self._steps(made.id, day_before))
        self._take(step for step in steps if step[0] < clock.start_of(self.start_on))
        jobs.move_due(self.database, clock.start_of(self.start_on))
        jobs.move_due(self.database, clock.start_of(self.end_on))
        self._take(step for step in steps if step[0] >= clock.start_of(self.end_on))
        return sum(function.func is service.unseal for _, _, function in steps)

    def _steps(self, campaign_id: int, day_before: datetime) -> Iterator[tuple[datetime, Actor, "partial[Any]"]]:
        """Yield when, who, what: duty vehicles first, then the proofs, after the holiday the unsealing."""
        admins = {actor.org_id or 0: actor for actor in self.everybody.values() if actor.has(Role.UNIT_ADMIN)}
        approvers = {actor.org_id or 0: actor for actor in self.everybody.values() if actor.has(Role.APPROVER)}
        units = {org_id: number for number, org_id in enumerate(sorted(admins))}
        pictures = [picture(colour) for colour in ((245, 245, 245), (30, 34, 40), (168, 174, 180), (36, 70, 120))]
        with self.database.transaction(SYSTEM) as session:
            rows = queries.filtered(queries.records_visible_to(SYSTEM), campaign_id=campaign_id)
            records = session.scalars(rows).all()
        of_unit: Counter[int] = Counter()
        on_duty = set()
        for record in records:
            of_unit[record.org_id] += 1
            if of_unit[record.org_id] % DUTY_EVERY == DUTY_EVERY // 2:
                on_duty.add(record.id)
        unmoved = (
            record.id for record in records if record.vehicle.plate not in self.driven and record.id not in on_duty
        )
        odd = next(unmoved, None) if self.number == 1 else None
        back = clock.start_of(self.end_on) + timedelta(hours=8)
        for number, record in enumerate(records):
            admin = admins[record.org_id]
            if record.id in on_duty:
                yield from self._duty(record, admin, approvers[record.org_id], day_before - timedelta(days=3), number)
                continue
            after = timedelta(minutes=4 * units[record.org_id], seconds=3 * number)
            at = day_before + after
            odometer_m = self.readings_m[record.vehicle.plate]
            plate_photo = (f"{record.vehicle.plate}.png", pictures[number % len(pictures)])
            yield at, admin, partial(service.prove, record_id=record.id, parking_id=record.vehicle.parking_id or 0, odometer_m=odometer_m,
                                     keys_with=KEYS[number % len(KEYS)], photo=plate_photo)  # fmt: skip
            yield back + after, admin, partial(
                service.unseal, record_id=record.id, odometer_m=odometer_m + (ODD_M if record.id == odd else 0)
            )  # fmt: skip

    def _duty(
        self, record: SealRecord, admin: Actor, approver: Actor, at: datetime, number: int
    ) -> Iterator[tuple[datetime, Actor, "partial[Any]"]]:
        asked: list[int] = []

        def ask(session: Session, *, actor: Actor, now: datetime) -> None:
            made = service.ask_exception(session, record_id=record.id, purpose=PURPOSES[number % len(PURPOSES)], start_on=self.start_on,
                                         end_on=self.end_on, actor=actor, now=now)  # fmt: skip
            asked.append(made.id)

        def approve(session: Session, *, actor: Actor, now: datetime) -> None:
            service.decide_exception(
                session, exception_id=asked[0], approve=True, note="同意保留值守。", actor=actor, now=now
            )

        yield at + timedelta(minutes=number), admin, partial(ask)
        yield at + timedelta(hours=5, minutes=number), approver, partial(approve)

    def _take(self, steps: Iterator[tuple[datetime, Actor, "partial[Any]"]]) -> None:
        with self.database.transaction(SYSTEM) as session:
            acting: Actor | None = None
            for at, who, function in sorted(steps, key=lambda step: step[0]):
                if who is not acting:
                    become(session, who)
                    acting = who
                function(session, actor=who, now=at)
                session.flush()

    def _as(self, who: Actor, function: Callable[..., Any], at: datetime, **given: Any) -> Any:
        with self.database.transaction(who) as session:
            return function(session, actor=who, now=at, **given)
