"""What every way of signing in does to the browser's session."""

from urllib.parse import urlsplit

from flask import redirect, session, url_for
from werkzeug import Response

from fleetapp.accounts import sign_ins
from fleetapp.accounts.rules import Stage
from fleetapp.kit.actor import SYSTEM
from fleetapp.web.request import SESSION_TOKEN, now, shell


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


def carry_on(opened: sign_ins.Opened, target: str) -> Response:
    """Put a new sign-in in the place of whatever the browser had, and go to its next step."""
    if old := session.get(SESSION_TOKEN):
        with shell().database.transaction(SYSTEM) as s:
            sign_ins.sign_out(s, token=old, actor=opened.actor, now=now())
    session.clear()
    session[SESSION_TOKEN] = opened.token
    if opened.stage is Stage.FULL:
        return redirect(target)
    return redirect(url_for(f"second.{opened.stage}", next=target))
