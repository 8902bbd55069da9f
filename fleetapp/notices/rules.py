"""When and how a notice leaves the system: values in, values or ``RuleBroken`` out."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken

FIRST_WAIT_S = 30.0
LONGEST_WAIT_S = 3600.0
LEASE = timedelta(minutes=3)
"""Longer than a sender needs for what it takes at once: then whoever still holds a message has died."""
HOUR = timedelta(hours=1)


class ChannelName(StrEnum):
    """Ways out of the system."""

    SMS = "sms"
    MAIL = "mail"
    CHAT = "chat"


class DeliveryState(StrEnum):
    """How far a notice has come on a channel."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


RETRIED = frozenset({DeliveryState.FAILED, DeliveryState.SUPPRESSED})
STOPPED = frozenset({DeliveryState.QUEUED, DeliveryState.FAILED})


@dataclass(frozen=True, slots=True)
class Limits:
    """Policy figures.

    Quiet hours ``[quiet_from, quiet_until)`` of the office's clock, messages an hour to one person on one channel, how many
    waiting ones become one message, attempts before giving up.
    """

    quiet_from: time
    quiet_until: time
    per_hour: int
    digest_from: int
    most_attempts: int


def category(code: str) -> str:
    """Return the category of a notice: the slice whose matter it is."""
    return code.partition(".")[0]


def loud_at(at: datetime, limits: Limits) -> datetime:
    """Return the first moment from ``at`` on that is outside the quiet hours; equal bounds mean none."""
    local = clock.local(at)
    now, start, end = local.time(), limits.quiet_from, limits.quiet_until
    over_midnight = start > end
    quiet = (now >= start or now < end) if over_midnight else start <= now < end
    if not quiet:
        return at
    next_day = over_midnight and now >= start
    return clock.start_of(local.date() + timedelta(days=next_day), end)


def wait(attempts: int, jitter: float, *, longest_s: float = LONGEST_WAIT_S) -> timedelta:
    """Return how long to wait after failed attempts: doubling from 30 s to ``longest_s``, times 0.5 to 1 by ``jitter`` in [0, 1]."""
    longest = min(longest_s, FIRST_WAIT_S * 2.0 ** min(attempts - 1, 20))
    return timedelta(seconds=longest * (0.5 + jitter / 2))


def free_at(sent_at: Sequence[datetime], now: datetime, per_hour: int) -> datetime:
    """Return when a person may get the next message, given when they got the last ones."""
    recent = sorted(at for at in sent_at if at > now - HOUR)
    return now if len(recent) < per_hour else recent[-per_hour] + HOUR


def channels_for(
    of: str, *, on: Collection[ChannelName], routes: Mapping[tuple[str, str], bool], chosen: Mapping[tuple[str, str], bool], urgent: bool
) -> list[ChannelName]:  # fmt: skip
    """Return the channels that a notice of a category goes out through; an urgent one as routed, whatever the person chose."""
    found = []
    for channel in on:
        routed = routes.get((of, channel), False)
        if routed if urgent else chosen.get((of, channel), routed):
            found.append(channel)
    return found


def after_failure(*, attempts: int, again: bool, most_attempts: int) -> DeliveryState:
    """Return what becomes of a message that could not be sent."""
    return DeliveryState.QUEUED if again and attempts < most_attempts else DeliveryState.FAILED


def masked(address: str) -> str:
    """Return an address of which enough is left to know it again: ``138****1234``, ``zh***@example.cn``."""
    name, at, host = address.partition("@")
    if at:
        return f"{name[:2]}***@{host}"
    return f"{address[:3]}****{address[-4:]}" if len(address) >= 8 else "****"


def scrubbed(words: str) -> str:
    """Return a provider's words fit for a page: one line, short, no whole number or address of anybody."""
    line = " ".join(words.split())
    line = re.sub(r"[\w.+-]+@[\w.-]+\w", lambda found: masked(found[0]), line)
    return re.sub(r"\d{7,}", lambda found: masked(found[0]), line)[:300]


def check_address(channel: ChannelName, address: str) -> str:
    """Return an address in the form that is kept.

    :raises RuleBroken: ``notices.mail_form``, ``notices.chat_form``.
    """
    if channel is ChannelName.MAIL and not re.fullmatch(r"[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+", address, re.ASCII):
        raise RuleBroken("notices.mail_form")
    if channel is ChannelName.CHAT and not re.fullmatch(r"[\w.-]{2,64}", address, re.ASCII):
        raise RuleBroken("notices.chat_form")
    return address


def check_step(state: str, allowed: Collection[DeliveryState]) -> None:
    """Refuse what a delivery's state does not allow.

    :raises RuleBroken: ``notices.wrong_state``.
    """
    if state not in allowed:
        raise RuleBroken("notices.wrong_state")
