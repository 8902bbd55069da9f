"""Two providers of identities on real sockets: one of OpenID Connect, one of work chat. Each can be told to misbehave."""

import base64
import hashlib
import secrets
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

CLIENT, SECRET = "fleet", "secret of the client"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass
class Issuer:
    """What the provider does: who signs in, with which key it signs, and what it gets wrong."""

    url: str = ""
    user: dict = field(default_factory=lambda: {"sub": "u-1", "preferred_username": "applicant.xhedu"})
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first", "use": "sig"}))
    published: list = field(default_factory=list)
    claims: dict = field(default_factory=dict)
    ending: dict = field(default_factory=dict)
    unsigned: bool = False
    down: bool = False
    codes: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)

    def renew(self, kid, *, publish=True):
        """Sign with a new key from now on."""
        self.key = RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})
        if publish:
            self.published = [self.key]

    def authorize(self, address):
        """Be the person at the provider's page: sign in, agree, and return where the browser is sent back to."""
        given = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self.asked.append(given)
        code = f"code-{len(self.codes)}"
        self.codes[code] = given
        return f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}"

    def logout_token(self, kind="logout+jwt", key=None, **more):
        """Return the message that somebody has signed out; None leaves a claim out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_hex(8),
            "events": {LOGOUT_EVENT: {}},
            "sub": self.user["sub"],
            **more,
        }
        header = {"alg": "RS256", "kid": self.key.kid} | ({"typ": kind} if kind else {})
        return jwt.encode(header, {name: value for name, value in claims.items() if value is not None}, key or self.key)

    def token(self, asked):
        """Return the token's claims and header of a request for authorization."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.user,
            **self.claims,
        }
        return {name: value for name, value in claims.items() if value is not None}


def provider(issuer):
    app = Flask("issuer")

    @app.before_request
    def down():
        return ("", 503) if issuer.down else None

    @app.get("/.well-known/openid-configuration")
    def directory():
        return jsonify(issuer=issuer.url, authorization_endpoint=f"{issuer.url}/authorize", token_endpoint=f"{issuer.url}/token",
                       jwks_uri=f"{issuer.url}/keys", end_session_endpoint=f"{issuer.url}/end",
                       backchannel_logout_supported=True, backchannel_logout_session_supported=True)  # fmt: skip

    @app.get("/keys")
    def keys():
        return jsonify(keys=[key.as_dict(private=False) for key in issuer.published or [issuer.key]])

    @app.get("/authorize")
    def authorize():
        return redirect(issuer.authorize(request.url))

    @app.get("/end")
    def end():
        """Sign out here, and tell the application over the network, as the provider does."""
        with suppress(urllib.error.HTTPError):
            body = urlencode({"logout_token": issuer.logout_token(**issuer.ending)}).encode()
            with urllib.request.urlopen(request.args["tell"], body, timeout=10) as answer:
                return "", answer.status
        return "", 502

    @app.post("/token")
    def token():
        form = request.form
        asked = issuer.codes.pop(form["code"], None)
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        )
        fits = asked and (asked["code_challenge"], asked["code_challenge_method"]) == (challenge, "S256")
        if not fits or form["client_secret"] != SECRET or form["redirect_uri"] != asked["redirect_uri"]:
            return jsonify(error="invalid_grant"), 400
        claims = issuer.token(asked)
        if issuer.unsigned:
            parts = [b'{"alg":"none"}', app.json.dumps(claims).encode(), b""]
            raw = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        else:
            raw = jwt.encode({"alg": "RS256", "kid": issuer.key.kid}, claims, issuer.key)
        return jsonify(access_token="a", token_type="Bearer", id_token=raw)

    return app


@dataclass
class Chat:
    """Work chat: who a code belongs to, and how often its application token was asked for."""

    url: str = ""
    codes: dict = field(default_factory=dict)
    tokens: int = 0


def chat_server(chat):
    app = Flask("chat")

    @app.get("/gettoken")
    def gettoken():
        if request.args.get("corpsecret") != SECRET:
            return jsonify(errcode=40001, errmsg="invalid secret")
        chat.tokens += 1
        return jsonify(errcode=0, access_token="t", expires_in=7200)

    @app.get("/auth/getuserinfo")
    def getuserinfo():
        user = chat.codes.pop(request.args["code"], None)
        if request.args.get("access_token") != "t" or user is None:
            return jsonify(errcode=40029, errmsg="invalid code")
        return jsonify(errcode=0, **user)

    return app


@contextmanager
def serving(app, state):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
