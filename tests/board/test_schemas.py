"""What the board takes in."""

import pytest

from fleetapp.board.schemas import AcceptIn
from fleetapp.kit.errors import Invalid
from fleetapp.planning.rules import MOST_ORDERS
from fleetapp.web.forms import load


def test_a_whole_run_is_taken_over_at_once_and_no_more():
    most = 2 * MOST_ORDERS
    assert len(load(AcceptIn(), {"order_ids": list(range(most))})["order_ids"]) == most
    for wrong in ([], list(range(most + 1))):
        with pytest.raises(Invalid):
            load(AcceptIn(), {"order_ids": wrong})
