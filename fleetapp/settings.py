"""Settings from the environment, checked at start: an unknown ``FLEET_`` name or a missing secret stops the program."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path


class SettingsError(Exception):
    """What is wrong with the settings, in one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``FLEET_<NAME>`` in upper case sets each field.

    ``session_idle_min``: minutes without a request after which a browser is signed out; ``session_max_h``: hours
    after which it is in any case. ``osrm_url``: road engine, none means estimates. ``upload_max_mb``: largest upload;
    ``ledger_max_rows``: rows of one imported ledger. ``slip_keys_file``: keys of the codes on dispatch slips, made by
    ``flask slips new-key``; none means a key made from the secret key. ``sms_url``, ``chat_url`` (JSON over HTTP) and
    ``mail_host`` (SMTP) switch on the ways notices leave the system, ``public_url`` is what their links begin with,
    ``channel_timeout_s`` how long a provider may take.
    """

    database_url: str = ""
    env: str = "development"
    secret_key: str = ""
    secret_key_file: str = ""
    session_idle_min: int = 30
    session_max_h: int = 12
    token_max_h: int = 12
    lockout_failures: int = 5
    lockout_min: int = 15
    osrm_url: str = ""
    slip_keys_file: str = ""
    upload_max_mb: int = 20
    ledger_max_rows: int = 20_000
    cookie_secure: bool = False
    public_url: str = ""
    sms_url: str = ""
    sms_token: str = ""
    chat_url: str = ""
    chat_token: str = ""
    mail_host: str = ""
    mail_port: int = 25
    mail_from: str = ""
    mail_user: str = ""
    mail_password: str = ""
    mail_tls: bool = False
    channel_timeout_s: int = 10

    @property
    def production(self) -> bool:
        """Whether development conveniences are refused."""
        return self.env == "production"


OTHERS = frozenset(
    [
        "PORT",
        "HOST",
        "GATEWAY_PORT",
        "GATEWAY_HOST",
        "PHONE_PORT",
        "GATEWAY_ROLE",
        "TEST_DATABASE_URL",
        "CHROMIUM",
        "VAR",
        "WORKERS",
    ]
)
"""Names read elsewhere: by the scripts, the gateway and the tests."""


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of an environment.

    :raises SettingsError: unknown name, wrong form, missing database or secret.
    """
    known = {field.name: field.type for field in fields(Settings)}
    values: dict[str, str | int | bool] = {}
    for key, raw in environ.items():
        if not key.startswith("FLEET_") or key.removeprefix("FLEET_") in OTHERS:
            continue
        name = key.removeprefix("FLEET_").lower()
        if name not in known:
            raise SettingsError(f"{key} is not a setting; see fleetapp/settings.py for the names.")
        try:
            values[name] = (
                int(raw) if known[name] is int else raw in {"1", "true", "yes"} if known[name] is bool else raw
            )
        except ValueError:
            raise SettingsError(f"{key} must be a whole number, got {raw!r}.") from None
    settings = Settings(**values)  # type: ignore[arg-type]
    if not settings.database_url:
        raise SettingsError("FLEET_DATABASE_URL is not set; `make run` starts a private database and sets it.")
    if settings.env not in {"development", "production"}:
        raise SettingsError(f"FLEET_ENV must be development or production, got {settings.env!r}.")
    if settings.secret_key_file:
        object.__setattr__(settings, "secret_key", Path(settings.secret_key_file).read_text(encoding="ascii").strip())
    if not settings.secret_key:
        raise SettingsError("FLEET_SECRET_KEY or FLEET_SECRET_KEY_FILE is not set; make 32 random bytes as hex.")
    for name in ("public_url", "sms_url", "chat_url"):
        if (url := getattr(settings, name)) and not url.startswith(("http://", "https://")):
            raise SettingsError(f"FLEET_{name.upper()} must begin with http:// or https://.")
    if settings.mail_host and "@" not in settings.mail_from:
        raise SettingsError("FLEET_MAIL_FROM must be the address that mail is sent from when FLEET_MAIL_HOST is set.")
    if settings.production and not settings.cookie_secure:
        raise SettingsError("FLEET_COOKIE_SECURE=1 is required when FLEET_ENV=production; serve over HTTPS.")
    return settings
