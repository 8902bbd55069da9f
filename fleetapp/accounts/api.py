"""Sign-in for programs, organisations and accounts under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts import queries, service
from fleetapp.accounts.models import SignInKind
from fleetapp.accounts.schemas import MeOut, OrgOut, PageQuery, TokenOut, TokenRequest, UserIn, UserOut
from fleetapp.kit import permits
from fleetapp.kit.actor import Role
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, bearer, now, shell, transaction

blueprint = Blueprint("api_accounts", __name__, url_prefix="/api/v1", description="Sign-in, organisations, accounts")


@blueprint.route("/tokens")
class Tokens(MethodView):
    @blueprint.arguments(TokenRequest)
    @blueprint.response(201, TokenOut)
    def post(self, data: dict[str, Any]) -> dict[str, Any]:
        """Exchange username and password for a bearer token."""
        settings = shell().settings
        token, _ = service.sign_in(
            shell().database, **data, kind=SignInKind.API, now=now(), max_h=settings.token_max_h,
            failures=settings.lockout_failures, lock_min=settings.lockout_min,
        )  # fmt: skip
        return {"token": token, "expires_in_s": settings.token_max_h * 3600}


@blueprint.route("/tokens/current")
class CurrentToken(MethodView):
    @blueprint.response(204)
    def delete(self) -> None:
        """End the bearer token of this request."""
        with transaction() as session:
            service.sign_out(session, token=bearer() or "", actor=actor(), now=now())


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
        """Open an account."""
        grants = [(Role(grant["role"]), grant["org_id"]) for grant in data.pop("grants")]
        with transaction() as session:
            return service.create_user(session, **data, grants=grants, actor=actor(), now=now())
