"""Files into the ledger: looked through first, then all good rows in one transaction; the rest goes back with its errors."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import insert
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.attachments import queries as attachment_queries
from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.energy import layout, queries, reading, rules, service
from fleetapp.energy.layout import Problem, Row
from fleetapp.energy.models import EnergyCard, EnergyEntry, EnergyImport
from fleetapp.energy.reading import Sheet
from fleetapp.energy.rules import EntrySource, ImportState
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import normal_plate

ROWS_A_STATEMENT = 1000


@dataclass(slots=True)
class Judged:
    """A file's rows: ``fresh`` go in, ``known`` are in already, ``rejected`` have problems."""

    sheet: Sheet
    fresh: list[tuple[Row, Vehicle, EnergyCard | None, str]] = field(default_factory=list)
    known: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)


def check(session: Session, *, name: str, content: bytes, actor: Actor, now: datetime) -> EnergyImport:
    """Keep a file and say what is in it; nothing goes into the ledger yet.

    :raises RuleBroken: the file is refused as a whole: too large or of another kind (``attachments.*``), or ``energy.file_*``.
    """
    org = accounts.get_org(session, org_id=actor.org_id or 0)
    permits.require("energy.enter", actor, org_path=org.path)
    made = EnergyImport(org_id=org.id, file_name=name[-120:], state=ImportState.CHECKED, fresh=0, known=0, rejected=0,
                        created_at=now, created_by=actor.user_id)  # fmt: skip
    made.org = org
    session.add(made)
    session.flush()
    kept = attachments.attach(session, org_id=org.id, subject_type="energy_import", subject_id=made.id, label="source", name=name,
                              content=content, actor=actor, now=now)  # fmt: skip
    judged = judge(session, reading.read(name, content), actor=actor, now=now)
    made.attachment_id = kept.id
    made.fresh, made.known, made.rejected = len(judged.fresh), len(judged.known), len(judged.rejected)
    audit.record(session, actor=actor, now=now, action="energy.file_checked", subject_type="energy_import", subject_id=made.id,
                 org_id=org.id, file_name=made.file_name, sha256=kept.sha256, fresh=made.fresh, known=made.known,
                 rejected=made.rejected)  # fmt: skip
    return made


def judged_file(
    session: Session, made: EnergyImport, *, actor: Actor, now: datetime, action: str = "energy.read"
) -> Judged:
    """Read a kept file again and judge its rows as things stand now, for vehicles on which the actor may do ``action``."""
    _, content = attachment_queries.get_content(session, attachment_id=made.attachment_id or 0, actor=actor)
    return judge(session, reading.read(made.file_name, content), actor=actor, now=now, action=action)


def judge(session: Session, sheet: Sheet, *, actor: Actor, now: datetime, action: str = "energy.enter") -> Judged:
    """Tell the rows of a file apart.

    :raises RuleBroken: ``energy.file_empty``; ``energy.file_shifted`` when not one row can be read, naming the first cell.
    """
    rows = [layout.parse(sheet.head, line, cells) for line, cells in sheet.rows()]
    if not rows:
        raise RuleBroken("energy.file_empty")
    if all(row.problems for row in rows):
        raise RuleBroken("energy.file_shifted", cell=rows[0].problems[0].params["cell"])
    return _Judge(session, actor, now, action).all(sheet, rows)


