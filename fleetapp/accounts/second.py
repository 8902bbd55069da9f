"""The steps of signing in after the first: a code, a new password for a one-time secret, setting up what gives codes."""

import segno
from flask import Blueprint, redirect, render_template, request, session, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts import factors, queries, service, sign_ins
from fleetapp.accounts.browser import carry_on, safe_target
from fleetapp.accounts.models import SignIn
from fleetapp.accounts.rules import Stage
from fleetapp.accounts.schemas import CodeForm, RenewForm
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import FleetError, Invalid, RuleBroken
from fleetapp.web.forms import errors_of, load_form
from fleetapp.web.request import SESSION_TOKEN, now, origin, shell
from fleetapp.web.texts import t

blueprint = Blueprint("second", __name__, template_folder="templates")


def picture(secret: str, username: str) -> str:
    """Return the QR code of a secret as an image's address."""
    code = segno.make(factors.address(secret, username), error="m")
    found: str = code.svg_data_uri(scale=5, border=2, light="#fff")
    return found


def _unfinished(s: Session) -> SignIn | None:
    return sign_ins.unfinished(s, token=session.get(SESSION_TOKEN, ""), now=now(), limits=shell().limits(now()))


@blueprint.get("/sign-in/code")
def code() -> Response | str:
    """Ask for a code of the authenticator or a recovery code."""
    with shell().database.transaction(SYSTEM) as s:
        found = _unfinished(s)
        if found is None or found.stage != Stage.CODE:
            return redirect(url_for("accounts.sign_in"))
    return render_template("accounts/code.html", next=safe_target(request.args.get("next")), error=None)


@blueprint.post("/sign-in/code")
def code_post() -> Response | tuple[str, int]:
    """Use the code up and go on, under a new token."""
    where, limits, error, opened = sign_ins.Origin(*origin()), shell().limits(now()), "", None
    target = safe_target(request.form.get("next"))
    with shell().database.transaction(SYSTEM) as s:
        found = _unfinished(s)
        if found is None or found.stage != Stage.CODE:
            return redirect(url_for("accounts.sign_in"))
        username = found.user.username
        try:
            sign_ins.refuse_if_slowed_down(s, username=username, origin=where, limits=limits, now=now())
            given = load_form(CodeForm())["code"]
            if factors.takes(s, user_id=found.user_id, code=given, key=shell().settings.secret_key, now=now()):
                opened = sign_ins.go_on(s, found, origin=where, limits=limits, now=now(), way="code")
            else:
                error = t("accounts.wrong_code")
                sign_ins.note_failure(s, username=username, user=found.user, origin=where, now=now(), why="code")
        except FleetError as refused:
            error = t("accounts.wrong_code") if isinstance(refused, Invalid) else t(refused.code, **refused.params)
    if opened is not None:
        return carry_on(opened, target)
    return render_template("accounts/code.html", next=target, error=error), 403


RENEW_FIELDS = dict.fromkeys(("accounts.password_short", "accounts.password_contains_name", "accounts.password_common", "accounts.password_same"), "new")  # fmt: skip


@blueprint.get("/sign-in/renew")
def renew() -> Response | str:
    """Ask whoever came with a one-time secret for a password of their own."""
    with shell().database.transaction(SYSTEM) as s:
        found = _unfinished(s)
        if found is None or found.stage != Stage.RENEW:
            return redirect(url_for("accounts.sign_in"))
        return _renew_page(found, {})


def _renew_page(found: SignIn, errors: dict[str, list[str]]) -> str:
    return render_template(
        "accounts/renew.html", username=found.user.username, next=safe_target(request.values.get("next")), errors=errors,
        least=shell().limits(now()).password_least,
    )  # fmt: skip


@blueprint.post("/sign-in/renew")
def renew_post() -> Response | tuple[str, int]:
    """Set the new password and go on, under a new token."""
    limits = shell().limits(now())
    with shell().database.transaction(SYSTEM) as s:
        found = _unfinished(s)
        if found is None or found.stage != Stage.RENEW:
            return redirect(url_for("accounts.sign_in"))
        try:
            new = load_form(RenewForm())["new"]
            service.set_password(
                s, found.user, new, least=limits.password_least, actor=queries.actor_of(found.user), now=now()
            )
        except (Invalid, RuleBroken) as refused:
            return _renew_page(found, errors_of(refused, RENEW_FIELDS)), 422
        opened = sign_ins.go_on(s, found, origin=sign_ins.Origin(*origin()), limits=limits, now=now(), way="renewed")
    return carry_on(opened, safe_target(request.form.get("next")))


@blueprint.get("/sign-in/enrol")
def enrol() -> Response | str:
    """Show the secret of a new second factor, which the account must have."""
    with shell().database.transaction(SYSTEM) as s:
        found = _unfinished(s)
        if found is None or found.stage != Stage.ENROL:
            return redirect(url_for("accounts.sign_in"))
        secret = factors.begin(s, user_id=found.user_id, key=shell().settings.secret_key, now=now())
        return _enrol_page(found, secret, None)


def _enrol_page(found: SignIn, secret: str, error: str | None) -> str:
    target = safe_target(request.values.get("next"))
    return render_template(
        "accounts/enrol.html", secret=secret, qr=picture(secret, found.user.username), next=target, error=error
    )


@blueprint.post("/sign-in/enrol")
def enrol_post() -> Response | str | tuple[str, int]:
    """Switch the second factor on with a first code, show the recovery codes, open the sign-in."""
    key, limits = shell().settings.secret_key, shell().limits(now())
    with shell().database.transaction(SYSTEM) as s:
        found = _unfinished(s)
        if found is None or found.stage != Stage.ENROL:
            return redirect(url_for("accounts.sign_in"))
        secret = factors.pending_secret(s, user_id=found.user_id, key=key)
        if secret is None:
            return redirect(url_for("second.enrol"))
        who = queries.actor_of(found.user)
        try:
            given = load_form(CodeForm())["code"]
            codes = factors.confirm(s, user_id=found.user_id, code=given, key=key, actor=who, now=now())
        except FleetError:
            return _enrol_page(found, secret, t("accounts.wrong_code")), 422
        opened = sign_ins.go_on(s, found, origin=sign_ins.Origin(*origin()), limits=limits, now=now(), way="enrolled")
    target = safe_target(request.form.get("next"))
    carry_on(opened, target)
    return render_template("accounts/recovery.html", codes=codes, target=target)
