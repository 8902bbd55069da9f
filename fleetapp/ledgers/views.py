"""Pages of ledgers: download, upload, export; one import with its progress, result and what may be done."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts.queries import orgs_visible_to
from fleetapp.kit import permits
from fleetapp.kit.errors import Conflict, FleetError, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.ledgers import queries, service, telling
from fleetapp.ledgers.columns import COLUMNS
from fleetapp.ledgers.models import LedgerImport
from fleetapp.ledgers.rules import AT_WORK, ImportState, LedgerKind
from fleetapp.ledgers.schemas import CommitIn, ExportIn, ImportQuery
from fleetapp.web.display import name
from fleetapp.web.forms import load_form, load_query, received_file
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import language, t, t_or

blueprint = Blueprint("ledgers", __name__, template_folder="templates")
SHOWN = 100
"""Faults and changes listed on the page; all are in the returned file."""
KIND = "<any(vehicles, quotas):kind>"
STEPS = {"check": service.check_again, "discard": service.discard}


def errors_of(error: FleetError) -> dict[str, Any]:
    """Return the messages of a failure by input."""
    if isinstance(error, Invalid):
        return error.fields or {"file": [t(error.code)]}
    return {"reason" if error.code == "audit.reason_missing" else "file": [t(error.code, **error.params)]}


def _index(errors: Mapping[str, Any], kind: str = "") -> str:
    permits.require("ledgers.export", actor())
    query = load_query(ImportQuery())
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), kind=query["kind"], state=query["state"])
        page = paginate(s, rows, number=query["page"], size=query["size"])
        reach = [
            org
            for org in s.scalars(orgs_visible_to(actor()))
            if permits.may("ledgers.export", actor(), org_path=org.path)
        ]
        return render_template(
            "ledgers/index.html", page=page, query=query, errors=errors, wrong_kind=kind, values=request.form.to_dict(),
            kinds=[one.value for one in LedgerKind], orgs=[(org.id, name(org)) for org in reach], most=shell().settings.ledger_max_rows,
            most_mb=min(15, shell().settings.upload_max_mb),
        )  # fmt: skip


@blueprint.get("/ledgers")
def index() -> str:
    """Show the ledgers and the imports so far."""
    return _index({})


@blueprint.get(f"/ledgers/{KIND}/template.xlsx")
def template(kind: str) -> Response:
    """Download the empty ledger."""
    return telling.template(LedgerKind(kind))


@blueprint.post(f"/ledgers/{KIND}/upload")
def upload(kind: str) -> Response | tuple[str, int]:
    """Take a filled-in ledger."""
    permits.require("ledgers.import", actor())
    try:
        with received_file("file") as (path, file_name), transaction() as s:
            made = service.upload(s, kind=LedgerKind(kind), name=file_name, content=path.read_bytes(), words=telling.words,
                                  most_rows=shell().settings.ledger_max_rows, actor=actor(), now=now())  # fmt: skip
    except (Invalid, RuleBroken, Conflict) as error:
        return _index(errors_of(error), kind), 422
    return redirect(url_for("ledgers.show", import_id=made.id))


@blueprint.post(f"/ledgers/{KIND}/export")
def export(kind: str) -> Response | tuple[str, int]:
    """Download the present ledger."""
    try:
        data = load_form(ExportIn())
        return telling.export(kind=LedgerKind(kind), org_id=data["org_id"], reason=data["reason"], lang=language())
    except (Invalid, RuleBroken) as error:
        return _index(errors_of(error), kind), 422


def _changes(one: LedgerImport) -> list[dict[str, Any]]:
    """Return what would change in words, as (head, before, after) by row."""
    columns = {column.key: column for column in COLUMNS[LedgerKind(one.kind)]}

    def shown(field: str, value: Any) -> str:
        column = columns.get(field)
        if value is None:
            return "–"
        if isinstance(value, bool):
            return t("ledgers.yes" if value else "ledgers.no")
        return t_or(f"{column.prefix}.{value}", str(value)) if column and column.choices else str(value)

    def head(field: str) -> str:
        return t(f"ledgers.col.{'parking' if field == 'parking_id' else field}")

    return [
        {"row": change["row"], "key": change["key"],
         "fields": [(head(field), shown(field, before), shown(field, after)) for field, (before, after) in change["changed"].items()]}
        for change in one.changes[:SHOWN]
    ]  # fmt: skip


def _page(import_id: int, problem: str = "") -> str:
    permits.require("ledgers.import", actor())
    with transaction() as s:
        one = queries.get_import(s, import_id=import_id, actor=actor())
        failure = one.failure and telling.said(one.failure["code"], one.failure["params"])
        return render_template(
            "ledgers/show.html", one=one, at_work=one.state in AT_WORK, failure=problem or failure, faults=telling.faults(one, limit=SHOWN),
            changes=_changes(one), shown=SHOWN, checked=one.state == ImportState.CHECKED,
        )  # fmt: skip


@blueprint.get("/ledgers/imports/<int:import_id>")
def show(import_id: int) -> str:
    """Show one import."""
    return _page(import_id)


@blueprint.get("/ledgers/imports/<int:import_id>/progress")
def progress(import_id: int) -> Response:
    """Return the bar of an import at work; once it is done the page is loaded anew."""
    permits.require("ledgers.import", actor())
    with transaction() as s:
        one = queries.get_import(s, import_id=import_id, actor=actor())
    response = make_response(render_template("ledgers/_progress.html", one=one))
    if one.state not in AT_WORK:
        response.headers["HX-Refresh"] = "true"
    return response


@blueprint.get("/ledgers/imports/<int:import_id>/returned.xlsx")
def returned(import_id: int) -> Response:
    """Download the uploaded file with its column of faults."""
    permits.require("ledgers.import", actor())
    return telling.returned(import_id)


@blueprint.post("/ledgers/imports/<int:import_id>/commit")
def commit(import_id: int) -> Response | tuple[str, int]:
    """Have a checked file written."""
    try:
        data = load_form(CommitIn())
        with transaction() as s:
            service.confirm(s, import_id=import_id, **data, actor=actor(), now=now())
    except RuleBroken as error:
        return _page(import_id, t(error.code, **error.params)), 422
    return redirect(url_for("ledgers.show", import_id=import_id))


@blueprint.post("/ledgers/imports/<int:import_id>/<any(check, discard):action>")
def step(import_id: int, action: str) -> Response | tuple[str, int]:
    """Check once more, or give up."""
    try:
        with transaction() as s:
            STEPS[action](s, import_id=import_id, actor=actor(), now=now())
    except RuleBroken as error:
        return _page(import_id, t(error.code, **error.params)), 422
    flash(t(f"ledgers.done.{action}"))
    return redirect(url_for("ledgers.show", import_id=import_id))
