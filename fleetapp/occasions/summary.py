"""What an event came to, on the page and as XLSX. Costs come from the slices above, plugged in by the wiring."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from fleetapp.audit import exports
from fleetapp.audit.models import ExportRecord
from fleetapp.kit import clock, permits, sheets
from fleetapp.kit.actor import Actor
from fleetapp.occasions import queries, rules
from fleetapp.occasions.rules import Summary
from fleetapp.orders.models import Occasion, TravelOrder
from fleetapp.planning.models import Assignment
from fleetapp.vehicles.rules import CostRow

COSTS: list[Callable[..., Sequence[CostRow]]] = []
"""Give the costs over local days to whoever may see them; filled by the wiring."""
Say = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Account:
    """An event's orders with who drove what, and the figures of the whole."""

    orders: Sequence[TravelOrder]
    held: Mapping[int, Assignment]
    figures: Summary


def account(session: Session, *, occasion: Occasion, actor: Actor) -> Account:
    """Return what an event has come to, as far as the actor may see its orders."""
    found = queries.orders_of(session, occasion_id=occasion.id, actor=actor)
    ids = {order.id for order in found}
    first_on, last_on = clock.local_date(occasion.start_at), clock.local_date(occasion.end_at)
    costs = [
        row.amount
        for give in COSTS
        for row in give(session, actor=actor, start=first_on - timedelta(days=1), end=last_on + timedelta(days=2))
        if row.order_id in ids
    ]
    figures = rules.summary(
        queries.served(session, found=found), kept=queries.kept_once(session, occasion_id=occasion.id), costs=costs
    )
    return Account(found, queries.assignments_of(session, order_ids=ids), figures)


def export(
    session: Session, *, occasion_id: int, reason: str, file: BinaryIO, say: Say, actor: Actor, now: datetime
) -> ExportRecord:
    """Write the summary as a workbook and record who took it out and why.

    :raises NotAllowed: not open to the actor for the event's organisation.
    """
    occasion = queries.get_occasion(session, occasion_id=occasion_id, actor=actor)
    permits.require("occasions.export", actor, org_path=occasion.org.path)
    found = account(session, occasion=occasion, actor=actor)
    _write(file, occasion, found, say, mark=sheets.mark(actor.name, now))
    return exports.record(
        session, action="occasions.exported", org_id=occasion.org_id, kind="occasion", reason=reason,
        filters={"occasion": occasion.number}, rows=len(found.orders),
        name=sheets.safe_name(f"{occasion.number}-{occasion.name}", "xlsx"), file=file, actor=actor, now=now,
    )  # fmt: skip


def _write(file: BinaryIO, occasion: Occasion, found: Account, say: Say, *, mark: str) -> None:
    book = sheets.workbook(file, mark=mark)
    form, quoted = book.add_format(), book.add_format({"quote_prefix": True})
    head, when = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
    sheet = book.add_worksheet(say("occasions.summary"))
    sheet.set_column(0, 1, 24)
    rows: list[tuple[str, Any]] = [
        (say("occasions.number"), occasion.number), (say("occasions.name"), occasion.name),
        *((say(f"occasions.figure.{name}"), value) for name, value in figure_rows(found.figures)),
    ]  # fmt: skip
    for line, (label, value) in enumerate(rows):
        sheets.put(sheet, line, 0, label, form=head, quoted=quoted)
        sheets.put(sheet, line, 1, value, form=form, quoted=quoted)
    sheet = book.add_worksheet(say("occasions.orders"))
    sheet.set_column(0, 8, 18)
    heads = ("order", "unit", "people", "from", "to", "state", "plate", "driver")
    for column, key in enumerate(heads):
        sheets.put(sheet, 0, column, say(f"occasions.col.{key}"), form=head, quoted=quoted)
    for line, order in enumerate(found.orders, start=1):
        held = found.held.get(order.id)
        values: tuple[Any, ...] = (
            order.number, order.org.name_zh, order.passenger_count, _local(order.start_at), _local(order.end_at),
            say(f"orders.state.{order.state}"), held.vehicle.plate if held else None, held.driver.user.name_zh if held else None,
        )  # fmt: skip
        for column, value in enumerate(values):
            sheets.put(sheet, line, column, value, form=when if isinstance(value, datetime) else form, quoted=quoted)
    book.close()


def figure_rows(figures: Summary) -> list[tuple[str, Any]]:
    """Return the figures as the page and the file name them; kilometres and CNY as numbers."""
    return [
        ("orders", figures.orders), ("served", figures.served), ("dropped", figures.dropped), ("passengers", figures.passengers),
        ("vehicles_kept", figures.vehicles_kept), ("vehicles_used", figures.vehicles_used),
        ("drivers_used", figures.drivers_used), ("km", round(figures.metres / 1000, 1)),
        ("cost", None if figures.cost is None else float(figures.cost)),
    ]  # fmt: skip


def _local(at: datetime) -> datetime:
    return clock.local(at).replace(tzinfo=None)
