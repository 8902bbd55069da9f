"""A start without secrets, with weak ones, or with a name nobody knows is refused with a sentence that says what to do."""

import secrets

import pytest

from fleetapp.settings import SECRETS, SettingsError, load

BASE = {"FLEET_DATABASE_URL": "postgresql://x/y"}
STRONG = secrets.token_hex(32)
PRODUCTION = BASE | {"FLEET_ENV": "production", "FLEET_COOKIE_SECURE": "1"}


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (BASE, "FLEET_SECRET_KEY or FLEET_SECRET_KEY_FILE is not set"),
        (PRODUCTION | {"FLEET_SECRET_KEY": "only for tests"}, "FLEET_SECRET_KEY is weak"),
        (PRODUCTION | {"FLEET_SECRET_KEY": "ab" * 32}, "FLEET_SECRET_KEY is weak"),
        ({**PRODUCTION, "FLEET_COOKIE_SECURE": "0", "FLEET_SECRET_KEY": STRONG}, "FLEET_COOKIE_SECURE=1 is required"),
        (BASE | {"FLEET_SECRET_KEY_FILE": "/nowhere/key"}, "cannot be read"),
        (BASE | {"FLEET_SECRET_KEY": "x", "FLEET_SECRET_KEYS": "y"}, "is not a setting"),
        (PRODUCTION | {"FLEET_SECRET_KEY": STRONG, "FLEET_OIDC_ISSUER": "http://127.0.0.1:9"}, "must begin with https"),
        (
            PRODUCTION | {"FLEET_SECRET_KEY": STRONG, "FLEET_SMS_URL": "http://sms.example"},
            "SMS_URL must begin with https",
        ),
        (
            PRODUCTION | {"FLEET_SECRET_KEY": STRONG, "FLEET_CHAT_URL": "http://chat.example"},
            "CHAT_URL must begin with https",
        ),
        (PRODUCTION | {"FLEET_SECRET_KEY": STRONG, "FLEET_MAIL_PASSWORD": "x"}, "FLEET_MAIL_TLS=1 is required"),
        (BASE | {"FLEET_SECRET_KEY": "x", "FLEET_OIDC_ISSUER": "http://sso.example"}, "must begin with https"),
        (BASE | {"FLEET_SECRET_KEY": "x", "FLEET_OIDC_ISSUER": "https://sso.example"}, "FLEET_OIDC_CLIENT_SECRET_FILE"),
        (
            BASE | {"FLEET_SECRET_KEY": "x", "FLEET_WORK_CHAT_API_URL": "https://chat.example"},
            "FLEET_WORK_CHAT_SECRET_FILE",
        ),
    ],
)
def test_a_start_that_would_not_be_safe_is_refused(environ, said):
    with pytest.raises(SettingsError, match=said):
        load(environ)


def test_every_secret_may_come_from_a_file(tmp_path):
    environ = dict(PRODUCTION)
    for name in SECRETS:
        (tmp_path / name).write_text(f"{STRONG}\n", encoding="ascii")
        environ[f"FLEET_{name.upper()}_FILE"] = str(tmp_path / name)
    environ["FLEET_MAIL_TLS"] = "1"
    found = load(environ)
    assert {getattr(found, name) for name in SECRETS} == {STRONG}
    (tmp_path / "secret_key").write_text("", encoding="ascii")
    with pytest.raises(SettingsError, match="is empty"):
        load(environ)
