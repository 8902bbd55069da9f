"""Sign-in, language switch, accounts and organisation pages."""

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from werkzeug import Response

from fleetapp.accounts import factors, queries, resets, service, sign_ins
from fleetapp.accounts.browser import carry_on, safe_target
from fleetapp.accounts.models import PasswordReset, SignInKind, UserAccount
from fleetapp.accounts.schemas import GrantForm, PageQuery, ReasonForm, SignInForm, UserForm
from fleetapp.kit import permits
from fleetapp.kit.actor import Role
from fleetapp.kit.errors import FleetError, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.web.forms import errors_of, load, load_form
from fleetapp.web.request import SESSION_TOKEN, actor, find_actor, now, origin, shell, transaction
from fleetapp.web.texts import COOKIE, LANGUAGES, t

blueprint = Blueprint("accounts", __name__, template_folder="templates")


@blueprint.get("/sign-in")
def sign_in() -> Response | str:
    """Show the sign-in form."""
    if find_actor() is not None:
        return redirect(safe_target(request.args.get("next")))
    return render_template(
        "accounts/sign_in.html",
        next=safe_target(request.args.get("next")),
        error=None,
        username="",
        providers=shell().providers,
    )


@blueprint.post("/sign-in")
def sign_in_post() -> Response | tuple[str, int]:
    """Check the password; go on to the page asked for."""
    username = request.form.get("username", "")
    try:
        data = load_form(SignInForm())
        opened = sign_ins.sign_in(
            shell().database, username=data["username"], password=data["password"], kind=SignInKind.WEB, now=now(),
            limits=shell().limits(now()), origin=sign_ins.Origin(*origin()),
        )  # fmt: skip
    except FleetError as error:
        text = t("accounts.wrong_password") if isinstance(error, Invalid) else t(error.code, **error.params)
        page = render_template(
            "accounts/sign_in.html",
            next=safe_target(request.form.get("next")),
            error=text,
            username=username,
            providers=shell().providers,
        )
        return page, 403
    return carry_on(opened, safe_target(data.get("next")))


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """End the sign-in."""
    with transaction() as s:
        sign_ins.sign_out(s, token=session.get(SESSION_TOKEN, ""), actor=actor(), now=now())
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
        return render_template(
            "accounts/new.html", orgs=choices, values=values, errors=errors, least=shell().limits(now()).password_least
        )


FIELDS = {
    "accounts.username_form": "username", "accounts.username_taken": "username", "accounts.password_short": "password",
    "accounts.password_contains_name": "password", "accounts.password_common": "password",
}  # fmt: skip
"""Next to which input a broken rule stands."""


@blueprint.post("/accounts/new")
def create() -> Response | tuple[str, int]:
    """Open an account."""
    try:
        data = load_form(UserForm())
        with transaction() as s:
            limits = shell().limits(now())
            service.create_user(
                s, **data, grants=[], actor=actor(), now=now(), password_least=limits.password_least, renew_within_h=limits.reset_h
            )  # fmt: skip
    except (Invalid, RuleBroken) as error:
        return _form(request.form.to_dict(), errors_of(error, FIELDS)), 422
    flash(t("accounts.created"))
    return redirect(url_for("accounts.index"))


@blueprint.post("/accounts/<int:user_id>/close")
def close(user_id: int) -> Response:
    """Close an account."""
    with transaction() as s:
        service.close_user(s, user_id=user_id, actor=actor(), now=now())
    flash(t("accounts.closed_done"))
    return redirect(url_for("accounts.index"))


@blueprint.get("/accounts/<int:user_id>")
def show(user_id: int) -> str:
    """Show one account: roles, second factor, open sign-ins."""
    permits.require("accounts.read", actor())
    with transaction() as s:
        user = queries.get_user(s, user_id=user_id, actor=actor())
        looks_after = permits.may("accounts.reset", actor(), org_path=user.org.path, owner_id=user.id)
        return render_template(
            "accounts/show.html", user=user, roles=[role for role in Role if role is not Role.SYSTEM],
            orgs=s.scalars(queries.orgs_visible_to(actor())).all(), looks_after=looks_after,
            factor=factors.is_on(s, user_id=user_id) if looks_after else None,
            reset=s.get(PasswordReset, user_id) if looks_after else None, hours=shell().limits(now()).reset_h,
            open=s.scalars(queries.open_sign_ins(user_id, now=now())).all() if looks_after else [],
        )  # fmt: skip


@blueprint.post("/accounts/<int:user_id>/grants")
def grant(user_id: int) -> Response:
    """Give a role."""
    data = load_form(GrantForm())
    with transaction() as s:
        service.grant(s, user_id=user_id, **data | {"role": Role(data["role"])}, actor=actor(), now=now())
    flash(t("accounts.granted_done"))
    return redirect(url_for("accounts.show", user_id=user_id))


@blueprint.post("/accounts/<int:user_id>/grants/<int:grant_id>/revoke")
def revoke(user_id: int, grant_id: int) -> Response:
    """Take a role back."""
    data = load_form(ReasonForm())
    with transaction() as s:
        service.revoke(s, user_id=user_id, grant_id=grant_id, **data, actor=actor(), now=now())
    flash(t("accounts.revoked_done"))
    return redirect(url_for("accounts.show", user_id=user_id))


@blueprint.post("/accounts/<int:user_id>/password/reset")
def reset_password(user_id: int) -> str:
    """Put a one-time secret in the place of a forgotten password and show it, this once."""
    data, hours = load_form(ReasonForm()), shell().limits(now()).reset_h
    with transaction() as s:
        secret = resets.password(s, user_id=user_id, **data, valid_h=hours, actor=actor(), now=now())
        user = queries.get_user(s, user_id=user_id, actor=actor())
        return render_template("accounts/secret.html", user=user, secret=secret, hours=hours)


@blueprint.post("/accounts/<int:user_id>/factor/reset")
def reset_factor(user_id: int) -> Response:
    """Take a lost second factor away."""
    data = load_form(ReasonForm())
    with transaction() as s:
        resets.factor(s, user_id=user_id, **data, actor=actor(), now=now())
    flash(t("accounts.factor_reset_done"))
    return redirect(url_for("accounts.show", user_id=user_id))


@blueprint.post("/accounts/<int:user_id>/sign-ins/end")
def end_sign_ins(user_id: int) -> Response:
    """End all of somebody's sign-ins."""
    with transaction() as s:
        number = service.end_sign_ins(s, user_id=user_id, actor=actor(), now=now())
    flash(t("accounts.sign_ins_ended", number=number))
    return redirect(url_for("accounts.show", user_id=user_id))
