"""Providers of identities behind one interface: OpenID Connect, and work chat of the kind that gives a user id for a code."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.client import HTTPException
from typing import Any, Protocol
from urllib.parse import urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from fleetapp.kit.errors import NotAllowed
from fleetapp.kit.outward import OPENER
from fleetapp.settings import Settings

LONGEST_ANSWER = 262_144
LONGEST_CLAIM = 255
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures that are taken; none at all and shared-secret ones are not among them."""
SKEW_S = 60
REREAD_KEYS = timedelta(seconds=30)
"""How soon keys are fetched anew for a key that is not among them: forged names of keys must not become a flood."""
REREAD_DIRECTORY = timedelta(hours=1)
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
LOGOUT_OLDEST = timedelta(minutes=10)
"""How old a logout token may be, whatever it says itself: so long its name is remembered."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at a provider: ``subject`` is never given anew; ``name`` is matched with a username once, for the link.

    ``session`` is the provider's name of the session there (``sid``), if it gives one.
    """

    issuer: str
    subject: str
    name: str
    session: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """Whose session ended at a provider: of a subject, of one session, or both; ``jti`` is the message's own name."""

    issuer: str
    subject: str | None
    session: str | None
    jti: str


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and what its session keeps until it comes back."""

    url: str
    kept: dict[str, str]


class Provider(Protocol):
    """One way of proving who one is elsewhere."""

    def begin(self, *, back: str, now: datetime) -> Begun:
        """Return where to send the browser."""

    def identity(self, *, code: str, kept: Mapping[str, str], back: str, now: datetime) -> Identity:
        """Turn the code that the browser brought back into who it is.

        :raises NotAllowed: ``accounts.provider_refused`` with the reason, ``accounts.provider_down``.
        """

    def end_url(self, *, back: str, now: datetime) -> str | None:
        """Return where the sign-in at the provider is ended, if it has such a place."""

    def logged_out(self, raw: str, *, now: datetime) -> LoggedOut:
        """Check the provider's message that somebody has signed out there.

        :raises NotAllowed: ``accounts.provider_refused`` with the reason, ``accounts.provider_down``.
        """


def configured(settings: Settings) -> dict[str, Provider]:
    """Return the providers that the settings switch on."""
    found: dict[str, Provider] = {}
    if settings.oidc_issuer:
        found["oidc"] = OpenId(
            settings.oidc_issuer.rstrip("/"), settings.oidc_client_id, settings.oidc_client_secret, settings.oidc_claim,
            settings.channel_timeout_s,
        )  # fmt: skip
    if settings.work_chat_api_url:
        found["chat"] = WorkChat(
            settings.work_chat_api_url.rstrip("/"), settings.work_chat_login_url, settings.work_chat_corp_id,
            settings.work_chat_agent_id, settings.work_chat_secret, settings.channel_timeout_s,
        )  # fmt: skip
    return found


def _refused(why: str) -> NotAllowed:
    return NotAllowed("accounts.provider_refused", why=why)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    """Return a claim that must be text of a bearable length if it is there.

    :raises NotAllowed: it is something else.
    """
    found = claims.get(name)
    if found is not None and (not isinstance(found, str) or not 0 < len(found) <= LONGEST_CLAIM):
        raise _refused(name)
    return found


def _exchange(url: str, form: Mapping[str, str] | None, timeout_s: float, *, token: str = "") -> dict[str, Any]:
    """Get, or post a form, and read a JSON object.

    :raises NotAllowed: ``accounts.provider_refused``, the provider said no; ``accounts.provider_down``.
    """
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    body = urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(url, body, headers)  # noqa: S310 -- checked by the settings
    try:
        with OPENER.open(request, timeout=timeout_s) as answer:
            found = json.loads(answer.read(LONGEST_ANSWER))
    except urllib.error.HTTPError as error:
        with error:
            if error.code < 500:
                raise _refused(f"HTTP {error.code}") from error
            raise NotAllowed("accounts.provider_down") from error
    except (OSError, HTTPException, ValueError) as error:
        raise NotAllowed("accounts.provider_down") from error
    if not isinstance(found, dict):
        raise NotAllowed("accounts.provider_down")
    return found


@dataclass(slots=True)
class OpenId:
    """OpenID Connect Core 1.0, authorization code flow with PKCE (RFC 7636), state, nonce and discovery."""

    issuer: str
    client_id: str
    client_secret: str
    claim: str
    timeout_s: float
    _directory: dict[str, Any] = field(default_factory=dict)
    _keys: KeySet | None = None
    _directory_at: datetime | None = None
    _keys_at: datetime | None = None

    def directory(self, now: datetime) -> dict[str, Any]:
        """Return the provider's metadata, which must name the configured issuer (OpenID Connect Discovery 1.0 s. 4.3)."""
        if self._directory_at is None or now - self._directory_at >= REREAD_DIRECTORY:
            found = _exchange(f"{self.issuer}/.well-known/openid-configuration", None, self.timeout_s)
            if str(found.get("issuer", "")).rstrip("/") != self.issuer:
                raise _refused("issuer")
            self._directory, self._directory_at = found, now
        return self._directory

    def begin(self, *, back: str, now: datetime) -> Begun:
        """Return the provider's page with a fresh state, nonce and code challenge."""
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce")} | {
            "verifier": secrets.token_urlsafe(48)
        }
        asked = {
            "response_type": "code", "client_id": self.client_id, "redirect_uri": back, "scope": "openid profile",
            "state": kept["state"], "nonce": kept["nonce"], "code_challenge_method": "S256",
            "code_challenge": create_s256_code_challenge(kept["verifier"]),
        }  # fmt: skip
        return Begun(f"{self.directory(now)['authorization_endpoint']}?{urlencode(asked)}", kept)

    def identity(self, *, code: str, kept: Mapping[str, str], back: str, now: datetime) -> Identity:
        """Exchange the code and check the token: signature, issuer, audience, time, nonce, the configured claim."""
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": back, "client_id": self.client_id,
            "client_secret": self.client_secret, "code_verifier": kept["verifier"],
        }  # fmt: skip
        answer = _exchange(self.directory(now)["token_endpoint"], form, self.timeout_s)
        raw = answer.get("id_token")
        if not isinstance(raw, str):
            raise _refused("id_token")
        try:
            token = self._decoded(raw, now)
            options = {
                "iss": {"essential": True, "value": self._directory["issuer"]},
                "aud": {"essential": True, "value": self.client_id},
            }
            given = {"nonce": kept["nonce"], "client_id": self.client_id, "access_token": answer.get("access_token")}
            CodeIDToken(token.claims, token.header, options, given).validate(now=int(now.timestamp()), leeway=SKEW_S)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _refused(getattr(error, "error", "") or type(error).__name__) from error
        name = token.claims.get(self.claim)
        if (
            not isinstance(name, str)
            or not name
            or (self.claim == "email" and token.claims.get("email_verified") is not True)
        ):
            raise _refused(self.claim)
        return Identity(self.issuer, str(token.claims["sub"]), name, _text(token.claims, "sid"))

    def logged_out(self, raw: str, *, now: datetime) -> LoggedOut:
        """Check a logout token (OpenID Connect Back-Channel Logout 1.0 s. 2.6), all but whether it was taken before."""
        try:
            token = self._decoded(raw, now)
            expected = jwt.JWTClaimsRegistry(
                now=int(now.timestamp()), leeway=SKEW_S, exp={"essential": True}, iat={"essential": True},
                iss={"essential": True, "value": self.directory(now)["issuer"]},
                aud={"essential": True, "value": self.client_id},
            )  # fmt: skip
            expected.validate(token.claims)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise _refused(getattr(error, "error", "") or type(error).__name__) from error
        claims, kind = token.claims, str(token.header.get("typ", "")).lower().removeprefix("application/")
        if kind != "logout+jwt":  # no other kind of token of this provider passes for one (ASVS 5.0 V10.5.5)
            raise _refused("typ")
        if now.timestamp() - claims["iat"] > LOGOUT_OLDEST.total_seconds():
            raise _refused("iat")
        events = claims.get("events")
        if not isinstance(events, dict) or not isinstance(events.get(LOGOUT_EVENT), dict):
            raise _refused("events")
        if "nonce" in claims:
            raise _refused("nonce")
        found = LoggedOut(self.issuer, _text(claims, "sub"), _text(claims, "sid"), _text(claims, "jti") or "")
        if not found.jti or not (found.subject or found.session):
            raise _refused("jti" if not found.jti else "sub")
        return found

    def _decoded(self, raw: str, now: datetime) -> jwt.Token:
        """Check the signature; a key that is not known is looked for once more, which is how providers renew theirs."""
        if self._keys is None:
            self._read_keys(now)
        try:
            return self._verified(raw)
        except (JoseError, ValueError):
            if self._keys_at is not None and now - self._keys_at < REREAD_KEYS:
                raise
            self._read_keys(now)
            return self._verified(raw)

    def _verified(self, raw: str) -> jwt.Token:
        keys = self._keys
        if keys is None:
            raise ValueError("no keys")
        return jwt.decode(raw, keys, algorithms=list(ALGORITHMS))

    def _read_keys(self, now: datetime) -> None:
        found = _exchange(self.directory(now)["jwks_uri"], None, self.timeout_s)
        rows = [
            row
            for row in found.get("keys", [])
            if row.get("kty") in {"RSA", "EC", "OKP"} and row.get("use", "sig") == "sig"
        ]
        self._keys, self._keys_at = KeySet.import_key_set({"keys": rows}), now

    def end_url(self, *, back: str, now: datetime) -> str | None:
        """Return the provider's page for signing out (OpenID Connect RP-Initiated Logout 1.0)."""
        end = self.directory(now).get("end_session_endpoint")
        asked = urlencode({"client_id": self.client_id, "post_logout_redirect_uri": back})
        return f"{end}?{asked}" if end else None


