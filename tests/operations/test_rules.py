"""Rotation of backups, and when the system counts as ready."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.operations import rules
from fleetapp.operations.rules import Keep, kept
from fleetapp.web.texts import catalogue, t

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
MOMENTS = st.sets(st.integers(-8000, 0).map(lambda hour: NOW + timedelta(hours=hour)), max_size=40)


def test_seven_days_five_weeks_twelve_months_of_nightly_backups():
    nightly = [NOW - timedelta(days=age) for age in range(400)]
    found = kept(nightly, Keep())
    assert {NOW - timedelta(days=age) for age in range(7)} <= found
    assert 19 <= len(found) <= 24
    assert min(found) < NOW - timedelta(days=320)


@given(MOMENTS, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_the_newest_stays_and_what_stays_stays_again(moments, daily, weekly, monthly):
    keep = Keep(daily, weekly, monthly)
    found = kept(moments, keep)
    assert found <= moments
    assert not moments or max(moments) in found
    assert kept(found, keep) == found
    assert len(found) <= daily + weekly + monthly + 1


def found(**changes):
    well = {"revision": "0001", "lacking": (), "scheduler_at": NOW, "jobs": (), "gateway_at": NOW, "chain_at": NOW, "chain_faults": 0}  # fmt: skip
    return rules.Found(**(well | changes))


ROOMY = rules.Disk("/data", 50 << 30, 100 << 30)
JOB = rules.JobState("trips", 15, NOW, "")
CASES = [
    (found(jobs=[JOB]), ROOMY, "ready", None),
    (None, ROOMY, "unready", ("database", "away")),
    (found(revision=None), ROOMY, "unready", ("schema", "revision")),
    (found(revision="0000"), ROOMY, "unready", ("schema", "revision")),
    (found(lacking=("driver.licence",)), ROOMY, "unready", ("schema", "lacking")),
    (found(), rules.Disk("/data", 100 << 20, 100 << 30), "unready", ("disk", "low")),
    (found(), rules.Disk("/data", 1 << 30, 100 << 30), "degraded", ("disk", "low")),
    (found(scheduler_at=None), ROOMY, "degraded", ("scheduler", "never")),
    (found(scheduler_at=NOW - timedelta(seconds=31)), ROOMY, "degraded", ("scheduler", "silent")),
    (
        found(scheduler_at=NOW + timedelta(hours=1)),
        ROOMY,
        "degraded",
        ("scheduler", "silent"),
    ),  # the clock was set back
    (found(gateway_at=NOW - timedelta(minutes=2)), ROOMY, "degraded", ("gateway", "silent")),
    (found(gateway_at=None), ROOMY, "degraded", ("gateway", "never")),
    (found(jobs=[replace(JOB, failed="ValueError")]), ROOMY, "degraded", ("jobs", "failing")),
    (found(jobs=[replace(JOB, ended_at=NOW - timedelta(hours=1))]), ROOMY, "degraded", ("jobs", "late")),
    (found(chain_at=None), ROOMY, "degraded", ("audit_chain", "never")),
    (found(chain_at=NOW - timedelta(hours=37)), ROOMY, "degraded", ("audit_chain", "late")),
    (found(chain_faults=2), ROOMY, "degraded", ("audit_chain", "broken")),
]


@pytest.mark.parametrize(("there", "disk", "state", "fault"), CASES)
def test_every_fault_is_named_with_what_to_do(there, disk, state, fault):
    checks = rules.judge(there, [disk], needed="0001", now=NOW)
    assert rules.overall(checks) == state
    faults = [(check.name, check.case) for check in checks if check.status is not rules.Status.OK]
    assert faults == ([fault] if fault else [])
    for check in checks:
        for lang in ("zh", "en"):
            assert t(f"operations.check.{check.name}.{check.case}", lang=lang, **check.params)


def test_every_text_of_a_check_is_used():
    used = {f"operations.check.{check.name}.{check.case}" for there, disk, _, _ in CASES
            for check in rules.judge(there, [disk], needed="0001", now=NOW)}  # fmt: skip
    assert {key for key in catalogue() if key.startswith("operations.check.")} == used
