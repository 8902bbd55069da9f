"""Sign-in, language switch, accounts and organisation pages."""

from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from werkzeug import Response

from fleetapp.accounts import queries, service
from fleetapp.accounts.models import SignInKind, UserAccount
from fleetapp.accounts.schemas import PageQuery, SignInForm, UserForm
from fleetapp.kit import permits
from fleetapp.kit.actor import Role
from fleetapp.kit.errors import FleetError, Invalid
from fleetapp.kit.paging import paginate
from fleetapp.web.forms import load, load_form
from fleetapp.web.request import SESSION_TOKEN, actor, find_actor, now, shell, transaction
from fleetapp.web.texts import COOKIE, LANGUAGES, t

blueprint = Blueprint("accounts", __name__, template_folder="templates")


def safe_target(target: str | None) -> str:
    """Return a page of our own to go on to; anything with a host is dropped."""
    parts = urlsplit(target or "")
    return (
        target
        if target
        and not parts.netloc
        and not parts.scheme
        and target.startswith("/")
        and not target.startswith(("//", "/\\"))
        else "/"
    )


@blueprint.get("/sign-in")
def sign_in() -> Response | str:
    """Show the sign-in form."""
    if find_actor() is not None:
        return redirect(safe_target(request.args.get("next")))
    return render_template("accounts/sign_in.html", next=safe_target(request.args.get("next")), error=None, username="")


@blueprint.post("/sign-in")
def sign_in_post() -> Response | tuple[str, int]:
    """Check the password; go on to the page asked for."""
    settings = shell().settings
    username = request.form.get("username", "")
    try:
        data = load_form(SignInForm())
        token, _who = service.sign_in(
            shell().database, username=data["username"], password=data["password"], kind=SignInKind.WEB, now=now(),
            max_h=settings.session_max_h, failures=settings.lockout_failures, lock_min=settings.lockout_min,
        )  # fmt: skip
    except FleetError as error:
        text = t("accounts.wrong_password") if isinstance(error, Invalid) else t(error.code, **error.params)
        page = render_template(
            "accounts/sign_in.html", next=safe_target(request.form.get("next")), error=text, username=username
        )
        return page, 403
    session.clear()
    session[SESSION_TOKEN] = token
    return redirect(safe_target(data.get("next")))


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """End the sign-in."""
    with transaction() as s:
        service.sign_out(s, token=session.get(SESSION_TOKEN, ""), actor=actor(), now=now())
    session.clear()
    return redirect(url_for("accounts.sign_in"))


@blueprint.post("/language")
def language() -> Response:
    """Switch the language and stay on the page."""
    wanted = request.form.get("lang", "zh")
    response = redirect(safe_target(request.form.get("next")))
    response.set_cookie(
        COOKIE, wanted if wanted in LANGUAGES else "zh", max_age=365 * 86400, samesite="Lax", httponly=True
    )
    return response


@blueprint.get("/accounts")
def index() -> str:
    """List the accounts within reach."""
    permits.require("accounts.read", actor())
    query = load(PageQuery(), request.args.to_dict())
    with transaction() as s:
        rows = queries.visible_to(actor())
        if query["q"]:
            rows = rows.where(
                UserAccount.username.contains(query["q"], autoescape=True)
                | UserAccount.name_zh.contains(query["q"], autoescape=True)
                | UserAccount.name_en.icontains(query["q"], autoescape=True)
            )
        page = paginate(s, rows, number=query["page"], size=query["size"])
        return render_template("accounts/index.html", page=page, q=query["q"])


@blueprint.get("/accounts/organisations")
def orgs() -> str:
    """Show the organisation tree within reach."""
    permits.require("accounts.read", actor())
    with transaction() as s:
        return render_template("accounts/orgs.html", orgs=s.scalars(queries.orgs_visible_to(actor())).all())


@blueprint.get("/accounts/new")
def new() -> str:
    """Show the form of a new account."""
    permits.require("accounts.manage", actor())
    return _form({}, {})


def _form(values: dict[str, str], errors: dict[str, list[str]]) -> str:
    with transaction() as s:
        choices = s.scalars(queries.orgs_visible_to(actor())).all()
        roles = [role for role in Role if role is not Role.SYSTEM]
        return render_template("accounts/new.html", orgs=choices, roles=roles, values=values, errors=errors)


@blueprint.post("/accounts/new")
def create() -> Response | tuple[str, int]:
    """Open an account."""
    try:
        data = load_form(UserForm())
        role = Role(data.pop("role"))
        with transaction() as s:
            service.create_user(s, **data, grants=[(role, data["org_id"])], actor=actor(), now=now())
    except Invalid as error:
        return _form(request.form.to_dict(), error.fields), 422
    flash(t("accounts.created"))
    return redirect(url_for("accounts.index"))


@blueprint.post("/accounts/<int:user_id>/close")
def close(user_id: int) -> Response:
    """Close an account."""
    with transaction() as s:
        service.close_user(s, user_id=user_id, actor=actor(), now=now())
    flash(t("accounts.closed_done"))
    return redirect(url_for("accounts.index"))
