"""Sign-in, slow-down, password and one-time-code rules: values in, values or ``RuleBroken`` out."""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import pyotp

from fleetapp.kit.actor import ADMINISTRATORS, Role
from fleetapp.kit.errors import RuleBroken

USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
LONGEST_JUDGED = 72
"""Characters of a password that its strength is judged by: more take long and change nothing."""
STRONG = 3
"""Of zxcvbn's 0 to 4: some 10^8 guesses and more."""
STEP_S = 30
"""A code's time (RFC 6238 s. 5.2); one step either way is taken for the drift of clocks."""
OPEN_TO_ALL = {"公务用车", "fleet", "vehicle", "password", "admin", "gongche", "yongche"}
"""Words that this system would make anybody think of (NIST SP 800-63B-4 s. 3.1.1.2: context-specific words)."""


class Stage(StrEnum):
    """How far a sign-in has come: all done, or what is missing: a code of the second factor, a new password, a second factor."""

    FULL = "full"
    CODE = "code"
    RENEW = "renew"
    ENROL = "enrol"


@dataclass(frozen=True, slots=True)
class Limits:
    """The policy figures of sign-in, see ``sign_in.`` in ``config/policy.toml``; minutes, hours, days, counts, characters."""

    idle_min: int
    max_h: int
    token_max_h: int
    failures: int
    failures_by_address: int
    failures_overall: int
    lock_min: int
    known_days: int
    password_least: int
    reset_h: int
    admin_second_factor: bool


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong passwords or codes within ``lock_min``: of this name from this address, of any name from it, of this name from anywhere."""

    here: int
    by_address: int
    overall: int


def check_password_strength(password: str, username: str, *, least: int, words: Iterable[str] = ()) -> None:
    """Refuse short passwords, ones that contain the username, and common or easily guessed ones.

    Length and a list of common ones instead of composition rules (NIST SP 800-63B-4 s. 3.1.1.2).
    """
    if len(password) < least:
        raise RuleBroken("accounts.password_short", least=least)
    if username.lower() in password.lower():
        raise RuleBroken("accounts.password_contains_name")
    from zxcvbn import zxcvbn  # a late import: its lists take a third of a second

    known = [username, *re.split(r"[._-]", username), *words, *OPEN_TO_ALL]
    if zxcvbn(password[:LONGEST_JUDGED], user_inputs=[word for word in known if word])["score"] < STRONG:
        raise RuleBroken("accounts.password_common")


def check_one_duty(roles: Iterable[Role]) -> None:
    """Refuse roles of which one is an administrator's and another is not the same.

    GB/T 22239-2019 8.1.4.2 d): the rights of those who run a system are kept apart.
    """
    held = set(roles)
    if held & ADMINISTRATORS and len(held) > 1:
        raise RuleBroken("accounts.one_duty")


def is_slowed_down(found: Failures, limits: Limits, *, known_address: bool) -> bool:
    """Tell whether even the right password is refused for now.

    By address first, so that nobody can keep somebody else out from elsewhere; the bound on all addresses together does not
    apply to one that the person has signed in from before.
    """
    return (
        found.here >= limits.failures
        or found.by_address >= limits.failures_by_address
        or (found.overall >= limits.failures_overall and not known_address)
    )


def is_open(
    *, last_seen_at: datetime, expires_at: datetime, ended_at: datetime | None, idle_min: int, now: datetime
) -> bool:
    """Tell whether a sign-in still counts: not ended, not too old, not idle too long."""
    return ended_at is None and now < expires_at and now < last_seen_at + timedelta(minutes=idle_min)


def next_stage(
    *, has_factor: bool, code_given: bool, must_renew: bool, roles: Iterable[str], required_of_administrators: bool
) -> Stage:
    """Return what is still missing after the right password: the code first, so that a one-time secret alone changes nothing."""
    if has_factor and not code_given:
        return Stage.CODE
    if must_renew:
        return Stage.RENEW
    missing = not has_factor and required_of_administrators and ADMINISTRATORS & set(roles)
    return Stage.ENROL if missing else Stage.FULL


def check_reset_keeps_duties_apart(*, of: Iterable[str], by: Iterable[str], has_factor: bool) -> None:
    """Refuse to reset the password of one of the three administrators where that alone would let another one in.

    A second factor keeps whoever holds the one-time secret out; whoever has the same duty gains none by it.

    :raises RuleBroken: ``accounts.reset_other_duty``.
    """
    duties = ADMINISTRATORS & set(of)
    if duties and not has_factor and not duties <= set(by):
        raise RuleBroken("accounts.reset_other_duty")


def step_of(secret: str, code: str, *, now: datetime, last_step: int) -> int | None:
    """Return the half minute that a code belongs to, None if to none near now or to one that was used before.

    The code counts from one step before now to one after it, and never twice (RFC 6238 s. 5.2).
    """
    totp, current = pyotp.TOTP(secret), int(now.timestamp()) // STEP_S
    for step in (current, current - 1, current + 1):
        if step > last_step and hmac.compare_digest(totp.at(step * STEP_S).encode(), code.strip().encode()):
            return step
    return None
