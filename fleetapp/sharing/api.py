"""Sharing under ``/api/v1``: ``share-offers``, ``share-requests``, ``share-loans`` and an order's ``fallback``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.errors import NotFound
from fleetapp.kit.paging import paginate
from fleetapp.orders import queries as orders
from fleetapp.sharing import fallback, queries, service
from fleetapp.sharing.models import ShareLoan, ShareOffer, ShareRequest
from fleetapp.sharing.schemas import (
    AcceptIn,
    BillIn,
    FallbackIn,
    FallbackOut,
    LendableOut,
    LoanOut,
    LoanQuery,
    NoteIn,
    OfferIn,
    OfferOut,
    PageQuery,
    ReasonIn,
    RecallIn,
    RequestIn,
    RequestOut,
    RequestQuery,
)
from fleetapp.web.api import page_headers, step_maker
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_sharing", __name__, url_prefix="/api/v1", description="Sharing of vehicles")


@blueprint.route("/share-offers")
class Offers(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, OfferOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List one's own offers and those made to one's own part of the tree."""
        permits.require("sharing.read", actor())
        with transaction() as session:
            page = paginate(session, queries.offers_visible_to(actor()), number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(OfferIn)
    @blueprint.response(201, OfferOut)
    def post(self, data: dict[str, Any]) -> ShareOffer:
        """Offer a vehicle or a class."""
        with transaction() as session:
            return service.offer(session, **data, actor=actor(), now=now())


@blueprint.route("/share-offers/<int:offer_id>")
class OneOffer(MethodView):
    @blueprint.response(200, OfferOut)
    def delete(self, offer_id: int) -> ShareOffer:
        """Withdraw an offer; it stays on record."""
        with transaction() as session:
            return service.withdraw_offer(session, offer_id=offer_id, actor=actor(), now=now())


@blueprint.route("/share-requests")
class Requests(MethodView):
    @blueprint.arguments(RequestQuery, location="query")
    @blueprint.response(200, RequestOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List requests made or received, open ones first."""
        permits.require("sharing.read", actor())
        rows = queries.requests_visible_to(actor())
        if query["state"]:
            rows = rows.where(ShareRequest.state == query["state"])
        with transaction() as session:
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(RequestIn)
    @blueprint.response(201, RequestOut)
    def post(self, data: dict[str, Any]) -> ShareRequest:
        """Ask another organisation for a vehicle."""
        with transaction() as session:
            return service.ask(session, **data, actor=actor(), now=now())


@blueprint.route("/share-requests/<int:request_id>/vehicles")
class Lendable(MethodView):
    @blueprint.response(200, LendableOut(many=True))
    def get(self, request_id: int) -> Any:
        """List the vehicles that could be lent for a request, the best first."""
        with transaction() as session:
            request = queries.get_request(session, request_id=request_id, actor=actor())
            permits.require("sharing.answer", actor(), org_path=request.to_org.path)
            return queries.lendable(session, request=request, actor=actor())


@blueprint.route("/share-requests/<int:request_id>/acceptance")
class Acceptance(MethodView):
    @blueprint.arguments(AcceptIn)
    @blueprint.response(201, LoanOut)
    def post(self, data: dict[str, Any], request_id: int) -> ShareLoan:
        """Accept: the vehicle is lent."""
        with transaction() as session:
            return service.accept(session, request_id=request_id, **data, actor=actor(), now=now())


@blueprint.route("/share-requests/<int:request_id>/refusal")
class Refusal(MethodView):
    @blueprint.arguments(NoteIn)
    @blueprint.response(200, RequestOut)
    def post(self, data: dict[str, Any], request_id: int) -> ShareRequest:
        """Decline with the reason."""
        with transaction() as session:
            return service.decline(session, request_id=request_id, **data, actor=actor(), now=now())


@blueprint.route("/share-requests/<int:request_id>")
class OneRequest(MethodView):
    @blueprint.response(200, RequestOut)
    def get(self, request_id: int) -> ShareRequest:
        """Return one request."""
        with transaction() as session:
            return queries.get_request(session, request_id=request_id, actor=actor())

    @blueprint.response(200, RequestOut)
    def delete(self, request_id: int) -> ShareRequest:
        """Withdraw a request that is not answered yet."""
        with transaction() as session:
            return service.withdraw(session, request_id=request_id, actor=actor(), now=now())


@blueprint.route("/share-loans")
class Loans(MethodView):
    @blueprint.arguments(LoanQuery, location="query")
    @blueprint.response(200, LoanOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List loans given and taken, living ones first."""
        permits.require("sharing.read", actor())
        rows = queries.loans_visible_to(actor())
        if query["state"]:
            rows = rows.where(ShareLoan.state == query["state"])
        with transaction() as session:
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)


_step = step_maker(blueprint, "/share-loans/<int:loan_id>", LoanOut, "Loan")


_step("recall", RecallIn, service.recall, "Call the vehicle back for its holder.")
_step("cancellation", ReasonIn, service.call_off, "Call the loan off before it begins.")
_step("return", ReasonIn, service.give_back, "Give the vehicle back early.")


@blueprint.route("/orders/<int:order_id>/fallback")
class OrderFallback(MethodView):
    @blueprint.response(200, FallbackOut)
    def get(self, order_id: int) -> Any:
        """Return how an order is served without an official vehicle."""
        with transaction() as session:
            order = orders.get_order(session, order_id=order_id, actor=actor())
            found = queries.fallback_of(session, order_id=order.id)
            if found is None:
                raise NotFound("kit.not_found")
            return found

    @blueprint.arguments(FallbackIn)
    @blueprint.response(201, FallbackOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Serve an approved order by rental, ride hailing or public transport."""
        with transaction() as session:
            return fallback.outsource(session, order_id=order_id, **data, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/fallback/bill")
class FallbackBill(MethodView):
    @blueprint.arguments(BillIn)
    @blueprint.response(200, FallbackOut)
    def put(self, data: dict[str, Any], order_id: int) -> Any:
        """Note the number of the bill."""
        with transaction() as session:
            return fallback.bill(session, order_id=order_id, **data, actor=actor(), now=now())
