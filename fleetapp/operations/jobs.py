"""The daily walk over the audit chain."""

from datetime import datetime

import structlog

from fleetapp.audit import queries as audit
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.operations import queries, service

log = structlog.get_logger()


def check_chain(database: Database, now: datetime) -> dict[str, int]:
    """Walk over the whole chain once a local day, piece by piece, and keep what was found."""
    with database.transaction(SYSTEM) as session:
        last = queries.last_chain_check(session)
        if last is not None and clock.local_date(last.at) == clock.local_date(now):
            return {}
        end = audit.end_of(session)
    faults: list[audit.Fault] = []
    for first, last_of_piece in audit.pieces(1, end):
        with database.transaction(SYSTEM) as session:
            faults += audit.verify(session, first=first, last=last_of_piece)
    with database.transaction(SYSTEM) as session:
        service.note_chain(
            session, entries=end, faults=len(faults), first_fault=faults[0].seq if faults else None, now=now
        )
    if faults:
        log.error("audit_chain_broken", faults=len(faults), first=faults[0].seq)
    return {"entries": end, "faults": len(faults)}
