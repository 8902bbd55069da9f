"""Travel orders under ``/api/v1/orders``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import clock
from fleetapp.kit.paging import paginate
from fleetapp.orders import changes, follow, queries, service
from fleetapp.orders.schemas import (
    BatchIn,
    ChangeIn,
    ChangeOut,
    EditIn,
    NoteIn,
    NothingIn,
    OrderDetailOut,
    OrderOut,
    OrderQuery,
    ReasonIn,
    VerdictIn,
)
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_orders", __name__, url_prefix="/api/v1", description="Travel orders")


@blueprint.route("/orders")
class Orders(MethodView):
    @blueprint.arguments(OrderQuery, location="query")
    @blueprint.response(200, OrderOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the orders within reach, newest journey first; the total is in ``X-Total-Count``."""
        start = clock.day_span(query["start_on"])[0] if query["start_on"] else None
        end = clock.day_span(query["end_on"])[1] if query["end_on"] else None
        with transaction() as session:
            rows = queries.filtered(
                queries.visible_to(actor()), group=query["group"], state=query["state"], kind=query["kind"],
                q=query["q"], start=start, end=end,
            )  # fmt: skip
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)


@blueprint.route("/orders/inbox")
class Inbox(MethodView):
    @blueprint.response(200, OrderOut(many=True))
    def get(self) -> Any:
        """List the orders waiting for the caller's decision, soonest journey first."""
        with transaction() as session:
            return session.scalars(queries.inbox(actor(), at=now()).limit(200)).all()


@blueprint.route("/orders/<int:order_id>")
class Order(MethodView):
    @blueprint.response(200, OrderDetailOut)
    def get(self, order_id: int) -> Any:
        """Return one order with its events."""
        with transaction() as session:
            return queries.get_order(session, order_id=order_id, actor=actor())


@blueprint.route("/orders/<int:order_id>/approve")
class Approve(MethodView):
    @blueprint.arguments(NoteIn)
    @blueprint.response(200, OrderOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Approve; never one's own order."""
        with transaction() as session:
            return service.approve(session, order_id=order_id, note=data["note"], actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/reject")
class Reject(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, OrderOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Refuse with a reason; never one's own order."""
        with transaction() as session:
            return service.reject(session, order_id=order_id, reason=data["reason"], actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/verdict")
class OrderVerdict(MethodView):
    @blueprint.arguments(VerdictIn)
    @blueprint.response(200, OrderOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Do any verdict of the approval chain: agree, reject, send_back, step_back, add_before, add_after, transfer."""
        with transaction() as session:
            return service.decide(session, order_id=order_id, **data, actor=actor(), now=now())


@blueprint.route("/orders/batch-approve")
class Batch(MethodView):
    @blueprint.arguments(BatchIn)
    @blueprint.response(200, OrderOut(many=True))
    def post(self, data: dict[str, Any]) -> Any:
        """Approve many orders, all or none; refused with the numbers of those whose checks are not all green."""
        with transaction() as session:
            return follow.approve_batch(session, **data, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/remind")
class Remind(MethodView):
    @blueprint.arguments(NothingIn)
    @blueprint.response(200, OrderOut)
    def post(self, _data: dict[str, Any], order_id: int) -> Any:
        """Remind whoever it waits for, at most every two hours."""
        with transaction() as session:
            return follow.remind(session, order_id=order_id, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/resubmit")
class Resubmit(MethodView):
    @blueprint.arguments(EditIn)
    @blueprint.response(200, OrderOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Put an order right that was sent back, and hand it in again."""
        with transaction() as session:
            return service.resubmit(session, order_id=order_id, **data, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/changes")
class Changes(MethodView):
    @blueprint.arguments(ChangeIn)
    @blueprint.response(201, ChangeOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Ask to change an approved order; less time stands at once."""
        with transaction() as session:
            return changes.request(session, order_id=order_id, **data, actor=actor(), now=now())


@blueprint.route("/orders/changes/<int:change_id>/verdict")
class ChangeVerdict(MethodView):
    @blueprint.arguments(VerdictIn)
    @blueprint.response(200, ChangeOut)
    def post(self, data: dict[str, Any], change_id: int) -> Any:
        """Do any verdict of the approval chain on a change."""
        with transaction() as session:
            return changes.decide(session, change_id=change_id, **data, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/withdraw")
class Withdraw(MethodView):
    @blueprint.arguments(NothingIn)
    @blueprint.response(200, OrderOut)
    def post(self, _data: dict[str, Any], order_id: int) -> Any:
        """Take one's application back before it is decided."""
        with transaction() as session:
            return service.withdraw(session, order_id=order_id, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/cancel")
class Cancel(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, OrderOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Cancel an approved order that has no vehicle yet."""
        with transaction() as session:
            return service.cancel(session, order_id=order_id, reason=data["reason"], actor=actor(), now=now())