@dataclass(slots=True)
class WorkChat:
    """Work chat (企业微信 and those built like it): an application token, then code to user id, each by one call."""

    api_url: str
    login_url: str
    corp_id: str
    agent_id: str
    secret: str
    timeout_s: float
    _token: str = ""
    _token_until: datetime | None = None

    def begin(self, *, back: str, now: datetime) -> Begun:  # noqa: ARG002 -- the interface's
        """Return the chat's page for signing in."""
        kept = {"state": secrets.token_urlsafe(32)}
        asked = {
            "login_type": "CorpApp",
            "appid": self.corp_id,
            "agentid": self.agent_id,
            "redirect_uri": back,
            "state": kept["state"],
        }
        return Begun(f"{self.login_url}?{urlencode(asked)}", kept)

    def identity(self, *, code: str, kept: Mapping[str, str], back: str, now: datetime) -> Identity:  # noqa: ARG002
        """Return who a code belongs to; somebody who is no member of the organisation has no user id."""
        found = self._call("auth/getuserinfo", {"access_token": self._application_token(now), "code": code})
        user = found.get("userid") or found.get("UserId")
        if not isinstance(user, str) or not user:
            raise _refused("userid")
        return Identity(self.api_url, user, user)

    def _application_token(self, now: datetime) -> str:
        if self._token_until is None or now >= self._token_until:
            found = self._call("gettoken", {"corpid": self.corp_id, "corpsecret": self.secret})
            self._token = str(found.get("access_token", ""))
            self._token_until = now + timedelta(seconds=max(0, int(found.get("expires_in", 0)) - 300))
        return self._token

    def _call(self, name: str, given: Mapping[str, str]) -> dict[str, Any]:
        found = _exchange(f"{self.api_url}/{name}?{urlencode(given)}", None, self.timeout_s)
        if found.get("errcode", 0) != 0:
            self._token_until = None
            raise _refused(str(found.get("errcode")))
        return found

    def end_url(self, *, back: str, now: datetime) -> str | None:  # noqa: ARG002
        """Return nothing: the chat is not signed out from here."""
        return None

    def logged_out(self, raw: str, *, now: datetime) -> LoggedOut:  # noqa: ARG002
        """Refuse: the chat sends no such message."""
        raise _refused("logout_token")
