"""Pages of settlement: statements with their sums by month, one statement with its steps, orders without a price, the order's card."""

import hashlib
import io
from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from werkzeug import Response as Redirect

from fleetapp.findings import queries as findings
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.kit.sheets import mark
from fleetapp.orders import queries as orders
from fleetapp.orders.rules import OrderState
from fleetapp.settlement import chart, exports, queries, rules, service, sheet
from fleetapp.settlement.models import Statement
from fleetapp.settlement.rules import TRANSITIONS, StatementAction
from fleetapp.settlement.schemas import (
    AdjustIn,
    AnswerIn,
    DisputeIn,
    ExportIn,
    NothingIn,
    PageQuery,
    PayIn,
    StatementQuery,
)
from fleetapp.web.downloads import TYPES, named
from fleetapp.web.forms import errors_of, load, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("settlement", __name__, template_folder="templates")
MONTHS_SHOWN = 12


@blueprint.get("/statements")
def index() -> str:
    """List statements with tabs by state; above them what each month came to."""
    permits.require("settlement.read", actor())
    query, today = load_query(StatementQuery()), clock.local_date(now())
    since = date(today.year - 1, today.month, 1)
    with transaction() as s:
        rows = queries.filtered(
            queries.visible_to(actor()), q=query["q"], period=query["period"], org_id=query["org_id"]
        )
        page = paginate(s, queries.filtered(rows, state=query["state"]), number=query["page"], size=query["size"])
        months = queries.months(s, actor=actor(), since=since, org_id=query["org_id"])
        return render_template(
            "settlement/index.html", page=page, query=query, counts=queries.count_by_state(s, rows), months=months, drawn=chart.drawn(months),
            waiting=paginate(s, queries.gaps(actor()), number=1, size=1).total,
        )  # fmt: skip


def _actions(statement: Statement) -> list[str]:
    """Return the steps this person may take now."""
    found = []
    for state, action in TRANSITIONS:
        payer = action in service.PAYERS
        side, owner = (statement.org, statement.issued_by) if payer else (statement.payee, None)
        if state == statement.state and permits.may(
            service.PERMIT[action], actor(), org_path=side.path, owner_id=owner
        ):
            found.append(action.value)
    if StatementAction.ISSUE in found and rules.month_after(statement.period) > clock.local_date(now()):
        found.remove(StatementAction.ISSUE)
    return found


def _page(statement_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("settlement.read", actor())
    with transaction() as s:
        one = queries.get_statement(s, statement_id=statement_id, actor=actor())
        made = sheet.of(s, one)
        disputes: dict[int, list[Any]] = {}
        for row in queries.disputes_of(s, statement_id=one.id):
            disputes.setdefault(row.charge_id, []).append(row)
        readable = orders.readable(s, order_ids=queries.charged_orders(s, statement_id=one.id), actor=actor())
        holder = permits.may("settlement.answer", actor(), org_path=one.payee.path)
        return render_template(
            "settlement/show.html", one=one, sheet=made, disputes=disputes, events=queries.events(s, statement_id=one.id), actions=_actions(one),
            readable=readable, errors=errors, values=request.form.to_dict(), today=clock.local_date(now()),
            may_adjust=holder and one.state not in {"ISSUED", "DISPUTED"}, may_export=_may_export(one),
        )  # fmt: skip


def _may_export(one: Statement) -> bool:
    return any(permits.may("settlement.export", actor(), org_path=side.path) for side in (one.org, one.payee))


@blueprint.get("/statements/<int:statement_id>")
def show(statement_id: int) -> str:
    """Show one statement."""
    return _page(statement_id, {})


def _dispute(session: Any, *, statement_id: int, **more: Any) -> None:
    """Send the lines whose reason was filled in."""
    lines = [
        {"charge_id": key.removeprefix("reason-"), "reason": value}
        for key, value in request.form.items()
        if key.startswith("reason-") and value.strip()
    ]
    if not lines:
        raise RuleBroken("settlement.no_line")
    reasons = {line["charge_id"]: line["reason"] for line in load(DisputeIn(), {"lines": lines})["lines"]}
    service.dispute(session, statement_id=statement_id, reasons=reasons, **more)


STEPS: Mapping[str, tuple[Any, Any]] = {
    "issue": (NothingIn, service.issue),
    "dispute": (None, _dispute),
    "answer": (AnswerIn, service.answer),
    "confirm": (NothingIn, service.confirm),
    "pay": (PayIn, service.pay),
    "adjust": (AdjustIn, service.adjust),
}
"""Form and function by the name of the step."""


@blueprint.post("/statements/<int:statement_id>/<any(issue, dispute, answer, confirm, pay, adjust):step>")
def step(statement_id: int, step: str) -> Redirect | tuple[str, int]:
    """Take one step of a statement."""
    schema, function = STEPS[step]
    try:
        data = load_form(schema()) if schema else {}
        with transaction() as s:
            function(s, statement_id=statement_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _page(statement_id, errors_of(error)), 422
    flash(t("settlement.adjusted" if step == "adjust" else f"settlement.done.{step}"))
    return redirect(url_for("settlement.show", statement_id=statement_id))


@blueprint.post("/statements/<int:statement_id>/<any(xlsx, pdf):kind>")
def export(statement_id: int, kind: str) -> Response | tuple[str, int]:
    """Return a statement as a file; the reason goes into the audit log first."""
    try:
        reason = load_form(ExportIn())["reason"]
    except Invalid as error:
        return _page(statement_id, errors_of(error)), 422
    with transaction() as s:
        one = queries.get_statement(s, statement_id=statement_id, actor=actor())
        if not _may_export(one):
            permits.require("settlement.export", actor(), org_path=one.org.path)
        made = sheet.of(s, one)
        if kind == "xlsx":
            content = exports.xlsx(made, t, mark=mark(actor().name, now()))
        else:
            file = io.BytesIO()
            exports.write_pdf(made, file)
            content = file.getvalue()
        sha256, file_name = hashlib.sha256(content).hexdigest(), exports.file_name(one, kind)
        service.exported(s, statement=one, kind=kind, reason=reason, sha256=sha256, actor=actor(), now=now())
    response = Response(content, mimetype=TYPES[kind])
    response.headers["X-Content-SHA256"] = sha256
    return named(response, file_name)


@blueprint.get("/statements/gaps")
def gaps() -> str:
    """List the confirmed orders that cannot be charged yet."""
    permits.require("settlement.read", actor())
    query = load_query(PageQuery())
    with transaction() as s:
        page = paginate(s, queries.gaps(actor()), number=query["page"], size=query["size"])
        readable = orders.readable(s, order_ids=[gap.order_id for gap in page.items], actor=actor())
        return render_template("settlement/gaps.html", page=page, readable=readable)


@blueprint.get("/orders/<int:order_id>/settlement")
def panel(order_id: int) -> str:
    """Return the card of an order's page: its charge line by line, or why there is none yet."""
    with transaction() as s:
        order = orders.get_order(s, order_id=order_id, actor=actor())
        held = findings.open_red(s, order_ids=[order.id]).get(order.id, []) if order.state == OrderState.SETTLED else []
        return render_template(
            "settlement/panel.html", order=order, charge=queries.charge_of(s, order_id=order.id), gap=queries.gap_of(s, order_id=order.id), held=held,
            month_spent=queries.spent_in(s, org_id=order.org_id, month=rules.month_of(clock.local_date(now()))),
        )  # fmt: skip
