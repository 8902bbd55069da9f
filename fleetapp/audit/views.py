"""Browsing and verifying the audit log."""

from flask import Blueprint, render_template, request

from fleetapp.audit import queries
from fleetapp.audit.schemas import AuditQuery
from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.web.forms import load
from fleetapp.web.request import actor, transaction

blueprint = Blueprint("audit", __name__, template_folder="templates")


@blueprint.get("/audit")
def index() -> str:
    """List entries, newest first."""
    permits.require("audit.read", actor())
    query = load(AuditQuery(), request.args.to_dict())
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), q=query["q"], subject_type=query["subject_type"],
                                subject_id=query["subject_id"])  # fmt: skip
        return render_template("audit/index.html", page=paginate(s, rows, number=query["page"]), query=query)


@blueprint.get("/audit/verify")
def verify() -> str:
    """Walk the chain now and show the result."""
    permits.require("audit.read", actor())
    with transaction() as s:
        return render_template("audit/verify.html", faults=queries.verify(s))
