"""An event of Xihu with a block kept for it, and orders that name it or do not."""

from datetime import timedelta

import pytest

from fleetapp.kit import clock
from fleetapp.occasions import service
from fleetapp.orders.rules import OrderKind
from tests.planning.conftest import approve_one, assign, known, policy_figures

__all__ = ["assign", "known", "policy_figures"]
HOUR = timedelta(hours=1)


@pytest.fixture
def run(database, acting, now):
    """Call a function of the service as a username."""

    def call(function, by="dispatcher.xihu", *, at=now, **given):
        who = acting(by)
        with database.transaction(who) as session:
            return function(session, **given, actor=who, now=at)

    return call


@pytest.fixture
def event(run, acting, now):
    """Return an event of Xihu over two days from tomorrow's morning on."""
    start = clock.start_of(clock.local_date(now) + timedelta(days=1)) + 8 * HOUR
    return run(
        service.create,
        org_id=acting("dispatcher.xihu").org_id,
        name="西湖论坛",
        start_at=start,
        end_at=start + 34 * HOUR,
    )


@pytest.fixture
def block(event, run, known):
    """Keep two cars and two drivers of xhedu for the event."""
    return run(service.reserve, occasion_id=event.id, vehicle_ids=[known["浙A10001"], known["浙AD00002"]],
               driver_ids=[known["driver.xhedu"], known["driver2.xhedu"]])  # fmt: skip


@pytest.fixture
def ordered(database, now, event):
    """Apply and approve at hours after the event's start, for it or not; returns the order's id."""

    def make(*, start_h=1, end_h=3, ours=True, **changes):
        start = (event.start_at - now) / HOUR
        about = {"kind": OrderKind.EVENT, "occasion_id": event.id} if ours else {}
        return approve_one(database, now, start_h=start + start_h, end_h=start + end_h, **{**about, **changes})

    return make
