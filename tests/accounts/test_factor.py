"""The second factor: enrolment, codes once and near now, recovery codes, slow-down, reset by somebody else."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import CryptoError
from sqlalchemy import select, text

from fleetapp.accounts import factors, resets, rules
from fleetapp.accounts.models import RecoveryCode
from fleetapp.audit.models import AuditEntry
from fleetapp.factory import create_app
from fleetapp.kit import sealed
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from tests import world
from tests.conftest import SignedIn

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
SITE = "https://fleet.example"
START = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)


def code_at(secret, at):
    return pyotp.TOTP(secret).at(at)


@given(st.integers(-4, 4), st.integers(0, 29), st.integers(-3, 3))
def test_a_code_counts_one_step_either_way_and_never_again(offset, second, last):
    now = START + timedelta(seconds=second)
    current = int(now.timestamp()) // 30
    found = rules.step_of(SECRET, code_at(SECRET, (current + offset) * 30), now=now, last_step=current + last)
    assert (found is not None) == (abs(offset) <= 1 and offset > last)
    assert found in {None, current + offset}


def test_rfc_6238_vectors():
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # appendix B, SHA-1, the last six digits
    for seconds, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert rules.step_of(secret, code, now=datetime.fromtimestamp(seconds, UTC), last_step=0) == seconds // 30


def test_a_secret_is_sealed_for_its_use_and_key():
    content = sealed.seal("key", "one", SECRET)
    assert SECRET.encode() not in content
    assert sealed.unseal("key", "one", content) == SECRET
    for key, purpose in (("other", "one"), ("key", "two")):
        with pytest.raises(CryptoError):
            sealed.unseal(key, purpose, content)


@pytest.fixture
def enrolled(database, now):
    """Give an account a second factor; returns its secret and recovery codes."""

    def make(username):
        who = world.actor(database, username)
        with database.transaction(SYSTEM) as session:
            secret = factors.begin(session, user_id=who.user_id, key="only for tests", now=now)
            session.flush()
            codes = factors.confirm(
                session, user_id=who.user_id, code=code_at(secret, now), key="only for tests", actor=who, now=now
            )
        return secret, codes

    return make


@pytest.fixture
def clock():
    with time_machine.travel(START + timedelta(minutes=5), tick=False) as traveller:
        yield traveller


def half_way(browse, username="auditor.city"):
    client = browse()
    answer = client.submit("/sign-in", username=username, password=world.PASSWORD, next="/accounts")
    assert answer.headers["Location"] == "/sign-in/code?next=/accounts"
    page = client.get("/sign-in/code?next=/accounts").get_data(as_text=True)
    client.csrf = page.split('name="csrf-token" content="')[1].split('"')[0]
    return client


def test_with_the_password_alone_nothing_opens(browse, enrolled, clock):
    secret, _ = enrolled("auditor.city")
    client = half_way(browse)
    with client.session_transaction() as kept:
        half = kept["token"]
    for path in ("/accounts", "/home", "/account", "/api/v1/me"):
        assert client.get(path).status_code in {302, 401}, path
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {half}"}).status_code == 401
    done = client.submit("/sign-in/code", code=code_at(secret, clock_now()), next="/accounts")
    assert done.headers["Location"] == "/accounts"
    assert client.get("/accounts").status_code == 200
    with client.session_transaction() as kept:
        assert kept["token"] != half, "a new token with the new rights"


def clock_now():
    return datetime.now(tz=UTC)


def test_the_same_code_is_not_taken_twice_and_drift_is_one_step(browse, enrolled, clock):
    secret, _ = enrolled("auditor.city")
    code = code_at(secret, clock_now())
    assert half_way(browse).submit("/sign-in/code", code=code).status_code == 302
    again = half_way(browse).submit("/sign-in/code", code=code)
    assert again.status_code == 403
    assert "不对或已用过" in again.get_data(as_text=True)
    clock.shift(timedelta(minutes=2))
    assert (
        half_way(browse).submit("/sign-in/code", code=code_at(secret, clock_now() - timedelta(seconds=60))).status_code
        == 403
    )
    assert (
        half_way(browse).submit("/sign-in/code", code=code_at(secret, clock_now() - timedelta(seconds=30))).status_code
        == 302
    )


def test_wrong_codes_slow_down_and_time_runs_out(browse, enrolled, clock):
    secret, _ = enrolled("auditor.city")
    client = half_way(browse)
    for _ in range(5):
        assert client.submit("/sign-in/code", code="000000").status_code == 403
    refused = client.submit("/sign-in/code", code=code_at(secret, clock_now()))
    assert refused.status_code == 403
    assert "15 分钟" in refused.get_data(as_text=True)
    clock.shift(timedelta(minutes=16))
    late = client.submit("/sign-in/code", code=code_at(secret, clock_now()))
    assert late.headers["Location"] == "/sign-in", "ten minutes after the password one starts again"
    assert half_way(browse).submit("/sign-in/code", code=code_at(secret, clock_now())).status_code == 302


def test_a_recovery_code_works_once_and_is_kept_as_a_hash(browse, enrolled, clock, database):
    _, codes = enrolled("auditor.city")
    assert len(set(codes)) == 8
    with database.transaction(SYSTEM) as session:
        kept = session.scalars(select(RecoveryCode.sha256)).all()
    assert not set(kept) & {code.replace("-", "") for code in codes}
    assert half_way(browse).submit("/sign-in/code", code=codes[0].upper()).status_code == 302
    assert half_way(browse).submit("/sign-in/code", code=codes[0]).status_code == 403
    assert half_way(browse).submit("/sign-in/code", code=codes[1].replace("-", " ")).status_code == 302


def test_a_program_sends_the_code_along(app, enrolled, clock):
    secret, _ = enrolled("auditor.city")
    asked = {"username": "auditor.city", "password": world.PASSWORD}
    client = app.test_client()
    assert client.post("/api/v1/tokens", json=asked).json["code"] == "accounts.code_needed"
    assert client.post("/api/v1/tokens", json=asked | {"code": "000000"}).json["code"] == "accounts.wrong_code"
    assert client.post("/api/v1/tokens", json=asked | {"code": code_at(secret, clock_now())}).status_code == 201


def csrf_of(answer):
    return answer.get_data(as_text=True).split('name="csrf-token" content="')[1].split('"')[0]


def test_an_administrator_must_have_one_in_production(settings, database, clock):
    app = create_app(replace(settings, env="production", cookie_secure=True), database)
    app.testing = True
    app.test_client_class = SignedIn
    client = app.test_client()

    def submit(path, **form):
        return client.post(
            path, data={"csrf_token": client.csrf, **form}, base_url=SITE, headers={"Referer": f"{SITE}/"}
        )

    client.csrf = csrf_of(client.get("/sign-in", base_url=SITE))
    answer = submit("/sign-in", username="system_admin.city", password=world.PASSWORD)
    assert answer.headers["Location"].startswith("/sign-in/enrol")
    assert client.get("/accounts", base_url=SITE).status_code == 302
    page = client.get("/sign-in/enrol", base_url=SITE)
    client.csrf, words = csrf_of(page), page.get_data(as_text=True)
    assert 'src="data:image/svg+xml' in words
    secret = re.search(r'fleet-secret">([A-Z2-7 ]+)<', words)[1].replace(" ", "")
    assert submit("/sign-in/enrol", code="000000").status_code == 422
    done = submit("/sign-in/enrol", code=code_at(secret, clock_now()))
    assert len(re.findall(r"<code>[a-z2-7]{4}(?:-[a-z2-7]{4}){3}</code>", done.get_data(as_text=True))) == 8
    assert client.get("/accounts", base_url=SITE).status_code == 200
    token = app.test_client().post(
        "/api/v1/tokens", json={"username": "audit_admin.city", "password": world.PASSWORD}, base_url=SITE
    )
    assert token.json["code"] == "accounts.enrol_first"
    other = app.test_client()
    other.csrf = csrf_of(other.get("/sign-in", base_url=SITE))
    form = {"csrf_token": other.csrf, "username": "applicant.xhedu", "password": world.PASSWORD}
    assert other.post("/sign-in", data=form, base_url=SITE, headers={"Referer": f"{SITE}/"}).headers["Location"] == "/"


def test_anybody_may_set_one_up_on_the_own_page(browse, clock):
    client = browse("applicant.xhedu")
    page = client.submit("/account/factor").get_data(as_text=True)
    secret = re.search(r'fleet-secret">([A-Z2-7 ]+)<', page)[1].replace(" ", "")
    assert client.submit("/account/factor/confirm", code="000000").status_code == 422
    assert "备用码" in client.submit("/account/factor/confirm", code=code_at(secret, clock_now())).get_data(
        as_text=True
    )
    assert client.submit("/account/factor").status_code == 422, "there is one already"
    assert client.submit("/account/factor/codes", code="000000").status_code == 403
    clock.shift(timedelta(seconds=30))
    assert "备用码" in client.submit("/account/factor/codes", code=code_at(secret, clock_now())).get_data(as_text=True)


def test_only_another_administrator_takes_it_away_and_the_log_says_why(database, enrolled, acting, session_as, now):
    enrolled("security_admin.city")
    mine = world.user_id(database, "security_admin.city")

    def reset(username, reason="手机遗失"):
        with session_as(username) as session:
            resets.factor(session, user_id=mine, reason=reason, actor=acting(username), now=now)

    with pytest.raises(NotAllowed, match="own_row"):
        reset("security_admin.city")
    with session_as("fleet_manager.city") as session:
        assert session.execute(text("DELETE FROM second_factor WHERE user_id = :id"), {"id": mine}).rowcount == 0
    with pytest.raises(RuleBroken, match="reason_missing"):
        reset("system_admin.city", " ")
    reset("system_admin.city")
    with database.transaction(SYSTEM) as session:
        assert not factors.is_on(session, user_id=mine)
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "accounts.factor_reset")).one()
    assert entry.data["reason"] == "手机遗失"
    assert entry.actor_name == acting("system_admin.city").name
