"""The request's actor, clock reading and transaction. Views and APIs get these here and pass them on."""

import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, request, session
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.orm import Session

from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.db import Database
from fleetapp.kit.errors import NotSignedIn
from fleetapp.settings import Settings

SESSION_TOKEN = "token"  # noqa: S105 -- the name of the cookie's entry
csrf = CSRFProtect()
REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,40}")
"""What is taken for an id of the reverse proxy; anything else could write into the logs."""


@dataclass(frozen=True, slots=True)
class Shell:
    """What wiring gives to every request. ``resume(session, token, now)`` turns a token into its actor, or None.

    ``limits(now)`` are the policy figures of sign-in, ``providers`` the ways of signing in elsewhere by name.
    """

    database: Database
    settings: Settings
    resume: Callable[..., Actor | None]
    menu: tuple[Any, ...]
    limits: Callable[[datetime], Any]
    providers: Mapping[str, Any]


def shell() -> Shell:
    """Return the running application's parts."""
    found: Shell = current_app.extensions["fleet"]
    return found


def now() -> datetime:
    """Return the moment of this request: the same for everything it does."""
    if "now" not in g:
        g.now = clock.now()
    moment: datetime = g.now
    return moment


def bearer() -> str | None:
    """Return the token of an ``Authorization: Bearer`` header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


UNATTENDED = frozenset({"notices.bell", "api_tracking.Positions", "board.data", "dashboard.fragment", "lab.progress"})
"""What every open page asks for by itself, whether or not anybody sits before it."""


def find_actor() -> Actor | None:
    """Return who is signed in, or None."""
    if "actor" not in g:
        token = bearer() or session.get(SESSION_TOKEN)
        by_hand = request.endpoint not in UNATTENDED or bearer() is not None
        g.actor = shell().resume(shell().database, token=token, now=now(), by_hand=by_hand) if token else None
    actor: Actor | None = g.actor
    return actor


def actor() -> Actor:
    """Return who is signed in.

    :raises NotSignedIn: nobody, or the sign-in has expired.
    """
    found = find_actor()
    if found is None:
        raise NotSignedIn("kit.not_signed_in")
    return found


def origin() -> tuple[str, str]:
    """Return where the request comes from: the peer's address as the server knows it, and the program's own name."""
    return request.remote_addr or "", request.headers.get("User-Agent", "")


def transaction() -> AbstractContextManager[Session]:
    """Open the transaction of this request as its actor; it commits at the end of the block."""
    return shell().database.transaction(actor())


def allowed(action: str, **where: Any) -> bool:
    """Tell a template whether to show a button."""
    found = find_actor()
    return found is not None and permits.may(action, found, **where)


PUBLIC = frozenset({"static", "phone.app", "phone.manifest", "phone.worker", "accounts.sign_in", "accounts.sign_in_post", "accounts.language",
                    "second.code", "second.code_post", "second.enrol", "second.enrol_post", "second.renew", "second.renew_post", "sso.start", "sso.back", "sso.end", "sso.logged_out", "shell.healthz", "operations.readyz", "operations.metrics",
                    "slips.verify", "slips.keys", "slips.offline"})  # fmt: skip
NO_COOKIE = frozenset({"api_accounts.Tokens", "sso.logged_out"})
"""Go by what is in the request alone: there is nothing that a browser would add, so nothing to forge."""


def init_app(app: Flask, parts: Shell) -> None:
    """Ask everybody to sign in except on public pages; check CSRF on everything a browser's cookie could send."""
    app.extensions["fleet"] = parts
    csrf.init_app(app)

    @app.before_request
    def name_request() -> None:
        given = request.headers.get("X-Request-ID", "")
        g.request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def tell_request(response: Response) -> Response:
        if "request_id" in g:
            response.headers["X-Request-ID"] = g.request_id
        return response

    @app.before_request
    def guard() -> None:
        endpoint = request.endpoint or ""
        if bearer() is None and request.method not in {"GET", "HEAD", "OPTIONS"} and endpoint not in NO_COOKIE:
            csrf.protect()
        if endpoint and endpoint not in PUBLIC and not endpoint.startswith(("api-docs", "api_accounts.Tokens")):
            actor()
