"""Statements under ``/api/v1/statements``, and the list of what has no price yet."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.settlement import queries, service
from fleetapp.settlement.schemas import (
    AdjustIn,
    AdjustmentOut,
    AnswerIn,
    DisputeIn,
    GapOut,
    NothingIn,
    PageQuery,
    PayIn,
    StatementOut,
    StatementQuery,
    WholeOut,
)
from fleetapp.web.api import page_headers, step_maker
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_settlement", __name__, url_prefix="/api/v1", description="Settlement of paid service")


@blueprint.route("/statements")
class Statements(MethodView):
    @blueprint.arguments(StatementQuery, location="query")
    @blueprint.response(200, StatementOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List statements; the total is in the header ``X-Total-Count``."""
        permits.require("settlement.read", actor())
        narrow = {key: query[key] for key in ("q", "state", "period", "org_id")}
        with transaction() as session:
            page = paginate(
                session,
                queries.filtered(queries.visible_to(actor()), **narrow),
                number=query["page"],
                size=query["size"],
            )
            return list(page.items), page_headers(page)


@blueprint.route("/statements/<int:statement_id>")
class OneStatement(MethodView):
    @blueprint.response(200, WholeOut)
    def get(self, statement_id: int) -> Any:
        """Return a statement with its charges, corrections and disputes."""
        with transaction() as session:
            statement = queries.get_statement(session, statement_id=statement_id, actor=actor())
            return {
                **{name: getattr(statement, name) for name in StatementOut().fields},
                "charges": queries.charges_of(session, statement_id=statement.id),
                "adjustments": queries.adjustments_of(session, statement_id=statement.id),
                "disputes": queries.disputes_of(session, statement_id=statement.id),
            }


_step = step_maker(blueprint, "/statements/<int:statement_id>", StatementOut, "Statement")


_step("issue", NothingIn, service.issue, "Issue a draft whose month is over.")
_step("answer", AnswerIn, service.answer, "Answer a disputed line.")
_step("confirmation", NothingIn, service.confirm, "Agree; its orders are settled.")
_step("payment", PayIn, service.pay, "Note the payment.")


@blueprint.route("/statements/<int:statement_id>/dispute")
class Dispute(MethodView):
    @blueprint.arguments(DisputeIn)
    @blueprint.response(200, StatementOut)
    def post(self, data: dict[str, Any], statement_id: int) -> Any:
        """Disagree with lines, each with its reason."""
        reasons = {line["charge_id"]: line["reason"] for line in data["lines"]}
        with transaction() as session:
            return service.dispute(session, statement_id=statement_id, reasons=reasons, actor=actor(), now=now())


@blueprint.route("/statements/<int:statement_id>/adjustments")
class Adjustments(MethodView):
    @blueprint.arguments(AdjustIn)
    @blueprint.response(201, AdjustmentOut)
    def post(self, data: dict[str, Any], statement_id: int) -> Any:
        """Correct a charge."""
        with transaction() as session:
            return service.adjust(session, statement_id=statement_id, **data, actor=actor(), now=now())


@blueprint.route("/charge-gaps")
class Gaps(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, GapOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the confirmed orders that cannot be charged yet."""
        permits.require("settlement.read", actor())
        with transaction() as session:
            page = paginate(session, queries.gaps(actor()), number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)
