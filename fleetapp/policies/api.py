"""Policy figures under ``/api/v1/policies``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts.queries import get_org
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.policies import preview, queries, service
from fleetapp.policies.schemas import PolicyIn, PolicyOut, PolicyQuery, PreviewOut, WithdrawalIn
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_policies", __name__, url_prefix="/api/v1", description="Policy figures with their source")


@blueprint.route("/policies")
class Policies(MethodView):
    @blueprint.arguments(PolicyQuery, location="query")
    @blueprint.response(200, PolicyOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the figures in force on a day, of one organisation those that apply; the total is in ``X-Total-Count``."""
        permits.require("policies.read", actor())
        on = query["on"] or clock.local_date(now())
        with transaction() as session:
            org_path = get_org(session, org_id=query["org_id"]).path if query["org_id"] else None
            rows = queries.listed(on, query["q"], org_path=org_path, subject=query["subject"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(PolicyIn)
    @blueprint.response(201, PolicyOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Enter a new value of a code; the row before it ends on its first day."""
        with transaction() as session:
            return service.enter(session, **data, actor=actor(), now=now())


@blueprint.route("/policies/preview")
class Previews(MethodView):
    @blueprint.arguments(PolicyIn)
    @blueprint.response(200, PreviewOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Return what a new value would change; nothing is kept."""
        permits.require("policies.edit", actor())
        with transaction() as session:
            return preview.preview(session, **data, actor=actor(), now=now())


@blueprint.route("/policies/<string:code>/history")
class History(MethodView):
    @blueprint.response(200, PolicyOut(many=True))
    def get(self, code: str) -> Any:
        """Return every row of a code, the newest period first, withdrawn ones too."""
        permits.require("policies.read", actor())
        with transaction() as session:
            return queries.history(session, code=code)


@blueprint.route("/policies/<int:policy_id>/withdrawal")
class Withdrawal(MethodView):
    @blueprint.arguments(WithdrawalIn)
    @blueprint.response(200, PolicyOut)
    def post(self, data: dict[str, Any], policy_id: int) -> Any:
        """Withdraw a row that is not in force yet."""
        with transaction() as session:
            return service.withdraw(session, policy_id=policy_id, **data, actor=actor(), now=now())
