"""Sign-in for programs, organisations and accounts under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts import queries, service, sign_ins
from fleetapp.accounts.models import SignInKind
from fleetapp.accounts.schemas import (
    GrantForm,
    GrantOut,
    MeOut,
    OrgOut,
    PageQuery,
    ReasonForm,
    TokenOut,
    TokenRequest,
    UserIn,
    UserOut,
)
from fleetapp.kit import permits
from fleetapp.kit.actor import Role
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, bearer, now, origin, shell, transaction

blueprint = Blueprint("api_accounts", __name__, url_prefix="/api/v1", description="Sign-in, organisations, accounts")


@blueprint.route("/tokens")
class Tokens(MethodView):
    @blueprint.doc(security=[])
    @blueprint.arguments(TokenRequest)
    @blueprint.response(201, TokenOut)
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Exchange username and password, with a code where the account has a second factor, for a bearer token."""
        limits = shell().limits(now())
        opened = sign_ins.sign_in(
            shell().database, **data, kind=SignInKind.API, now=now(), limits=limits, origin=sign_ins.Origin(*origin()),
            key=shell().settings.secret_key,
        )  # fmt: skip
        return {"token": opened.token, "expires_in_s": limits.token_max_h * 3600}


@blueprint.route("/tokens/current")
class CurrentToken(MethodView):
    @blueprint.response(204)
    def delete(self) -> None:
        """End the bearer token of this request."""
        with transaction() as session:
            sign_ins.sign_out(session, token=bearer() or "", actor=actor(), now=now())


@blueprint.route("/me")
class Me(MethodView):
    @blueprint.response(200, MeOut)
    def get(self) -> Any:
        """Return who the caller is and what was granted where."""
        return actor()


@blueprint.route("/organisations")
class Organisations(MethodView):
    @blueprint.response(200, OrgOut(many=True))
    def get(self) -> Any:
        """List the organisations within the caller's scope."""
        with transaction() as session:
            return session.scalars(queries.orgs_visible_to(actor())).all()


@blueprint.route("/users")
class Users(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, UserOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List accounts; the total is in the header ``X-Total-Count``."""
        permits.require("accounts.read", actor())
        with transaction() as session:
            page = paginate(session, queries.visible_to(actor()), number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(UserIn)
    @blueprint.response(201, UserOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Open an account; its password must be changed at the first sign-in on the web page."""
        grants = [(Role(grant["role"]), grant["org_id"]) for grant in data.pop("grants")]
        with transaction() as session:
            limits = shell().limits(now())
            return service.create_user(
                session, **data, grants=grants, actor=actor(), now=now(), password_least=limits.password_least,
                renew_within_h=limits.reset_h,
            )  # fmt: skip


@blueprint.route("/users/<int:user_id>/grants")
class UserGrants(MethodView):
    @blueprint.arguments(GrantForm)
    @blueprint.response(201, GrantOut)
    def post(self, data: dict[str, Any], user_id: int) -> Any:
        """Give a role, with the reason."""
        with transaction() as session:
            return service.grant(
                session, user_id=user_id, **data | {"role": Role(data["role"])}, actor=actor(), now=now()
            )


@blueprint.route("/users/<int:user_id>/grants/<int:grant_id>")
class UserGrant(MethodView):
    @blueprint.arguments(ReasonForm, location="query")
    @blueprint.response(204)
    def delete(self, data: dict[str, Any], user_id: int, grant_id: int) -> None:
        """Take a role back, with the reason."""
        with transaction() as session:
            service.revoke(session, user_id=user_id, grant_id=grant_id, **data, actor=actor(), now=now())
