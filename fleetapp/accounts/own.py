"""The own account: password, second factor, open sign-ins."""

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from werkzeug import Response

from fleetapp.accounts import factors, queries, service, sign_ins
from fleetapp.accounts.models import UserAccount
from fleetapp.accounts.schemas import CodeForm, PasswordForm
from fleetapp.accounts.second import picture
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import FleetError, Invalid, NotAllowed, RuleBroken
from fleetapp.web.forms import errors_of, load_form
from fleetapp.web.request import SESSION_TOKEN, actor, now, origin, shell, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("own", __name__, template_folder="templates")

PASSWORD_FIELDS = {
    "accounts.old_password_wrong": "old", "accounts.locked": "old", "accounts.password_short": "new",
    "accounts.password_contains_name": "new", "accounts.password_common": "new", "accounts.password_same": "new",
}  # fmt: skip


def _token() -> str:
    found: str = session.get(SESSION_TOKEN, "")
    return found


def _page(errors: dict[str, list[str]]) -> str:
    me = actor().user_id or 0
    with transaction() as s:
        return render_template(
            "accounts/own.html", user=s.get_one(UserAccount, me), open=s.scalars(queries.open_sign_ins(me, now=now())).all(),
            this=sign_ins.token_sha256(_token()), factor=factors.is_on(s, user_id=me),
            codes_left=factors.unused_recovery_codes(s, user_id=me), errors=errors, providers=shell().providers, least=shell().limits(now()).password_least,
        )  # fmt: skip


@blueprint.get("/account")
def show() -> str:
    """Show the own account."""
    return _page({})


@blueprint.post("/account/password")
def password() -> Response | tuple[str, int]:
    """Change the own password."""
    try:
        data = load_form(PasswordForm())
        service.change_password(
            shell().database, **data, token=_token(), limits=shell().limits(now()), origin=sign_ins.Origin(*origin()),
            actor=actor(), now=now(),
        )  # fmt: skip
    except (Invalid, RuleBroken, NotAllowed) as error:
        return _page(errors_of(error, PASSWORD_FIELDS)), 422
    flash(t("accounts.password_changed"))
    return redirect(url_for("own.show"))


@blueprint.post("/account/sign-ins/end")
def end_others() -> Response:
    """Sign out everywhere else."""
    with transaction() as s:
        number = sign_ins.end_others(s, user_id=actor().user_id or 0, but=_token(), actor=actor(), now=now())
    flash(t("accounts.sign_ins_ended", number=number))
    return redirect(url_for("own.show"))


@blueprint.post("/account/sign-ins/<int:sign_in_id>/end")
def end_one(sign_in_id: int) -> Response:
    """Sign out one of them."""
    with transaction() as s:
        sign_ins.end_one(s, sign_in_id=sign_in_id, actor=actor(), now=now())
    flash(t("accounts.sign_ins_ended", number=1))
    return redirect(url_for("own.show"))


@blueprint.post("/account/factor")
def factor() -> str:
    """Show the secret of a new second factor."""
    with transaction() as s:
        me = s.get_one(UserAccount, actor().user_id)
        secret = factors.begin(s, user_id=me.id, key=shell().settings.secret_key, now=now())
        return render_template(
            "accounts/enrol.html", secret=secret, qr=picture(secret, me.username), next="", error=None
        )


@blueprint.post("/account/factor/confirm")
def confirm_factor() -> Response | str | tuple[str, int]:
    """Switch it on with a first code and show the recovery codes."""
    key = shell().settings.secret_key
    with transaction() as s:
        me = s.get_one(UserAccount, actor().user_id)
        secret = factors.pending_secret(s, user_id=me.id, key=key)
        if secret is None:
            return redirect(url_for("own.show"))
        try:
            given = load_form(CodeForm())["code"]
            codes = factors.confirm(s, user_id=me.id, code=given, key=key, actor=actor(), now=now())
        except FleetError:
            page = render_template(
                "accounts/enrol.html",
                secret=secret,
                qr=picture(secret, me.username),
                next="",
                error=t("accounts.wrong_code"),
            )
            return page, 422
    return render_template("accounts/recovery.html", codes=codes, target=url_for("own.show"))


@blueprint.post("/account/factor/codes")
def new_codes() -> str:
    """Make new recovery codes, against a code of the authenticator."""
    where, limits, codes = sign_ins.Origin(*origin()), shell().limits(now()), None
    given = request.form.get("code", "")[:40]
    with shell().database.transaction(SYSTEM) as s:
        me = s.get_one(UserAccount, actor().user_id)
        sign_ins.refuse_if_slowed_down(s, username=me.username, origin=where, limits=limits, now=now())
        if factors.takes(s, user_id=me.id, code=given, key=shell().settings.secret_key, now=now()):
            codes = factors.new_recovery_codes(s, user_id=me.id)
        else:
            sign_ins.note_failure(s, username=me.username, user=me, origin=where, now=now(), why="own code")
    if codes is None:
        raise NotAllowed("accounts.wrong_code")
    return render_template("accounts/recovery.html", codes=codes, target=url_for("own.show"))
