"""The last place with two officers at once: exactly one wins, the other is told."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from fleetapp.acquisitions.rules import IndicatorAction
from fleetapp.kit.errors import Conflict, RuleBroken
from tests.acquisitions.conftest import APPROVER, Chain
from tests.serving import furnish


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_approvals_for_the_last_place_one_wins(live_database, now, attempt):
    furnish(live_database, now)
    chain = Chain(live_database, now)
    chain.quota(3)
    waiting = [chain.reviewed(), chain.reviewed()]
    together = Barrier(2)

    def approve(indicator_id):
        together.wait()
        try:
            return chain.step(indicator_id, IndicatorAction.APPROVE, APPROVER)
        except (Conflict, RuleBroken) as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(approve, waiting))
    assert sorted(found) in (["APPROVED", "acquisitions.no_quota"], ["APPROVED", "acquisitions.blocked_quota"])
