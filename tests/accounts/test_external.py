"""Signing in with a provider of identities that runs beside the test and can be told to lie."""

import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from sqlalchemy import select

from fleetapp.accounts.models import ExternalIdentity, UserAccount
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from tests.accounts.identities import CLIENT, SECRET, Chat, Issuer, chat_server, provider, serving
from tests.conftest import SignedIn, app_on


@pytest.fixture(scope="module")
def key():
    """A key for all tests: making one takes a while."""
    return Issuer().key


@pytest.fixture
def issuer(key):
    state = Issuer(key=key)
    with serving(provider(state), state):
        yield state


@pytest.fixture
def visit(settings, database, issuer):
    """Return a maker of browsers of an application that knows the issuer."""
    app = app_on(database, replace(settings, oidc_issuer=issuer.url, oidc_client_id=CLIENT, oidc_client_secret=SECRET))
    app.test_client_class = SignedIn
    return app.test_client


def come_back(client, issuer, path="/sso/oidc?next=/orders"):
    """Go to the provider, sign in there, and come back."""
    away = client.get(path).headers["Location"]
    assert away.startswith(f"{issuer.url}/authorize?")
    back = urlsplit(issuer.authorize(away))
    return client.get(f"{back.path}?{back.query}"), f"{back.path}?{back.query}"


def test_the_first_time_links_the_account_of_that_name_and_the_subject_counts_from_then_on(visit, issuer, database):
    client = visit()
    assert "统一身份认证登录" in client.get("/sign-in").get_data(as_text=True)
    answer, _ = come_back(client, issuer)
    assert answer.headers["Location"] == "/orders"
    assert client.get("/orders").status_code == 200
    asked = issuer.asked[0]
    assert (asked["response_type"], asked["code_challenge_method"], asked["scope"]) == (
        "code",
        "S256",
        "openid profile",
    )
    assert min(len(asked[name]) for name in ("state", "nonce", "code_challenge")) >= 43
    with database.transaction(SYSTEM) as session:
        linked = session.scalars(select(ExternalIdentity)).one()
        assert (linked.issuer, linked.subject, linked.user.username) == (issuer.url, "u-1", "applicant.xhedu")
    issuer.user = {"sub": "u-1", "preferred_username": "system_admin.city"}
    again = visit()
    come_back(again, issuer)
    with again.session_transaction() as kept:
        assert kept["token"]
    assert again.get("/accounts/new").status_code == 403, "a name that changes makes nobody an administrator"
    issuer.user = {"sub": "u-2", "preferred_username": "applicant.xhedu"}
    refused, _ = come_back(visit(), issuer)
    assert refused.status_code == 422, "the name now belongs to somebody else there"


