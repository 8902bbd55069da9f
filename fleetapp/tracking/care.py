"""The condition of terminals as pages and files."""

import io
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from marshmallow import fields, validate
from werkzeug import Response as BaseResponse

from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits, sheets
from fleetapp.kit.errors import FleetError, NotAllowed, NotFound
from fleetapp.kit.paging import paginate
from fleetapp.kit.schema import StrictSchema, Text
from fleetapp.tracking import asking, bridge, condition, health, parameters, sims
from fleetapp.tracking.condition import Fault
from fleetapp.tracking.health import Health
from fleetapp.tracking.rules import Carrier
from fleetapp.tracking.schemas import SimIn
from fleetapp.web.display import name
from fleetapp.web.downloads import TYPES, named
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("terminals", __name__, template_folder="templates")
NEWEST = 100
FIELD_OF = {
    "tracking.sim_digits": "iccid",
    "tracking.sim_check": "iccid",
    "tracking.sim_elsewhere": "iccid",
    "tracking.sim_date": "valid_until",
}


class HealthQuery(StrictSchema):
    """Which terminals, in which order."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    q = Text(load_default="", validate=validate.Length(max=40))
    fault = fields.String(load_default="", validate=validate.OneOf(list(Fault)))
    sort = fields.String(load_default="plate", validate=validate.OneOf(health.SORTS))
    form = fields.String(load_default="xlsx", validate=validate.OneOf(["xlsx", "csv"]))


@blueprint.get("/terminals/health", endpoint="health")
def health_list() -> str:
    """List terminals with what is wrong with them."""
    permits.require("tracking.health", actor())
    query = load_query(HealthQuery())
    with transaction() as s:
        limits = health.bounds(s, now=now())
        chosen = {key: query[key] for key in ("q", "fault", "sort")}
        page = paginate(s, health.listed(actor(), limits=limits, now=now(), **chosen), number=query["page"], size=50)
        found = health.described(s, page.items, limits=limits, now=now())
    return render_template("tracking/health.html", page=page, found=found, query=query, faults=list(Fault), sorts=health.SORTS,
                           runs=condition.runs, quarters=bridge.WEEK, sim_days=limits.sim_days)  # fmt: skip


@blueprint.post("/terminals/health.file")
def health_file() -> Response:
    """Download the condition of the listed terminals; who took it is logged."""
    permits.require("tracking.health", actor())
    query = load_form(HealthQuery())
    with transaction() as s:
        limits = health.bounds(s, now=now())
        rows = s.execute(
            health.listed(actor(), limits=limits, now=now(), **{key: query[key] for key in ("q", "fault", "sort")})
        ).all()
        found = health.described(s, rows, limits=limits, now=now())
        lines = [cells(one) for one in found]
        mark = sheets.mark(actor().name, now())
        content = csv_file(lines, mark=mark) if query["form"] == "csv" else xlsx_file(lines, mark=mark)
        audit.record(s, actor=actor(), now=now(), action="tracking.health_exported", subject_type="gps_terminal", subject_id=None,
                     org_id=actor().org_id, rows=len(lines), fault=query["fault"], q=query["q"])  # fmt: skip
    file_name = sheets.safe_name(f"{t('tracking.health')}_{clock.local_date(now()).isoformat()}", query["form"])
    return named(Response(content, mimetype=TYPES[query["form"]]), file_name)


HEADS = (
    "plate", "unit", "phone", "online", "since", "last_seen", "faults", "gap_day", "gap_week", "clock_s", "unfixed", "satellites",
    "protocol", "manufacturer", "model", "firmware", "iccid", "alarms", "sim_iccid", "carrier", "valid_until", "data_mb",
)  # fmt: skip


def cells(one: Health) -> list[sheets.Cell]:
    """Return a terminal's line of the file."""
    row = one.row

    def local(at: datetime | None) -> datetime | None:
        return clock.local(at).replace(tzinfo=None) if at else None

    return [
        row.plate, name(row), row.phone, t("tracking.online" if one.online else "tracking.offline"), local(one.since), local(row.last_seen_at),
        "、".join(t(f"tracking.fault.{fault}", days=one.sim_left) for fault in one.faults), round(one.week.longest_day.total_seconds() / 3600, 2),
        round(one.week.longest_week.total_seconds() / 3600, 2), None if one.clock_behind is None else round(one.clock_behind.total_seconds(), 1),
        None if one.unfixed_share is None else round(one.unfixed_share, 4), None if one.satellites is None else round(one.satellites, 1),
        row.protocol, row.manufacturer, row.model, row.firmware, row.iccid, "、".join(t(f"tracking.alarm.{alarm}") for alarm in one.alarms), row.sim_iccid,
        t(f"tracking.carrier.{row.carrier}") if row.carrier else None, row.valid_until, row.data_mb,
    ]  # fmt: skip


