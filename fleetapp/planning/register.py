"""What is handed over of slips: several printed together, the register as a file. Each is in the audit log."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import exports
from fleetapp.audit import service as audit
from fleetapp.audit.models import ExportRecord
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed
from fleetapp.kit.sheets import mark, put, safe_name, workbook
from fleetapp.planning import paper
from fleetapp.planning.models import Assignment

COLUMNS = (
    ("seq", 6), ("slip_number", 26), ("unit", 26), ("issued_at", 17), ("issuer", 20), ("register_state", 8), ("order", 18), ("plate", 11),
    ("driver", 20), ("plan_out", 17), ("plan_in", 17), ("void_at", 17), ("voider", 20), ("void_reason", 34),
)  # fmt: skip


def printed(session: Session, *, held: Sequence[Assignment], actor: Actor, now: datetime) -> None:
    """Note that slips were printed together; whoever calls has found them readable."""
    audit.record(session, actor=actor, now=now, action="planning.slips_printed", subject_type="dispatch_slip", subject_id=None,
                 org_id=held[0].org_id, slips=[row.slip.number for row in held])  # fmt: skip


def write(
    session: Session, out: BinaryIO, *, year: int, org_id: int | None, reason: str, actor: Actor, now: datetime,
    say: Callable[[str], str], name: Callable[[Any], str],
) -> ExportRecord:  # fmt: skip
    """Write the register of a year, of one unit or of all within reach, as XLSX and record who took it and why.

    :raises NotAllowed: not the actor's to take out.
    """
    if actor.org_id is None:
        raise NotAllowed("kit.not_allowed", action="planning.register")
    org = accounts.get_org(session, org_id=org_id or actor.org_id)
    permits.require("planning.register", actor, org_path=org.path)
    rows = session.execute(paper.register(actor, year=year, org_id=org_id)).unique().all()
    title = f"{name(org)}_{say('planning.register')}_{year}"
    with workbook(out, mark=mark(actor.name, now)) as book:
        head = book.add_format({"bold": True, "border": 1, "bg_color": "#E9EEF5"})
        plain, moment = book.add_format({"border": 1}), book.add_format({"border": 1, "num_format": "yyyy-mm-dd hh:mm"})
        quoted = book.add_format({"border": 1, "quote_prefix": True})
        sheet = book.add_worksheet(str(year))
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(0)
        for column, (key, width) in enumerate(COLUMNS):
            sheet.set_column(column, column, width)
            sheet.write_string(0, column, say(f"planning.{key}"), head)
        units = {row[0].org_id: name(accounts.get_org(session, org_id=row[0].org_id)) for row in rows}
        for line, (slip, held, issuer, voider) in enumerate(rows, start=1):
            values = (
                slip.seq, slip.number, units[slip.org_id], _wall(slip.issued_at), name(issuer),
                say("planning.slip_void" if slip.void_at else "planning.slip_used"),
                held.order.number if held else None, held.vehicle.plate if held else None, name(held.driver.user) if held else None,
                _wall(held.order.start_at) if held else None, _wall(held.order.end_at) if held else None,
                _wall(slip.void_at), name(voider) if slip.void_at else None, slip.void_reason,
            )  # fmt: skip
            for column, value in enumerate(values):
                put(sheet, line, column, value, form=moment if isinstance(value, datetime) else plain, quoted=quoted)
        sheet.freeze_panes(1, 2)
    return exports.record(
        session, action="planning.register_exported", org_id=org.id, kind="slip_register", reason=reason,
        filters={"year": year, "unit": org_id}, rows=len(rows), name=safe_name(title, "xlsx"), file=out, actor=actor, now=now,
    )  # fmt: skip


def _wall(at: datetime | None) -> datetime | None:
    """Return office time without its zone, as spreadsheets hold it."""
    return clock.local(at).replace(tzinfo=None) if at else None
