"""Applications to try with: those of orders and planning, applied for through this slice."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from fleetapp.applications import service
from tests.orders.conftest import application, policy_figures, step, submit
from tests.planning.conftest import approved, assign, known

__all__ = ["application", "approved", "assign", "known", "policy_figures", "step", "submit"]


@pytest.fixture
def apply(database, acting, application, now) -> Callable[..., Any]:
    """Apply as a username through the slice; returns the order."""

    def make(username: str = "applicant.xhedu", at: datetime = now, **changes: Any) -> Any:
        actor = acting(username)
        with database.transaction(actor) as session:
            return service.apply(session, **application(**changes), actor=actor, now=at)

    return make
