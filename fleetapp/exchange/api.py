"""Upward exchange under ``/api/v1/exchange``: how interfaces do, what is to be mended."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.exchange import queries, rules, standing, trial
from fleetapp.exchange.interfaces import BY_CODE
from fleetapp.exchange.schemas import InterfaceOut, RecordOut, RecordQuery
from fleetapp.kit import permits
from fleetapp.kit.errors import NotFound
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, shell, transaction

blueprint = Blueprint("api_exchange", __name__, url_prefix="/api/v1", description="Upward exchange")


@blueprint.route("/exchange/interfaces")
class Interfaces(MethodView):
    @blueprint.response(200, InterfaceOut(many=True))
    def get(self) -> Any:
        """List the interfaces with their lights."""
        permits.require("exchange.read", actor())
        with transaction() as session:
            least = trial.least_share(session, now=now())
            return standing.rows(session, configured=bool(shell().settings.exchange_url), least=least, now=now())


@blueprint.route("/exchange/interfaces/<string:code>/rejections")
class Rejections(MethodView):
    @blueprint.arguments(RecordQuery, location="query")
    @blueprint.response(200, RecordOut(many=True))
    def get(self, query: dict[str, Any], code: str) -> Any:
        """List the records that are to be mended; the total is in the header ``X-Total-Count``."""
        permits.require("exchange.read", actor())
        if code not in BY_CODE:
            raise NotFound("kit.not_found")
        with transaction() as session:
            rows = queries.records_visible_to(actor(), interface=code, states=rules.TO_MEND, q=query["q"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)
