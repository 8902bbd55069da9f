"""Checking of the audit chain and its published heads under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.audit import queries
from fleetapp.audit.schemas import HeadOut, HeadsQuery, VerifiedOut, VerifyQuery
from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, transaction

blueprint = Blueprint("api_audit", __name__, url_prefix="/api/v1", description="The audit chain")


@blueprint.route("/audit/verify")
class Verify(MethodView):
    @blueprint.arguments(VerifyQuery, location="query")
    @blueprint.response(200, VerifiedOut)
    def get(self, query: dict[str, Any]) -> Any:
        """Check a range of entries, one piece of 50,000 at a time, and name every broken place in it."""
        permits.require("audit.read", actor())
        with transaction() as session:
            end = queries.end_of(session)
            wanted = end if query["last"] is None else query["last"]
            last = min(wanted, query["first"] + queries.PIECE - 1)
            faults = queries.verify(session, first=query["first"], last=last)
            return {
                "first": query["first"],
                "last": last,
                "faults": faults,
                "next": last + 1 if last < wanted else None,
            }


@blueprint.route("/audit/heads")
class Heads(MethodView):
    @blueprint.arguments(HeadsQuery(only=("page",)), location="query")
    @blueprint.response(200, HeadOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the published heads of the chain with their signed files, newest first."""
        permits.require("audit.read", actor())
        with transaction() as session:
            page = paginate(session, queries.published_heads(), number=query["page"])
            return page.items, page_headers(page)
