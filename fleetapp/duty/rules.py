"""Steps of a duty."""

from enum import StrEnum


class DutyAction(StrEnum):
    """Steps of a duty in their order; ARRIVE may repeat, one per stop."""

    ACCEPT = "ACCEPT"
    CHECK_OUT = "CHECK_OUT"
    ARRIVE = "ARRIVE"
    CHECK_IN = "CHECK_IN"
