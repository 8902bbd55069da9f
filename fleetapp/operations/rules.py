"""Which backups are kept, and when a part of the system counts as well."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from fleetapp.kit.clock import local_date


@dataclass(frozen=True, slots=True)
class Keep:
    """How many days, weeks and months keep their newest backup."""

    daily: int = 7
    weekly: int = 5
    monthly: int = 12


def kept(moments: Iterable[datetime], keep: Keep) -> set[datetime]:
    """Return the moments to keep: the newest of each of the newest local days, ISO weeks and months; always the newest of all."""
    newest_first = sorted(moments, reverse=True)
    wanted = set(newest_first[:1])
    spans = (
        (keep.daily, lambda on: on),
        (keep.weekly, lambda on: on.isocalendar()[:2]),
        (keep.monthly, lambda on: (on.year, on.month)),
    )
    for most, span_of in spans:
        newest: dict[object, datetime] = {}
        for at in newest_first:
            newest.setdefault(span_of(local_date(at)), at)
        wanted.update(list(newest.values())[:most])
    return wanted


class Status(StrEnum):
    """How a part is: ``WARN`` needs somebody soon, with ``FAIL`` requests should go elsewhere."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """What is known of one part; ``operations.check.<name>.<case>`` says it and what to do, with ``params``."""

    name: str
    status: Status
    case: str
    params: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system the program writes to; bytes."""

    path: str
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class JobState:
    """How a job last went; ``failed`` is the kind of its last error, empty when it succeeded."""

    name: str
    interval_s: int
    ended_at: datetime | None
    failed: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the database tells of the other programs; times are None where there was nothing yet."""

    revision: str | None
    lacking: Sequence[str]
    scheduler_at: datetime | None
    jobs: Sequence[JobState]
    gateway_at: datetime | None
    chain_at: datetime | None
    chain_faults: int


SCHEDULER_LATE = timedelta(seconds=30)
"""The leader says every five seconds that it lives."""
GATEWAY_LATE = timedelta(seconds=90)
"""A gateway says so every half minute."""
CHAIN_LATE = timedelta(hours=36)
"""The audit chain is walked once a local day."""
JOB_GRACE = timedelta(minutes=15)
DISK_LOW = 2 * 1024**3
DISK_FULL = 200 * 1024**2


def judge(found: Found | None, disks: Sequence[Disk], *, needed: str, now: datetime) -> list[Check]:
    """Return the state of every part; ``found`` is None when the database cannot be asked."""
    checks = [_disk(disk) for disk in disks]
    if found is None:
        return [Check("database", Status.FAIL, "away", {}), *checks]
    checks.insert(0, Check("database", Status.OK, "ok", {}))
    if found.revision != needed:
        return [*checks, Check("schema", Status.FAIL, "revision", {"found": found.revision or "—", "needed": needed})]
    if found.lacking:
        params = {"first": found.lacking[0], "n": len(found.lacking)}
        return [*checks, Check("schema", Status.FAIL, "lacking", params)]
    checks.append(Check("schema", Status.OK, "ok", {"needed": needed}))
    checks.append(_heard("scheduler", found.scheduler_at, SCHEDULER_LATE, now))
    checks.append(_jobs(found.jobs, now))
    checks.append(_heard("gateway", found.gateway_at, GATEWAY_LATE, now))
    checks.append(_chain(found, now))
    return checks


def overall(checks: Iterable[Check]) -> str:
    """Return ``ready``, ``degraded`` (serves, but somebody is needed) or ``unready``."""
    statuses = {check.status for check in checks}
    return "unready" if Status.FAIL in statuses else "degraded" if Status.WARN in statuses else "ready"


def _disk(disk: Disk) -> Check:
    free_mb = disk.free >> 20
    low = min(DISK_LOW, disk.total // 10)
    status = Status.FAIL if disk.free < DISK_FULL else Status.WARN if disk.free < low else Status.OK
    return Check("disk", status, "ok" if status is Status.OK else "low", {"path": disk.path, "free_mb": free_mb})


def _heard(name: str, at: datetime | None, late: timedelta, now: datetime) -> Check:
    """A part that was heard of within ``late``; a clock that was set back since makes it no younger than now."""
    if at is None:
        return Check(name, Status.WARN, "never", {})
    silent_s = max(0, round((now - at).total_seconds()))
    well = abs(now - at) <= late
    return Check(name, Status.OK if well else Status.WARN, "ok" if well else "silent", {"silent_s": silent_s})


def _jobs(jobs: Sequence[JobState], now: datetime) -> Check:
    failing = [job for job in jobs if job.failed]
    if failing:
        params = {"names": ", ".join(f"{job.name} ({job.failed})" for job in failing)}
        return Check("jobs", Status.WARN, "failing", params)
    late = [job.name for job in jobs
            if job.ended_at and now - job.ended_at > timedelta(seconds=3 * job.interval_s) + JOB_GRACE]  # fmt: skip
    if late:
        return Check("jobs", Status.WARN, "late", {"names": ", ".join(late)})
    return Check("jobs", Status.OK, "ok", {"n": len(jobs)})


def _chain(found: Found, now: datetime) -> Check:
    if found.chain_at is None:
        return Check("audit_chain", Status.WARN, "never", {})
    if found.chain_faults:
        return Check("audit_chain", Status.WARN, "broken", {"n": found.chain_faults})
    hours = round((now - found.chain_at).total_seconds() / 3600)
    well = now - found.chain_at <= CHAIN_LATE
    return Check("audit_chain", Status.OK if well else Status.WARN, "ok" if well else "late", {"hours": hours})
