"""Price books and estimates under ``/api/v1/price-books``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts.queries import get_org
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.pricing import queries, service
from fleetapp.pricing.schemas import BookOut, BookQuery, DraftIn, EditIn, EstimateQuery, NothingIn, QuoteOut
from fleetapp.web.api import page_headers, step_maker
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("api_pricing", __name__, url_prefix="/api/v1", description="Price books of paid service")


@blueprint.route("/price-books")
class Books(MethodView):
    @blueprint.arguments(BookQuery, location="query")
    @blueprint.response(200, BookOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the versions; the total is in the header ``X-Total-Count``."""
        permits.require("pricing.read", actor())
        with transaction() as session:
            page = paginate(session, queries.visible_to(actor()), number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(DraftIn)
    @blueprint.response(201, BookOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Write a draft."""
        with transaction() as session:
            return service.draft(session, **data, actor=actor(), now=now())


@blueprint.route("/price-books/<int:book_id>")
class OneBook(MethodView):
    @blueprint.response(200, BookOut)
    def get(self, book_id: int) -> Any:
        """Return one version."""
        permits.require("pricing.read", actor())
        with transaction() as session:
            return queries.get_book(session, book_id=book_id, actor=actor())

    @blueprint.arguments(EditIn)
    @blueprint.response(200, BookOut)
    def put(self, data: dict[str, Any], book_id: int) -> Any:
        """Change a draft."""
        with transaction() as session:
            return service.edit(session, book_id=book_id, **data, actor=actor(), now=now())


_step = step_maker(blueprint, "/price-books/<int:book_id>", BookOut, "PriceBook")


_step("copy", NothingIn, service.copy, "Write a draft with the prices of this version.")
_step("publication", NothingIn, service.publish, "Publish a draft written by somebody else.")
_step("discarding", NothingIn, service.discard, "Give a draft up.")


@blueprint.route("/price-books/estimate")
class Estimate(MethodView):
    @blueprint.arguments(EstimateQuery, location="query")
    @blueprint.response(200, QuoteOut)
    def get(self, query: dict[str, Any]) -> Any:
        """Return what a journey would cost by the book in force today, or why it has no price; for whoever may ask for one."""
        if not any(permits.may(action, actor()) for action in ("orders.create", "orders.create_service")):
            permits.require("pricing.read", actor())
        if query["start_at"] >= query["end_at"]:
            raise RuleBroken("pricing.reversed")
        today = clock.local_date(now())
        org_id = query.pop("org_id") or actor().org_id
        with transaction() as session:
            org_path = get_org(session, org_id=org_id).path if org_id else None
            found = queries.estimate(session, **query, on=today, org_path=org_path)
            if found is not None:
                return {
                    "total": found.total,
                    "book_id": found.book_id,
                    "lines": found.fee.lines,
                    "distance_known": found.distance_known,
                }
            gap = queries.gap(session, body=query["body"], on=today, org_path=org_path)
            return {"total": None, "book_id": None, "lines": [], "distance_known": query["route_m"] is not None,
                    "gap": t(gap.code, **gap.params) if gap else t("pricing.no_market")}  # fmt: skip
