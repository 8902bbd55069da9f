"""Quotas, indicators and purchases under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.acquisitions import purchase, queries, service
from fleetapp.acquisitions.schemas import (
    AcceptanceIn,
    BudgetIn,
    BudgetOut,
    CancelIn,
    CheckOut,
    ContractIn,
    DeliveryIn,
    IndicatorIn,
    IndicatorOut,
    IndicatorQuery,
    IndicatorStepIn,
    PlacesOut,
    ProcurementOut,
    PurchaseIn,
    QuotaIn,
    QuotaMoveIn,
    QuotaQuery,
    RegistrationIn,
)
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint(
    "api_acquisitions", __name__, url_prefix="/api/v1", description="Quota, indicator, budget, purchase"
)


@blueprint.route("/quotas")
class Quotas(MethodView):
    @blueprint.arguments(QuotaQuery, location="query")
    @blueprint.response(200, PlacesOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """Return the places of every unit within reach by class as of a day."""
        permits.require("quota.read", actor())
        with transaction() as session:
            found = queries.matrix(session, actor=actor(), on=query["on"] or clock.local_date(now()))
            return [
                {"org_id": org.id, "category": category, "quota": one.quota, "in_service": one.in_service,
                 "reserved": one.reserved, "committed": one.committed, "free": one.free}
                for org, row in found.items() for category, one in sorted(row.items())
            ]  # fmt: skip

    @blueprint.arguments(QuotaIn)
    @blueprint.response(204)
    def post(self, data: dict[str, Any]) -> None:
        """Change a unit's quota from a day on."""
        with transaction() as session:
            service.change_quota(session, **data, actor=actor(), now=now())


@blueprint.route("/quotas/moves")
class QuotaMoves(MethodView):
    @blueprint.arguments(QuotaMoveIn)
    @blueprint.response(204)
    def post(self, data: dict[str, Any]) -> None:
        """Give places from one unit to another."""
        with transaction() as session:
            service.move_quota(session, **data, actor=actor(), now=now())


@blueprint.route("/indicators")
class Indicators(MethodView):
    @blueprint.arguments(IndicatorQuery, location="query")
    @blueprint.response(200, IndicatorOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List indicators; the total is in the header ``X-Total-Count``."""
        permits.require("indicators.read", actor())
        with transaction() as session:
            rows = queries.filtered(queries.visible_to(actor()), state=query["state"], q=query["q"], year=query["year"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(IndicatorIn)
    @blueprint.response(201, IndicatorOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Begin an application of the own unit."""
        with transaction() as session:
            made = service.apply(session, **data, actor=actor(), now=now())
            return queries.get_indicator(session, indicator_id=made.id, actor=actor())


@blueprint.route("/indicators/<int:indicator_id>")
class OneIndicator(MethodView):
    @blueprint.response(200, IndicatorOut)
    def get(self, indicator_id: int) -> Any:
        """Return one indicator."""
        with transaction() as session:
            return queries.get_indicator(session, indicator_id=indicator_id, actor=actor())


@blueprint.route("/indicators/<int:indicator_id>/checks")
class IndicatorChecks(MethodView):
    @blueprint.response(200, CheckOut(many=True))
    def get(self, indicator_id: int) -> Any:
        """Return the rule check list of an application as of now."""
        with transaction() as session:
            indicator = queries.get_indicator(session, indicator_id=indicator_id, actor=actor())
            return service.check_list(session, indicator, now=now())


@blueprint.route("/indicators/<int:indicator_id>/steps")
class IndicatorSteps(MethodView):
    @blueprint.arguments(IndicatorStepIn)
    @blueprint.response(200, IndicatorOut)
    def post(self, data: dict[str, Any], indicator_id: int) -> Any:
        """Submit, withdraw, review, return, reject, approve or cancel."""
        with transaction() as session:
            return service.advance(session, indicator_id=indicator_id, **data, actor=actor(), now=now())


@blueprint.route("/indicators/<int:indicator_id>/budget")
class IndicatorBudget(MethodView):
    @blueprint.arguments(BudgetIn)
    @blueprint.response(201, BudgetOut)
    def post(self, data: dict[str, Any], indicator_id: int) -> Any:
        """Link money to an approved indicator."""
        with transaction() as session:
            return service.add_budget(session, indicator_id=indicator_id, **data, actor=actor(), now=now())


@blueprint.route("/indicators/<int:indicator_id>/purchases")
class IndicatorPurchases(MethodView):
    @blueprint.arguments(PurchaseIn)
    @blueprint.response(201, ProcurementOut)
    def post(self, data: dict[str, Any], indicator_id: int) -> Any:
        """Open the purchase of an approved indicator with its budget."""
        with transaction() as session:
            return purchase.open_purchase(session, indicator_id=indicator_id, **data, actor=actor(), now=now())


def _stage(path: str, schema: type, function: Any, words: str) -> None:
    """Add the endpoint of one stage of a purchase."""

    class Stage(MethodView):
        @blueprint.arguments(schema)
        @blueprint.response(200, ProcurementOut)
        def post(self, data: dict[str, Any], procurement_id: int) -> Any:
            with transaction() as session:
                made = function(session, procurement_id=procurement_id, **data, actor=actor(), now=now())
                session.flush()
                return queries.get_procurement(session, procurement_id=procurement_id, actor=actor()) if made else None

    Stage.__name__ = Stage.__qualname__ = f"Purchase{path.title()}"
    Stage.post.__doc__ = words
    blueprint.route(f"/purchases/<int:procurement_id>/{path}")(Stage)


_stage("contract", ContractIn, purchase.contract, "Sign the contract.")
_stage("delivery", DeliveryIn, purchase.deliver, "Note what was delivered.")
_stage("acceptance", AcceptanceIn, purchase.accept, "Accept with a second person.")
_stage("registration", RegistrationIn, purchase.register, "Register the accepted vehicle.")
_stage("cancellation", CancelIn, purchase.cancel, "Give the purchase up before delivery.")
