"""Chains and absences under ``/api/v1/approvals``; deciding is at the order."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts import queries as accounts
from fleetapp.approvals import chains as writing
from fleetapp.approvals import queries
from fleetapp.approvals.schemas import ChainIn, ChainOut, ChainQuery, DelegationIn, DelegationOut, NothingIn
from fleetapp.kit import permits
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint(
    "api_approvals", __name__, url_prefix="/api/v1/approvals", description="Approval chains and deputies"
)


@blueprint.route("/chains")
class Chains(MethodView):
    @blueprint.arguments(ChainQuery, location="query")
    @blueprint.response(200, ChainOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the chains of an organisation, one's own if none is named, and those above it; the first in force stands."""
        with transaction() as session:
            path = accounts.get_org(session, org_id=query["org_id"]).path if query["org_id"] else actor().org_path
            permits.require("approvals.read", actor(), org_path=path)
            return session.scalars(queries.chains(path)).unique().all()

    @blueprint.arguments(ChainIn)
    @blueprint.response(201, ChainOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Publish a new version; open cases keep the chain they were opened with."""
        with transaction() as session:
            return writing.publish_chain(session, **data, actor=actor(), now=now())


@blueprint.route("/delegations")
class Delegations(MethodView):
    @blueprint.response(200, DelegationOut(many=True))
    def get(self) -> Any:
        """List one's own periods and those in one's favour; a unit's administrator sees the unit's."""
        with transaction() as session:
            return session.scalars(queries.delegations(actor()).limit(200)).all()

    @blueprint.arguments(DelegationIn)
    @blueprint.response(201, DelegationOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Name a deputy for a period, or say that one is away."""
        with transaction() as session:
            given = {**data, "delegator_id": data["delegator_id"] or actor().user_id or 0}
            return writing.delegate(session, **given, actor=actor(), now=now())


@blueprint.route("/delegations/<int:delegation_id>/end")
class EndDelegation(MethodView):
    @blueprint.arguments(NothingIn)
    @blueprint.response(200, DelegationOut)
    def post(self, _data: dict[str, Any], delegation_id: int) -> Any:
        """End a period before its time."""
        with transaction() as session:
            return writing.end_delegation(session, delegation_id=delegation_id, actor=actor(), now=now())
