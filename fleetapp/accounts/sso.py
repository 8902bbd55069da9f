"""To a provider of identities and back, and what the provider tells by itself."""

import hmac
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, request, session, url_for
from werkzeug import Response

from fleetapp.accounts import external, sign_ins
from fleetapp.accounts.browser import carry_on, safe_target
from fleetapp.accounts.models import UserAccount
from fleetapp.accounts.providers import Provider
from fleetapp.kit.errors import NotAllowed, NotFound
from fleetapp.web.request import find_actor, now, origin, shell, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("sso", __name__, url_prefix="/sso")
KEPT = "sso"


def _provider(name: str) -> Provider:
    found: Provider | None = shell().providers.get(name)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def _outside(endpoint: str, **values: Any) -> str:
    """Return an address of ours as the provider knows it."""
    base = shell().settings.public_url.rstrip("/")
    return f"{base}{url_for(endpoint, **values)}" if base else url_for(endpoint, _external=True, **values)


@blueprint.get("/<provider>")
def start(provider: str) -> Response:
    """Go to the provider; somebody who is signed in already comes back to link the identity."""
    begun = _provider(provider).begin(back=_outside("sso.back", provider=provider), now=now())
    session[KEPT] = begun.kept | {"provider": provider, "next": safe_target(request.args.get("next"))}
    return redirect(begun.url)


@blueprint.get("/<provider>/back")
def back(provider: str) -> Response:
    """Take the provider's answer, once."""
    one, kept = _provider(provider), session.pop(KEPT, {})
    state = request.args.get("state", "")
    if kept.get("provider") != provider or not hmac.compare_digest(state.encode(), kept.get("state", "").encode()):
        raise NotAllowed("accounts.provider_state")
    code = request.args.get("code", "")
    if not code:
        raise NotAllowed("accounts.provider_refused", why=request.args.get("error", "code")[:60])
    identity = one.identity(code=code, kept=kept, back=_outside("sso.back", provider=provider), now=now())
    if (me := find_actor()) is not None:
        with transaction() as s:
            external.link(s, s.get_one(UserAccount, me.user_id), identity, actor=me, now=now())
        flash(t("accounts.linked_done"))
        return redirect(url_for("own.show"))
    opened = external.sign_in(
        shell().database, identity=identity, limits=shell().limits(now()), origin=sign_ins.Origin(*origin()), now=now()
    )
    return carry_on(opened, kept["next"])


@blueprint.get("/<provider>/end")
def end(provider: str) -> Response:
    """Sign out at the provider too."""
    target = _provider(provider).end_url(back=_outside("accounts.sign_in"), now=now())
    return redirect(target or url_for("accounts.sign_in"))


@blueprint.post("/<provider>/logged-out")
def logged_out(provider: str) -> tuple[Response, int]:
    """Hear from the provider that somebody has signed out there (OpenID Connect Back-Channel Logout 1.0 s. 2.5, 2.8)."""
    one = _provider(provider)
    try:
        told = one.logged_out(request.form.get("logout_token", ""), now=now())
        external.signed_out_there(shell().database, told=told, now=now())
    except NotAllowed as refused:
        down = refused.code == "accounts.provider_down"
        error = "temporarily_unavailable" if down else "invalid_request"
        return jsonify(
            error=error, error_description=t(refused.code, lang="en", **refused.params)
        ), 503 if down else 400
    return jsonify(), 200
