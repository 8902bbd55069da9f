"""What an activation's pages, its record and a year's review are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.emergency import callup, queries, rules
from fleetapp.emergency.models import EmergencyActivation, EmergencyCar
from fleetapp.emergency.rules import Figures, Response
from fleetapp.kit import clock, sheets
from fleetapp.kit.actor import Actor
from fleetapp.policies import queries as policies


@dataclass(frozen=True, slots=True)
class Record:
    """Vehicles of an activation with how fast each answered; ``longest_min`` is the axis of the time line."""

    activation: EmergencyActivation
    cars: Sequence[EmergencyCar]
    responses: Mapping[int, Response]
    figures: Figures
    target_min: float

    @property
    def longest_min(self) -> float:
        """The longest time to draw, in minutes, the target included."""
        steps = [
            r.minutes(at) or 0.0 for r in self.responses.values() for at in (r.accepted_at, r.left_at, r.arrived_at)
        ]
        return max([self.target_min, *steps]) * 1.1


def target_min(session: Session, *, org_path: str, at: datetime) -> float:
    """Return within how many minutes of its call a vehicle should have arrived."""
    return float(policies.value(session, "emergency.target_min", clock.local_date(at), org_path))


def record_of(session: Session, *, activation: EmergencyActivation, now: datetime) -> Record:
    """Return the vehicles of an activation with their response."""
    cars = queries.cars_of(session, activation_ids=[activation.id])
    found = queries.responses(session, cars=cars)
    target = target_min(session, org_path=activation.org.path, at=activation.confirmed_at or now)
    return Record(activation, cars, found, rules.figures(found.values(), timedelta(minutes=target)), target)


def of_year(session: Session, *, year: int, actor: Actor, now: datetime) -> list[Record]:
    """Return the record of every activation and drill within reach that was confirmed in a local year, the newest first."""
    rows = session.scalars(queries.filtered(queries.visible_to(actor), year=year)).all()
    return [record_of(session, activation=row, now=now) for row in rows]


def together(records: Sequence[Record]) -> Figures:
    """Return the figures of several activations taken as one; each is judged by its own target."""
    every = [response for record in records for response in record.responses.values()]
    whole = rules.figures(every, timedelta(0))
    within = sum(record.figures.within for record in records)
    return Figures(
        whole.called, whole.accepted, whole.left, whole.arrived, whole.accept_min, whole.leave_min, whole.arrive_min, within,
        round(within / whole.called, 3) if whole.called else None,
    )  # fmt: skip


def preview(
    session: Session, *, activation: EmergencyActivation, actor: Actor, now: datetime, chosen: set[int] | None = None
) -> tuple[list[callup.Line], list[callup.Effect]]:
    """Return the call-up with the proposed vehicles, or those of ``chosen``, and what taking them would do."""
    pools = {wish["pool_id"]: accounts.get_org(session, org_id=wish["pool_id"]).path for wish in activation.wanted}
    view = callup.scene(session, activation=activation, actor=actor, now=now)
    lines = callup.lines(activation=activation, view=view, pools=pools)
    if chosen is not None:
        for one in view.candidates.values():
            one.chosen = one.vehicle.id in chosen
    taken = [one.vehicle.id for line in lines for one in line.candidates if one.chosen]
    return lines, callup.effects(session, view=view, chosen=dict.fromkeys(taken), now=now)


def write(record: Record, file: BinaryIO, *, words: Mapping[str, str], mark: str) -> None:
    """Write the record as a spreadsheet: what it was, then one row for each vehicle; ``words`` are the headings, ``mark`` who takes it out."""
    book = sheets.workbook(file, mark=mark)
    plain, bold = book.add_format({"font_name": "宋体"}), book.add_format({"bold": True, "font_name": "宋体"})
    quoted = book.add_format({"font_name": "宋体", "quote_prefix": True})
    times = book.add_format({"font_name": "宋体", "num_format": "yyyy-mm-dd hh:mm:ss"})
    sheet = book.add_worksheet(record.activation.number)
    sheet.set_column(0, 9, 16)
    one = record.activation
    facts: list[tuple[str, Any]] = [
        ("number", one.number), ("level", one.level), ("reason", one.reason), ("place", one.place), ("leader", one.leader.name_zh),
        ("confirmed_at", _local(one.confirmed_at)), ("ended_at", _local(one.ended_at)), ("target", record.target_min),
        ("arrive_median", record.figures.arrive_min), ("within", record.figures.share),
    ]  # fmt: skip
    row = 0
    for code, value in facts:
        sheets.put(sheet, row, 0, words[code], form=bold, quoted=bold)
        sheets.put(sheet, row, 1, value, form=times if isinstance(value, datetime) else plain, quoted=quoted)
        row += 1
    row += 1
    heads = ("vehicle", "unit", "driver", "eta", "sent_at", "accepted_at", "left_at", "arrived_at", "arrive_min")
    for column, code in enumerate(heads):
        sheets.put(sheet, row, column, words[code], form=bold, quoted=bold)
    for car in record.cars:
        row += 1
        answer = record.responses.get(car.id)
        steps = (answer.accepted_at, answer.left_at, answer.arrived_at) if answer else (None, None, None)
        cells = [car.vehicle.plate, car.vehicle.org.name_zh, car.driver.user.name_zh, round(car.eta_s / 60), _local(car.sent_at),
                 *(_local(at) for at in steps), answer.minutes(answer.arrived_at) if answer else None]  # fmt: skip
        for column, value in enumerate(cells):
            sheets.put(sheet, row, column, value, form=times if isinstance(value, datetime) else plain, quoted=quoted)
    book.close()


def _local(at: datetime | None) -> datetime | None:
    return None if at is None else clock.local(at).replace(tzinfo=None, microsecond=0)
