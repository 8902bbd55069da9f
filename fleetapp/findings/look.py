"""A vehicle's local days read from the database and every rule asked about them."""

from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy.orm import Session

from fleetapp.findings.gather import gather
from fleetapp.findings.rules import FigureRow
from fleetapp.findings.scene import AFTER_EVENING, Seen, ask
from fleetapp.findings.semantics import Sites
from fleetapp.trips.roads import Roads

__all__ = ["AFTER_EVENING", "Seen", "look"]


def look(
    session: Session, *, vehicle_id: int, first_on: date, last_on: date, now: datetime, figure_rows: Sequence[FigureRow],
    gazetteer: Sites | None = None, roads: Roads | None = None,
) -> Seen:  # fmt: skip
    """Ask every rule about a vehicle's incidents that began on the local days ``first_on`` to ``last_on``."""
    known = gather(session, vehicle_id=vehicle_id, first_on=first_on, last_on=last_on, now=now, figure_rows=figure_rows,
                   gazetteer=gazetteer, roads=roads)  # fmt: skip
    return ask(known)