class _Judge:
    """Looks rows up against what the actor may enter for and what is there."""

    def __init__(self, session: Session, actor: Actor, now: datetime, action: str) -> None:
        self.session = session
        self.now = now
        every = session.scalars(vehicles.visible_to(actor))
        self.cars = {car.id: car for car in every if permits.may(action, actor, org_path=car.org.path)}
        self.by_plate: dict[str, Vehicle] = {}
        for car in self.cars.values():  # a plate is the living vehicle's; a retired one has it only where no other does
            if car.plate not in self.by_plate or car.state != "RETIRED":
                self.by_plate[car.plate] = car
        self.cards: dict[str, list[EnergyCard]] = {}
        for card in session.scalars(queries.cards_visible_to(actor)):
            self.cards.setdefault(card.number, []).append(card)

    def all(self, sheet: Sheet, rows: Sequence[Row]) -> Judged:
        """Judge every row by itself, then against the ledger and the rows before it."""
        found = Judged(sheet)
        good: list[tuple[Row, Vehicle, EnergyCard | None, str]] = []
        for row in rows:
            car, card = self._whose(row)
            if car is not None and not row.problems:
                self._check(row, car, card)
            if row.problems or car is None:
                found.rejected.append(row)
            else:
                good.append((row, car, card, digest(row, car.id)))
        known = self._known([one[3] for one in good])
        there = self._there([one[0] for one in good], {one[1].id for one in good})
        lines: dict[object, int] = {}
        for row, car, card, key in good:
            same = (car.id, row.kind, row.at, row.amount)
            if key in known:
                found.known.append(row)
            elif same in there:
                found.rejected.append(_with(row, "energy.row_there"))
            elif same in lines:
                found.rejected.append(_with(row, "energy.row_twice", line=lines[same]))
            else:
                lines[same] = row.line
                found.fresh.append((row, car, card, key))
        found.rejected.sort(key=lambda row: row.line)
        return found

    def _whose(self, row: Row) -> tuple[Vehicle | None, EnergyCard | None]:
        on = clock.local_date(row.at) if row.at else None
        card = self._card(row.card, on) if row.card and on else None
        if row.card and on and card is None:
            _with(row, "energy.row_card", number=row.card)
        by_card = self.cars.get(card.vehicle_id) if card else None
        if not row.plate:
            if by_card is None and not row.problems:
                _with(row, "energy.row_vehicle", plate="–")
            return by_card, card
        car = self.by_plate.get(normal_plate(row.plate))
        if car is None:
            _with(row, "energy.row_vehicle", plate=row.plate)
        elif card is not None and card.vehicle_id != car.id:
            _with(row, "energy.row_card_other", number=row.card, plate=row.plate)
        return car, card

    def _card(self, number: str, on: date) -> EnergyCard | None:
        fitting = [
            card
            for card in self.cards.get(number, ())
            if card.valid_from <= on and (card.valid_to is None or on < card.valid_to)
        ]
        return next(iter(sorted(fitting, key=lambda card: card.state == "CANCELLED")), None)

    def _check(self, row: Row, car: Vehicle, card: EnergyCard | None) -> None:
        can = rules.kinds_of(car.energy)
        kind = row.kind or (rules.EntryKind(card.kind) if card else can[0] if len(can) == 1 else None)
        if kind is None:
            _with(row, "energy.row_kind")
            return
        row.kind = kind
        if row.at is not None and row.at > self.now:
            _with(row, "energy.future")
        try:
            rules.check_entry(kind=kind, energy=car.energy, quantity=row.quantity, unit_price=row.unit_price, amount=row.amount,
                              soc_percent=row.soc_percent)  # fmt: skip
            if card is not None and row.at is not None:
                service.check_card(card, vehicle_id=car.id, kind=kind, on=clock.local_date(row.at))
        except RuleBroken as broken:
            _with(row, broken.code, **broken.params)

    def _known(self, digests: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for first in range(0, len(digests), ROWS_A_STATEMENT):
            found |= queries.digests_known(self.session, digests[first : first + ROWS_A_STATEMENT])
        return found

    def _there(self, rows: Sequence[Row], vehicle_ids: set[int]) -> set[tuple[int, str, datetime, Decimal]]:
        moments = [row.at for row in rows if row.at is not None]
        if not moments:
            return set()
        entries = queries.valid_in(
            self.session, vehicle_ids=vehicle_ids, start=min(moments), end=max(moments) + datetime.resolution
        )
        return {(one.vehicle_id, one.kind, one.at, one.amount) for one in entries}


def _with(row: Row, code: str, **params: object) -> Row:
    row.problems.append(Problem(code, params))
    return row


def digest(row: Row, vehicle_id: int) -> str:
    """Return the name of a row: the same filling in any file, in any order of columns, has the same one."""
    at = row.at.isoformat() if row.at else ""
    parts = (vehicle_id, row.card, at, row.kind, row.quantity, row.amount, row.station or "")
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def put_in(session: Session, *, import_id: int, actor: Actor, now: datetime) -> EnergyImport:
    """Put all good rows of a checked file into the ledger together.

    :raises RuleBroken: ``energy.file_done``; ``energy.file_nothing`` when there is nothing to put in.
    :raises Conflict: ``energy.there``: somebody entered one of them meanwhile; nothing went in.
    """
    made = queries.get_import(session, import_id=import_id, actor=actor, lock=True)
    permits.require("energy.enter", actor, org_path=made.org.path)
    if made.state != ImportState.CHECKED:
        raise RuleBroken("energy.file_done")
    judged = judged_file(session, made, actor=actor, now=now, action="energy.enter")
    if not judged.fresh:
        raise RuleBroken("energy.file_nothing")
    values = [
        {"org_id": car.org_id, "vehicle_id": car.id, "card_id": card.id if card else None, "kind": row.kind, "at": row.at,
         "quantity": row.quantity, "unit_price": row.unit_price, "amount": row.amount, "odometer_m": row.odometer_m, "full": row.full,
         "soc_percent": row.soc_percent, "product": row.product, "station": row.station, "source": EntrySource.IMPORT,
         "import_id": made.id, "digest": key, "created_at": now, "created_by": actor.user_id}
        for row, car, card, key in judged.fresh
    ]  # fmt: skip
    for first in range(0, len(values), ROWS_A_STATEMENT):
        session.execute(insert(EnergyEntry), values[first : first + ROWS_A_STATEMENT])
    made.state, made.committed_at, made.committed_by = ImportState.COMMITTED, now, actor.user_id
    made.fresh, made.known, made.rejected = len(judged.fresh), len(judged.known), len(judged.rejected)
    audit.record(session, actor=actor, now=now, action="energy.file_committed", subject_type="energy_import", subject_id=made.id,
                 org_id=made.org_id, file_name=made.file_name, entries=len(values), known=made.known, rejected=made.rejected,
                 amount=sum((row.amount for row, *_ in judged.fresh), Decimal(0)))  # fmt: skip
    return made
