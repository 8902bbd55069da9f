"""Which vehicles may serve a wish: the optimizer's own table, so that the form promises what a plan can keep."""

from dispatch.model import SERVED_BY
from fleetapp.planning.bridge import CLASSES


def bodies_for(body: str) -> frozenset[str]:
    """Return the bodies of vehicles that may serve somebody who asked for one."""
    return frozenset(given for given, served in CLASSES.items() if served in SERVED_BY[CLASSES[body]])
