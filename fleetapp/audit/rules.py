"""What may leave the system: with a reason that says something."""

from fleetapp.kit.errors import RuleBroken

SHORTEST_REASON = 4


def check_reason(reason: str) -> str:
    """Return the reason of an export without blanks at its ends.

    :raises RuleBroken: ``audit.reason_missing``, it says too little.
    """
    if len(reason.strip()) < SHORTEST_REASON:
        raise RuleBroken("audit.reason_missing", least=SHORTEST_REASON)
    return reason.strip()
