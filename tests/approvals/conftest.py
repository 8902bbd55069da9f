"""Orders to decide, and people who hold more roles than the standing world gives them."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from sqlalchemy import text

from fleetapp.approvals import chains
from fleetapp.approvals import queries as approvals
from fleetapp.approvals.models import ApprovalCase
from fleetapp.approvals.rules import Level
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders import queries
from tests.orders.conftest import application, dispatched, policy_figures, read, step, submit  # noqa: F401 -- fixtures


@pytest.fixture
def grant(database) -> Callable[[str, str, str], None]:
    """Give an account a role at an organisation, by username, role and the organisation's code."""

    def give(username: str, role: str, code: str) -> None:
        with database.transaction(SYSTEM) as session:
            session.execute(
                text(
                    "INSERT INTO role_grant (user_id, role, org_id) SELECT u.id, :role, o.id FROM user_account u, organisation o"
                    " WHERE u.username = :username AND o.code = :code"
                ),
                {"username": username, "role": role, "code": code},
            )

    return give


@pytest.fixture
def chain(database, acting, now) -> Callable[..., int]:
    """Publish a chain for a unit, West Lake's education bureau if nothing else is said; returns its id."""

    def publish(*levels: Level, username: str = "unit_admin.xhedu", valid_from: date = date(2026, 11, 18)) -> int:
        actor = acting(username)
        with database.transaction(actor) as session:
            return chains.publish_chain(session, org_id=actor.org_id, valid_from=valid_from, note="本单位规定", levels=levels,
                                                  actor=actor, now=now).id  # fmt: skip

    return publish


@pytest.fixture
def case_of(database) -> Callable[[int], ApprovalCase]:
    """Return the case of an order with its tasks and decisions."""

    def get(order_id: int) -> ApprovalCase:
        with database.transaction(SYSTEM) as session:
            order = queries.get_order(session, order_id=order_id, actor=SYSTEM)
            return approvals.get_case(session, case_id=order.approval_case_id)

    return get


@pytest.fixture
def waits_on(database, case_of) -> Callable[[int], list[str]]:
    """Return the usernames that an order waits for."""

    def names(order_id: int) -> list[str]:
        row = approvals.open_task(case_of(order_id))
        with database.transaction(SYSTEM) as session:
            return (
                []
                if row is None
                else sorted(user.username for user in approvals.people(session, row.user_ids).values())
            )

    return names


@pytest.fixture
def away(database, acting, now) -> Callable[..., None]:
    """Record that a person is away, or stood in for, over some time."""

    def record(username: str, start_at: datetime, end_at: datetime, deputy: str | None = None, **more: Any) -> None:
        actor = acting(username)
        delegate_id = acting(deputy).user_id if deputy else None
        with database.transaction(actor) as session:
            chains.delegate(session, org_id=actor.org_id, delegator_id=actor.user_id, delegate_id=delegate_id, start_at=start_at,
                                      end_at=end_at, actor=actor, now=now, **more)  # fmt: skip

    return record
