"""Exports, evidence files and the first screen's numbers under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.reports import figures, files, queries, tasks
from fleetapp.reports.schemas import ExportIn, ExportOut, PageQuery, ReasonIn, SummaryOut, TaskOut
from fleetapp.web.api import FILE, page_headers
from fleetapp.web.display import name
from fleetapp.web.downloads import TYPES
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import language

blueprint = Blueprint("api_reports", __name__, url_prefix="/api/v1", description="Exports and numbers")


@blueprint.route("/exports")
class Exports(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, ExportOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the files that left the system, newest first; the total is in ``X-Total-Count``."""
        permits.require("reports.export", actor())
        with transaction() as session:
            page = paginate(session, queries.exports_visible_to(actor()), number=query["page"], size=query["size"])
            fields = ("id", "at", "kind", "reason", "filters", "rows", "file_name", "bytes", "sha256")
            listed = [
                {**{field: getattr(record, field) for field in fields}, "org": name(org), "actor": name(user)}
                for record, user, org in page.items
            ]
            return listed, page_headers(page)


@blueprint.route("/exports/compliance")
class Compliance(MethodView):
    @blueprint.arguments(ExportIn)
    @blueprint.response(200, FILE, content_type=TYPES["xlsx"])
    @blueprint.response(200, FILE, content_type=TYPES["csv"])
    def post(self, data: dict[str, Any]) -> Any:
        """Return the compliance report of a sub-tree as XLSX or CSV; its SHA-256 is in ``X-Content-SHA256``."""
        return files.compliance(period=data["period"], org_id=data["org_id"], file_format=data["format"],
                                reason=data["reason"], lang=data["language"] or language())  # fmt: skip


@blueprint.route("/exports/tasks")
class Tasks(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, TaskOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the caller's own reports made in the background, newest first."""
        permits.require("reports.export", actor())
        with transaction() as session:
            page = paginate(session, tasks.visible_to(actor()), number=query["page"], size=query["size"])
            return page.items, page_headers(page)

    @blueprint.arguments(ExportIn)
    @blueprint.response(202, TaskOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Have a compliance report made in the background; the reason goes into the log."""
        with transaction() as session:
            return tasks.ask(session, org_id=data["org_id"], period=data["period"], file_format=data["format"], reason=data["reason"],
                             language=data["language"] or language(), actor=actor(), now=now())  # fmt: skip


@blueprint.route("/exports/tasks/<int:task_id>")
class Task(MethodView):
    @blueprint.response(200, TaskOut)
    def get(self, task_id: int) -> Any:
        """Return one of the caller's own reports with its progress."""
        with transaction() as session:
            return tasks.get_task(session, task_id=task_id, actor=actor())

    @blueprint.response(200, TaskOut)
    def delete(self, task_id: int) -> Any:
        """Cancel a report that is not done yet."""
        with transaction() as session:
            return tasks.cancel(session, task_id=task_id, actor=actor(), now=now())


@blueprint.route("/exports/tasks/<int:task_id>/file")
class TaskFile(MethodView):
    @blueprint.response(200, FILE, content_type=TYPES["xlsx"])
    @blueprint.response(200, FILE, content_type=TYPES["csv"])
    @blueprint.response(200, FILE, content_type=TYPES["pdf"])
    def get(self, task_id: int) -> Any:
        """Return the file of a report that is done, to whoever asked for it; the download is logged."""
        return files.made(task_id)


@blueprint.route("/findings/<int:finding_id>/case-file")
class CaseFile(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, FILE, content_type="application/pdf")
    def post(self, data: dict[str, Any], finding_id: int) -> Any:
        """Return the evidence file of a clue as PDF; making it is recorded and logged with the reason."""
        return files.case(finding_id=finding_id, reason=data["reason"])


@blueprint.route("/summary")
class Summary(MethodView):
    @blueprint.response(200, SummaryOut)
    def get(self) -> Any:
        """Return the numbers of the first screen."""
        with transaction() as session:
            return {"as_of": now(), "figures": figures.summary(session, actor=actor(), now=now())}
