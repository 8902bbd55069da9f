"""Sign-in, lock-out and username rules: values in, values or ``RuleBroken`` out."""

import re
from datetime import datetime, timedelta

from fleetapp.kit.errors import RuleBroken

USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
SHORTEST_PASSWORD = 10


def check_password_strength(password: str, username: str) -> None:
    """Refuse short passwords and ones that contain the username.

    Length beats composition (NIST SP 800-63B s.3.1.1.2).
    """
    if len(password) < SHORTEST_PASSWORD:
        raise RuleBroken("accounts.password_short", least=SHORTEST_PASSWORD)
    if username.lower() in password.lower():
        raise RuleBroken("accounts.password_contains_name")


def is_locked(locked_until: datetime | None, now: datetime) -> bool:
    """Tell whether an account refuses even the right password for now."""
    return locked_until is not None and now < locked_until


def after_failure(failed_count: int, *, now: datetime, limit: int, lock_min: int) -> tuple[int, datetime | None]:
    """Return the new count and, at the limit, until when the account is locked; the count then starts afresh."""
    count = failed_count + 1
    return (0, now + timedelta(minutes=lock_min)) if count >= limit else (count, None)


def is_open(
    *, last_seen_at: datetime, expires_at: datetime, ended_at: datetime | None, idle_min: int, now: datetime
) -> bool:
    """Tell whether a sign-in still counts: not ended, not too old, not idle too long."""
    return ended_at is None and now < expires_at and now < last_seen_at + timedelta(minutes=idle_min)
