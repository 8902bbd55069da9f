"""Ledgers under ``/api/v1/ledgers``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.ledgers import queries, service, telling
from fleetapp.ledgers.rules import LedgerKind
from fleetapp.ledgers.schemas import CommitIn, ExportIn, FaultOut, ImportDetailOut, ImportOut, ImportQuery
from fleetapp.web.api import FILE, UPLOAD, page_headers
from fleetapp.web.downloads import TYPES
from fleetapp.web.forms import received_file
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import language

blueprint = Blueprint("api_ledgers", __name__, url_prefix="/api/v1", description="Ledgers as spreadsheets")
KIND = "<any(vehicles, quotas):kind>"


@blueprint.route(f"/ledgers/{KIND}/template")
class Template(MethodView):
    @blueprint.response(200, FILE, content_type=TYPES["xlsx"])
    def get(self, kind: str) -> Any:
        """Return the empty ledger to be filled in, as XLSX."""
        return telling.template(LedgerKind(kind))


@blueprint.route(f"/ledgers/{KIND}/export")
class Export(MethodView):
    @blueprint.arguments(ExportIn)
    @blueprint.response(200, FILE, content_type=TYPES["xlsx"])
    def post(self, data: dict[str, Any], kind: str) -> Any:
        """Return the present ledger of a sub-tree as XLSX; its SHA-256 is in ``X-Content-SHA256``."""
        lang = data.pop("language") or language()
        return telling.export(kind=LedgerKind(kind), **data, lang=lang)


@blueprint.route(f"/ledgers/{KIND}/imports")
class Uploads(MethodView):
    @blueprint.doc(requestBody=UPLOAD)
    @blueprint.response(201, ImportOut)
    def post(self, kind: str) -> Any:
        """Upload a filled-in ledger (multipart field ``file``, XLSX or CSV); its check goes on in the background."""
        permits.require("ledgers.import", actor())
        with received_file("file") as (path, name), transaction() as session:
            return service.upload(
                session, kind=LedgerKind(kind), name=name, content=path.read_bytes(), words=telling.words,
                most_rows=shell().settings.ledger_max_rows, actor=actor(), now=now(),
            )  # fmt: skip


@blueprint.route("/ledgers/imports")
class Imports(MethodView):
    @blueprint.arguments(ImportQuery, location="query")
    @blueprint.response(200, ImportOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List imports, the newest first; the total is in the header ``X-Total-Count``."""
        permits.require("ledgers.import", actor())
        with transaction() as session:
            rows = queries.filtered(queries.visible_to(actor()), kind=query["kind"], state=query["state"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)


@blueprint.route("/ledgers/imports/<int:import_id>")
class OneImport(MethodView):
    @blueprint.response(200, ImportDetailOut)
    def get(self, import_id: int) -> Any:
        """Return an import with its progress and what it would change."""
        with transaction() as session:
            return queries.get_import(session, import_id=import_id, actor=actor())


@blueprint.route("/ledgers/imports/<int:import_id>/faults")
class Faults(MethodView):
    @blueprint.response(200, FaultOut(many=True))
    def get(self, import_id: int) -> Any:
        """Return what is wrong, cell by cell."""
        with transaction() as session:
            return telling.faults(queries.get_import(session, import_id=import_id, actor=actor()))


@blueprint.route("/ledgers/imports/<int:import_id>/returned")
class Returned(MethodView):
    @blueprint.response(200, FILE, content_type=TYPES["xlsx"])
    @blueprint.response(200, FILE, content_type=TYPES["csv"])
    def get(self, import_id: int) -> Any:
        """Return the uploaded file with a column that says what is wrong."""
        return telling.returned(import_id)


@blueprint.route("/ledgers/imports/<int:import_id>/commit")
class Commit(MethodView):
    @blueprint.arguments(CommitIn)
    @blueprint.response(202, ImportOut)
    def post(self, data: dict[str, Any], import_id: int) -> Any:
        """Have a checked file written, all or nothing unless ``partial``."""
        with transaction() as session:
            return service.confirm(session, import_id=import_id, **data, actor=actor(), now=now())


@blueprint.route("/ledgers/imports/<int:import_id>/check")
class CheckAgain(MethodView):
    @blueprint.response(202, ImportOut)
    def post(self, import_id: int) -> Any:
        """Have a checked file checked once more."""
        with transaction() as session:
            return service.check_again(session, import_id=import_id, actor=actor(), now=now())


@blueprint.route("/ledgers/imports/<int:import_id>/discard")
class Discard(MethodView):
    @blueprint.response(200, ImportOut)
    def post(self, import_id: int) -> Any:
        """Give an import up."""
        with transaction() as session:
            return service.discard(session, import_id=import_id, actor=actor(), now=now())