def csv_file(lines: list[list[sheets.Cell]], *, mark: str) -> bytes:
    """Return the lines as CSV that office programs read as UTF-8; each ends with who took it out and when."""
    out = io.StringIO(newline="")
    sheets.write_csv(
        out,
        [
            [*(t(f"tracking.col.{head}") for head in HEADS), t("tracking.exported_by")],
            *([*line, mark] for line in lines),
        ],
    )
    return out.getvalue().encode("utf-8-sig")


def xlsx_file(lines: list[list[sheets.Cell]], *, mark: str) -> bytes:
    """Return the lines as a workbook."""
    out = io.BytesIO()
    book = sheets.workbook(out, mark=mark)
    sheet = book.add_worksheet(t("tracking.health")[:31])
    bold, plain, quoted = book.add_format({"bold": True}), book.add_format(), book.add_format({"quote_prefix": True})
    moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
    sheet.set_column(0, len(HEADS) - 1, 16)
    sheet.freeze_panes(1, 1)
    for column, head in enumerate(HEADS):
        sheet.write_string(0, column, t(f"tracking.col.{head}"), bold)
    for number, line in enumerate(lines, start=1):
        for column, cell in enumerate(line):
            sheets.put(sheet, number, column, cell, form=moment if isinstance(cell, datetime) else plain, quoted=quoted)
    book.close()
    return out.getvalue()


@blueprint.get("/terminals/<int:terminal_id>")
def show(terminal_id: int) -> str:
    """Show one terminal with what it reported and what it was asked, and its SIM card."""
    return _terminal(terminal_id, {}, {})


def _terminal(terminal_id: int, values: dict[str, Any], errors: dict[str, Any]) -> str:
    permits.require("tracking.health", actor())
    with transaction() as s:
        found = health.get(s, terminal_id=terminal_id, actor=actor(), now=now())
        asked = asking.of_terminal(s, terminal_id=terminal_id, actor=actor(), now=now(), limit=NEWEST)
        line: list[dict[str, Any]] = [
            {"at": one.at, "event": one} for one in bridge.events(s, terminal_id=terminal_id, limit=NEWEST)
        ]
        line += [{"at": one.created_at, "command": one} for one in asked]
        line += [{"at": gap.start, "gap": gap} for gap in found.week.gaps if gap.length >= 4 * condition.QUARTER]
        line.sort(key=lambda one: one["at"], reverse=True)
        return render_template("tracking/terminal.html", one=found, line=line[:NEWEST], runs=condition.runs, quarters=bridge.WEEK,
                               states=asking.state_of, readable=parameters.READABLE, now=now(), carriers=[(one.value, t(f"tracking.carrier.{one}")) for one in Carrier],
                               values=values or _entered(found.row), errors=errors)  # fmt: skip


def _entered(row: Any) -> dict[str, Any]:
    """Return what the form of the SIM card begins with: what is entered, else the number the terminal itself reports."""
    given = {
        "iccid": row.sim_iccid or row.iccid,
        "carrier": row.carrier,
        "valid_until": row.valid_until,
        "data_mb": row.data_mb,
    }
    return {name: value for name, value in given.items() if value is not None}


@blueprint.post("/terminals/<int:terminal_id>/sim")
def enter_sim(terminal_id: int) -> BaseResponse | tuple[str, int]:
    """Enter the terminal's SIM card."""
    try:
        data = load_form(SimIn())
        with transaction() as s:
            sims.enter(s, terminal_id=terminal_id, **data, actor=actor(), now=now())
    except (NotAllowed, NotFound):
        raise
    except FleetError as error:
        return _terminal(terminal_id, request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    flash(t("tracking.sim_saved"))
    return redirect(url_for("terminals.show", terminal_id=terminal_id))
