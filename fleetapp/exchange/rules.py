"""When a record goes up and what its interface's light shows: values in, values out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.jsonable import jsonable
from fleetapp.notices import rules as notices

BATCH = 100
"""Records of one request when all is well."""
ROUNDS = 10
"""Requests of one interface in one run; a day's backlog is worked off over several runs."""
MOST_BATCHES = 20
"""Requests of one run altogether: a platform that takes its time with each holds a thread of the scheduler for minutes, not hours."""
COLLECT = 500
"""Records looked at in one feed and run, once for new ones and once for changed ones."""
SWEEP_EVERY = timedelta(minutes=5)
"""How often rows that are known are looked at again for changes."""
LEASE = timedelta(minutes=5)
"""Longer than a request may take: then whoever still holds a batch has died."""
LONGEST_WAIT_S = 900.0
LATE = timedelta(hours=1)
TOO_LATE = timedelta(hours=24)


class RecordState(StrEnum):
    """How far one version of a record has come."""

    QUEUED = "QUEUED"
    SENDING = "SENDING"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    INVALID = "INVALID"
    WITHHELD = "WITHHELD"
    SUPERSEDED = "SUPERSEDED"


WAITING = frozenset({RecordState.QUEUED, RecordState.SENDING})
TO_MEND = frozenset({RecordState.REJECTED, RecordState.INVALID})
COUNTED = frozenset(set(RecordState) - {RecordState.WITHHELD, RecordState.SUPERSEDED})
"""What the share of filled mandatory fields is taken over."""


class Outcome(StrEnum):
    """What the platform, or nobody, said of a record or of a batch."""

    ACCEPTED = "ACCEPTED"
    DUPLICATE = "DUPLICATE"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


class Trouble(StrEnum):
    """Why nothing could be handed over; the first five are the link's and stop every interface."""

    UNREACHABLE = "unreachable"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_REFUSED = "certificate_refused"
    LOGIN_REFUSED = "login_refused"
    LOGIN_UNCLEAR = "login_unclear"
    SERVER = "server"
    UNCLEAR = "unclear"
    BATCH_REFUSED = "batch_refused"


OF_LINK = frozenset({
    Trouble.UNREACHABLE, Trouble.CERTIFICATE_EXPIRED, Trouble.CERTIFICATE_REFUSED, Trouble.LOGIN_REFUSED, Trouble.LOGIN_UNCLEAR,
})  # fmt: skip


class Light(StrEnum):
    """The state of an interface at a glance."""

    NONE = "none"
    OFF = "off"
    PAUSED = "paused"
    RED = "red"
    YELLOW = "yellow"
    GREEN = "green"


def digest(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record's canonical JSON: the same content is the same version."""
    return hashlib.sha256(jsonable(values).encode()).hexdigest()


def key(interface: str, record: str, version: int) -> str:
    """Return the idempotency key of one version of a record, the same with every attempt and every replay."""
    return f"{interface}:{record}:{version}"


def wait(failures: int, jitter: float) -> timedelta:
    """Return how long to wait after failures in a row: doubling from 30 s to 15 min, times 0.5 to 1 by ``jitter`` in [0, 1]."""
    return notices.wait(max(failures, 1), jitter, longest_s=LONGEST_WAIT_S)


def batch_size(failures: int) -> int:
    """Return how many records go into the next request: half with every failure, so that one bad record ends up alone."""
    return max(1, BATCH >> min(failures, 10))


@dataclass(frozen=True, slots=True)
class Completeness:
    """Filled mandatory fields of all that are mandatory."""

    filled: int
    mandatory: int

    @property
    def percent(self) -> float:
        """The share in per cent; a hundred where there is nothing to fill."""
        return 100.0 if not self.mandatory else 100.0 * self.filled / self.mandatory

    def enough(self, least: Decimal) -> bool:
        """Tell whether the interface may send: the share ``least`` of the policy figure itself is enough."""
        return self.filled >= least * self.mandatory


@dataclass(frozen=True, slots=True)
class Standing:
    """What the light is judged by."""

    held: bool
    configured: bool
    paused: bool
    link_trouble: bool
    complete: bool
    failures: int
    oldest_at: datetime | None
    to_mend: int


def light(standing: Standing, now: datetime) -> Light:
    """Return the light of an interface."""
    if not standing.held:
        return Light.NONE
    if standing.paused:
        return Light.PAUSED
    if not standing.configured:
        return Light.OFF
    age = now - standing.oldest_at if standing.oldest_at else timedelta(0)
    if standing.link_trouble or not standing.complete or age >= TOO_LATE:
        return Light.RED
    if standing.to_mend or standing.failures or age >= LATE:
        return Light.YELLOW
    return Light.GREEN


def check_reason(reason: str) -> str:
    """Return a reason without blanks around it.

    :raises RuleBroken: ``exchange.reason_needed``, shorter than four characters.
    """
    if len(reason.strip()) < 4:
        raise RuleBroken("exchange.reason_needed")
    return reason.strip()
