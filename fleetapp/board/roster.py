"""The roster: who drives when over a week, who is away, and wishes to be away that wait for a decision."""

from datetime import timedelta

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE
from werkzeug import Response

from fleetapp.board.schemas import DecisionIn
from fleetapp.board.words import said
from fleetapp.drivers import queries as drivers
from fleetapp.drivers import service
from fleetapp.drivers.models import Driver, DriverAbsence
from fleetapp.drivers.rules import AbsenceState
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.kit.spans import Span
from fleetapp.planning import queries
from fleetapp.planning.schemas import DayQuery
from fleetapp.web.forms import load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("roster", __name__, template_folder="templates", url_prefix="/roster")
DAYS = 7
ROWS = 50


@blueprint.get("")
def index() -> str:
    """Show a week from a day on."""
    return _page(None)


def _page(problem: str | None) -> str:
    permits.require("drivers.read", actor())
    query = load_query(DayQuery(unknown=EXCLUDE))
    first = query["day"] or clock.local_date(now())
    days = [first + timedelta(days=k) for k in range(DAYS)]
    span = Span(clock.start_of(first), clock.start_of(first + timedelta(days=DAYS)))
    with transaction() as s:
        rows = drivers.filtered(drivers.visible_to(actor()), q=query["q"]).where(Driver.left_at.is_(None))
        page = paginate(s, rows, number=query["page"], size=ROWS)
        ids = [row.id for row in page.items]
        held = (
            s.scalars(queries.between(queries.visible_to(actor()), span)).unique().all()
            if permits.may("planning.read", actor())
            else []
        )
        away = drivers.absent(s, driver_ids=ids, span=span)
        cells = {
            (driver_id, day): (
                [row for row in held if row.driver_id == driver_id and clock.local_date(row.order.start_at) == day],
                any(one.overlaps(Span(*clock.day_span(day))) for one in away.get(driver_id, ())),
            )
            for driver_id in ids for day in days
        }  # fmt: skip
        asked = drivers.absences_visible_to(actor()).where(DriverAbsence.state == AbsenceState.REQUESTED)
        return render_template(
            "board/roster.html", page=page, query=query, days=days, cells=cells, asked=s.scalars(asked.limit(50)).all(), problem=problem,
            before=first - timedelta(days=DAYS), after=first + timedelta(days=DAYS), first=first,
        )  # fmt: skip


@blueprint.post("/<int:absence_id>/<any(grant, refuse):step>")
def decide(absence_id: int, step: str) -> Response | tuple[str, int]:
    """Grant or refuse a wish to be away; what is in its way is told on the page."""
    note = load_form(DecisionIn(unknown=EXCLUDE))["note"]
    try:
        with transaction() as s:
            service.decide_leave(s, absence_id=absence_id, grant=step == "grant", note=note, actor=actor(), now=now())
    except (Conflict, RuleBroken) as error:
        return _page(said(error)), 409 if isinstance(error, Conflict) else 422
    flash(t("board.leave_granted" if step == "grant" else "board.leave_refused"))
    return redirect(url_for("roster.index", day=request.args.get("day")))