LIES = {
    "nonce of another": {"nonce": "x"},
    "no nonce": {"nonce": None},
    "run out": {"exp": 1_700_000_000},
    "not yet": {"iat": 4_000_000_000},
    "for somebody else": {"aud": "another client"},
    "for several, authorized another": {"aud": [CLIENT, "another"], "azp": "another"},
    "foreign issuer": {"iss": "https://evil.example"},
    "no subject": {"sub": None},
    "no name": {"preferred_username": None},
    "access token of another": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_for_us_now_is_refused_with_a_page(visit, issuer, lie):
    issuer.claims = LIES[lie]
    client = visit()
    answer, _ = come_back(client, issuer)
    assert answer.status_code == 403
    assert "未通过校验" in answer.get_data(as_text=True)
    assert client.get("/orders").status_code == 302


def test_signatures_that_are_none_or_of_unknown_keys_are_refused(visit, issuer):
    issuer.unsigned = True
    assert come_back(visit(), issuer)[0].status_code == 403
    issuer.unsigned = False
    issuer.published = [issuer.key]
    issuer.renew("stranger", publish=False)
    assert come_back(visit(), issuer)[0].status_code == 403


def test_a_renewed_key_is_fetched(visit, issuer):
    issuer.renew("second")
    assert come_back(visit(), issuer)[0].status_code == 302


def test_a_minute_of_skew_is_forgiven(visit, issuer):
    now = int(time.time())
    issuer.claims = {"iat": now + 30, "exp": now - 30}
    assert come_back(visit(), issuer)[0].status_code == 302


def test_an_answer_counts_once_and_only_in_the_browser_that_asked(visit, issuer):
    client = visit()
    answer, back = come_back(client, issuer)
    assert answer.status_code == 302
    assert "已失效" in client.get(back).get_data(as_text=True)
    other = visit()
    other.get("/sso/oidc")
    assert other.get(back).status_code == 403
    assert visit().get(back).status_code == 403


def test_a_code_of_somebody_else_does_not_fit_the_own_verifier(visit, issuer):
    victim, thief = visit(), visit()
    stolen = (
        urlsplit(issuer.authorize(victim.get("/sso/oidc").headers["Location"])).query.split("code=")[1].split("&")[0]
    )
    own_state = issuer.authorize(thief.get("/sso/oidc").headers["Location"]).split("state=")[1]
    answer = thief.get(f"/sso/oidc/back?code={stolen}&state={own_state}")
    assert answer.status_code == 403
    assert "HTTP 400" in answer.get_data(as_text=True)


def test_nobody_gets_an_account_and_no_administrator_a_link_by_coming(visit, issuer, database):
    with database.transaction(SYSTEM) as session:
        before = len(session.scalars(select(UserAccount.id)).all())
    for user, said in (("who.is.this", "没有账号"), ("system_admin.city", "先用密码登录")):
        issuer.user = {"sub": "u-9", "preferred_username": user}
        answer, _ = come_back(visit(), issuer)
        assert answer.status_code == 403
        assert said in answer.get_data(as_text=True)
    with database.transaction(SYSTEM) as session:
        assert len(session.scalars(select(UserAccount.id)).all()) == before
        assert session.scalars(select(ExternalIdentity.id)).all() == []


def test_who_refuses_there_or_finds_nobody_is_told(visit, issuer):
    client = visit()
    state = issuer.authorize(client.get("/sso/oidc").headers["Location"]).split("state=")[1]
    assert "access_denied" in client.get(f"/sso/oidc/back?error=access_denied&state={state}").get_data(as_text=True)
    other = visit()
    away = other.get("/sso/oidc").headers["Location"]
    issuer.down = True
    back = urlsplit(issuer.authorize(away))
    assert "暂时无法访问" in other.get(f"{back.path}?{back.query}").get_data(as_text=True)
    assert visit().get("/sso/other").status_code == 404


def test_the_provider_is_left_too(visit, issuer):
    assert (
        visit()
        .get("/sso/oidc/end")
        .headers["Location"]
        .startswith(f"{issuer.url}/end?client_id={CLIENT}&post_logout_redirect_uri=")
    )


def test_work_chat_gives_a_user_id_for_a_code(settings, database):
    chat = Chat()
    with serving(chat_server(chat), chat):
        known = replace(settings, work_chat_api_url=chat.url, work_chat_login_url=f"{chat.url}/login", work_chat_corp_id="c",
                        work_chat_agent_id="1", work_chat_secret=SECRET)  # fmt: skip
        app = create_app(known, database)
        app.testing = True

        def come(code, client=None):
            client = client or app.test_client()
            away = client.get("/sso/chat").headers["Location"]
            assert away.startswith(f"{chat.url}/login?login_type=CorpApp&appid=c&agentid=1&redirect_uri=")
            return client.get(f"/sso/chat/back?code={code}&state={away.split('state=')[1]}")

        chat.codes = {"good": {"userid": "applicant.xhedu"}, "guest": {"openid": "x"}}
        assert come("good").status_code == 302
        assert come("good").status_code == 403, "a code counts once"
        assert come("guest").status_code == 403, "somebody outside the organisation"
        assert chat.tokens == 2, "the application's token is kept until a refusal"
