"""The provider says that somebody has signed out there: what it must prove, and which sign-ins end."""

import time
import urllib.request
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from sqlalchemy import select

from fleetapp.accounts.models import LogoutToken
from fleetapp.audit.models import AuditEntry
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from tests import world
from tests.accounts.identities import CLIENT, LOGOUT_EVENT, SECRET, Issuer, provider, serving
from tests.accounts.test_external import come_back, issuer, key, visit  # noqa: F401 -- fixtures


def tell(client, token):
    return client.post("/sso/oidc/logged-out", data={"logout_token": token})


def enter(visit, issuer, **claims):  # noqa: F811
    issuer.claims = claims
    client = visit()
    answer, _ = come_back(client, issuer)
    assert answer.status_code == 302
    return client


def is_in(client):
    return client.get("/account").status_code == 200


def test_one_session_ends_and_the_others_go_on(visit, issuer, database):  # noqa: F811
    desk, phone = enter(visit, issuer, sid="desk"), enter(visit, issuer, sid="phone")
    answer = tell(visit(), issuer.logout_token(sid="desk", sub=None))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert (is_in(desk), is_in(phone)) == (False, True)
    with database.transaction(SYSTEM) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "accounts.signed_out_there")).one()
    assert (entry.subject_id, entry.data) == (str(world.user_id(database, "applicant.xhedu")), {"issuer": issuer.url})


def test_without_a_session_all_of_the_subject_end_but_not_those_by_password(visit, issuer, database):  # noqa: F811
    desk, phone = enter(visit, issuer, sid="desk"), enter(visit, issuer)
    issuer.user = {"sub": "u-2", "preferred_username": "applicant.xhhealth"}
    other = enter(visit, issuer, sid="other")
    own = visit()
    page = own.get("/sign-in").get_data(as_text=True)
    own.csrf = page.split('name="csrf-token" content="')[1].split('"')[0]
    own.submit("/sign-in", username="applicant.xhedu", password=world.PASSWORD)
    assert tell(visit(), issuer.logout_token(sub="u-1")).status_code == 200
    assert [is_in(client) for client in (desk, phone, other, own)] == [False, False, True, True]


def test_a_session_of_another_subject_does_not_end(visit, issuer):  # noqa: F811
    desk = enter(visit, issuer, sid="desk")
    assert tell(visit(), issuer.logout_token(sid="desk", sub="u-9")).status_code == 200, "nothing to end is no fault"
    assert is_in(desk)


NOW = int(time.time())
LIES = {
    "for another client": {"aud": "another"},
    "of another issuer": {"iss": "https://evil.example"},
    "without an issuer": {"iss": None},
    "without an audience": {"aud": None},
    "run out": {"exp": NOW - 300},
    "without an end": {"exp": None},
    "from the future": {"iat": NOW + 4000, "exp": NOW + 5000},
    "old with a long life": {"iat": NOW - 3600, "exp": NOW + 86_400},
    "without a time": {"iat": None},
    "with a time that is none": {"iat": "now"},
    "about nobody": {"sub": None},
    "about a number": {"sub": 7},
    "with an empty session": {"sid": ""},
    "without a name of its own": {"jti": None},
    "with a nonce, as an identity token has": {"nonce": "n"},
    "without an event": {"events": None},
    "with another event": {"events": {"http://schemas.openid.net/event/other": {}}},
    "with an event that is no object": {"events": {LOGOUT_EVENT: True}},
    "with events in a list": {"events": [LOGOUT_EVENT]},
}


@pytest.fixture
def desk(visit, issuer):  # noqa: F811
    return enter(visit, issuer, sid="desk")


def refused(client, token, desk, why=""):
    answer = tell(client, token)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request"), why
    assert answer.headers["Cache-Control"] == "no-store", why
    assert is_in(desk), why


def test_a_message_that_lies_ends_nothing(visit, issuer, desk):  # noqa: F811
    for lie, claims in LIES.items():
        refused(visit(), issuer.logout_token(**claims), desk, lie)
    for kind in ("at+jwt", "JWT", None):
        refused(visit(), issuer.logout_token(kind), desk, kind)
    assert tell(visit(), issuer.logout_token("application/logout+jwt", sid="none")).status_code == 200


def test_a_message_that_the_provider_did_not_sign_ends_nothing(visit, issuer, desk):  # noqa: F811
    stranger = RSAKey.generate_key(2048, {"kid": issuer.key.kid})
    refused(visit(), issuer.logout_token(key=stranger), desk)
    claims = {"iss": issuer.url, "aud": CLIENT, "iat": NOW, "exp": NOW + 120, "jti": "x", "events": {LOGOUT_EVENT: {}}, "sub": "u-1"}  # fmt: skip
    refused(visit(), jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET)), desk)
    good = issuer.logout_token()
    for broken in ("", "x", f"{good.rsplit('.', 1)[0]}.", "eyJhbGciOiJub25lIn0." + good.split(".")[1] + "."):
        refused(visit(), broken, desk)
    assert visit().post("/sso/oidc/logged-out").status_code == 400
    assert visit().post("/sso/chat/logged-out").status_code == 404
    assert visit().get("/sso/oidc/logged-out").status_code in {404, 405}


def test_a_message_counts_once(visit, issuer, desk, database):  # noqa: F811
    token = issuer.logout_token(sid="another", sub=None)
    assert tell(visit(), token).status_code == 200
    refused(visit(), token, desk)
    with database.transaction(SYSTEM) as session:
        assert len(session.scalars(select(LogoutToken)).all()) == 1


def test_a_provider_that_is_away_is_asked_again_later(visit, issuer, desk):  # noqa: F811
    issuer.down = True
    fresh = visit()
    fresh.application.extensions["fleet"].providers["oidc"]._directory_at = None
    answer = tell(fresh, issuer.logout_token())
    assert (answer.status_code, answer.json["error"]) == (503, "temporarily_unavailable")


def test_over_the_network(settings, live_database, live_database_url):
    """Provider and application on sockets of their own: signed out there, signed out here."""
    issuer = Issuer()  # noqa: F811
    with serving(provider(issuer), issuer):
        known = replace(settings, database_url=live_database_url, oidc_issuer=issuer.url, oidc_client_id=CLIENT, oidc_client_secret=SECRET)  # fmt: skip
        app, here = create_app(known, live_database), SimpleNamespace(url="")
        with serving(app, here):
            client = app.test_client()
            issuer.claims = issuer.ending = {"sid": "desk"}
            come_back(client, issuer)
            assert is_in(client)
            address = urlencode({"tell": f"{here.url}/sso/oidc/logged-out"})
            with urllib.request.urlopen(f"{issuer.url}/end?{address}", timeout=20) as answer:
                assert answer.status == 200
            assert not is_in(client)
