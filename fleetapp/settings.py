"""Settings from the environment, checked at start: an unknown ``FLEET_`` name or a missing secret stops the program."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path


class SettingsError(Exception):
    """What is wrong with the settings, in one sentence that says what to do."""


@dataclass(frozen=True, slots=True, repr=False)  # a log line must never tell the secrets
class Settings:
    """``FLEET_<NAME>`` in upper case sets each field.

    ``osrm_url``: road engine, none means estimates. ``upload_max_mb``: largest upload;
    ``ledger_max_rows``: rows of one imported ledger. ``slip_keys_file``: keys of the codes on dispatch slips, made by
    ``flask slips new-key``, ``evidence_keys_file`` those that sign evidence and audit heads (``flask audit new-key``); none
    means a key made from the secret key. ``sms_url``, ``chat_url`` (JSON over HTTP) and
    ``mail_host`` (SMTP) switch on the ways notices leave the system, ``public_url`` is what their links begin with,
    ``channel_timeout_s`` how long a provider may take. ``archive_dir``: where positions go that are older than the policy
    figures keep them in the database; none means that they all stay there. ``exchange_url`` switches on upward exchange to a
    superior platform (``docs/exchange.md``): its user, its password, a file of authorities to trust, a file with its names of
    fields. ``oidc_...`` and ``work_chat_...`` switch on signing in with a provider of identities; ``oidc_claim`` is the
    verified claim that is matched with a username the first time. ``trusted_proxies``: how many proxies name the peer's address.
    ``metrics_token`` opens ``/metrics`` to whoever sends it as a bearer token; none means that there is no such page.
    A name in ``SECRETS`` may be given as a file, ``FLEET_<NAME>_FILE``.
    """

    database_url: str = ""
    env: str = "development"
    secret_key: str = ""
    osrm_url: str = ""
    slip_keys_file: str = ""
    evidence_keys_file: str = ""
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
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_claim: str = "preferred_username"
    trusted_proxies: int = 0
    work_chat_login_url: str = ""
    work_chat_api_url: str = ""
    work_chat_corp_id: str = ""
    work_chat_agent_id: str = ""
    work_chat_secret: str = ""
    archive_dir: str = ""
    exchange_url: str = ""
    exchange_user: str = ""
    exchange_password: str = ""
    exchange_ca_file: str = ""
    exchange_mapping_file: str = ""
    exchange_timeout_s: int = 20
    metrics_token: str = ""

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
        "GATEWAY_SINK",
        "GATEWAY_TRUSTED_PROXIES",
        "NATS_URL",
        "NATS_STREAM",
        "NATS_GIB",
        "NATS_REPLICAS",
        "NATS_DISK_SYNCS",
        "TEST_DATABASE_URL",
        "CHROMIUM",
        "VAR",
        "WORKERS",
        "OWNER_DATABASE_URL",
        "BACKUP_DIR",
        "GATEWAY_METRICS_PORT",
        "SCHEDULER_METRICS_PORT",
        "METRICS_HOST",
        "LOG",
    ]
)
"""Names read elsewhere: by the scripts, the gateway and the tests."""

SECRETS = frozenset(
    {
        "secret_key",
        "sms_token",
        "chat_token",
        "mail_password",
        "oidc_client_secret",
        "work_chat_secret",
        "exchange_password",
        "metrics_token",
    }
)
"""What is better read from a file that only the service may open than from the environment."""
LEAST_SECRET = 32
LEAST_KINDS = 10

UPSTREAM = "FLEET_UPSTREAM_"
"""Names read by ``python -m telematics upstream``."""


def _content(key: str, path: str) -> str:
    try:
        found = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{key} names {path}, which cannot be read: {error}.") from None
    if not found:
        raise SettingsError(f"{key} names {path}, which is empty.")
    return found


def _refuse_weak(settings: Settings) -> None:
    """Refuse a secret key that could be guessed: sessions, sealed secrets and codes stand on it.

    :raises SettingsError: it is short or says the same over and over.
    """
    key = settings.secret_key
    if len(key) < LEAST_SECRET or len(set(key)) < LEAST_KINDS:
        raise SettingsError(
            "FLEET_SECRET_KEY is weak: make 32 random bytes as hex, python3 -c 'import secrets; print(secrets.token_hex(32))'."
        )


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of an environment.

    :raises SettingsError: unknown name, wrong form, missing database or secret.
    """
    known = {one.name: one.type for one in fields(Settings)}
    values: dict[str, str | int | bool] = {}
    for key, raw in environ.items():
        if key.endswith("_FILE") and key.removeprefix("FLEET_").removesuffix("_FILE").lower() in SECRETS:
            values[key.removeprefix("FLEET_").removesuffix("_FILE").lower()] = _content(key, raw)
            continue
        if not key.startswith("FLEET_") or key.removeprefix("FLEET_") in OTHERS or key.startswith(UPSTREAM):
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
    if not settings.secret_key:
        raise SettingsError("FLEET_SECRET_KEY or FLEET_SECRET_KEY_FILE is not set; make 32 random bytes as hex.")
    if settings.production:
        _refuse_weak(settings)
    for name in ("oidc_issuer", "work_chat_api_url"):
        url = getattr(settings, name)
        if url and not url.startswith("https://") and (settings.production or not url.startswith("http://127.0.0.1:")):
            raise SettingsError(f"FLEET_{name.upper()} must begin with https://.")
    if settings.oidc_issuer and not (settings.oidc_client_id and settings.oidc_client_secret):
        raise SettingsError("FLEET_OIDC_CLIENT_ID and FLEET_OIDC_CLIENT_SECRET_FILE are needed with FLEET_OIDC_ISSUER.")
    if settings.work_chat_api_url and not (settings.work_chat_login_url and settings.work_chat_secret):
        raise SettingsError(
            "FLEET_WORK_CHAT_LOGIN_URL and FLEET_WORK_CHAT_SECRET_FILE are needed with FLEET_WORK_CHAT_API_URL."
        )
    for name in ("public_url", "sms_url", "chat_url"):
        if (url := getattr(settings, name)) and not url.startswith(("http://", "https://")):
            raise SettingsError(f"FLEET_{name.upper()} must begin with http:// or https://.")
        if settings.production and url and not url.startswith(("https://", "http://127.0.0.1:")):
            raise SettingsError(f"FLEET_{name.upper()} must begin with https:// when FLEET_ENV=production.")
    if settings.production and settings.mail_password and not settings.mail_tls:
        raise SettingsError("FLEET_MAIL_TLS=1 is required with a mail password when FLEET_ENV=production.")
    if settings.mail_host and "@" not in settings.mail_from:
        raise SettingsError("FLEET_MAIL_FROM must be the address that mail is sent from when FLEET_MAIL_HOST is set.")
    if settings.production and not settings.cookie_secure:
        raise SettingsError("FLEET_COOKIE_SECURE=1 is required when FLEET_ENV=production; serve over HTTPS.")
    return settings
