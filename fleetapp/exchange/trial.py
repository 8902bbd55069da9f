"""Dry run: what an interface would send now, against its form, without writing or sending anything."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.exchange import checking
from fleetapp.exchange.checking import Fault
from fleetapp.exchange.interfaces import Interface
from fleetapp.exchange.records import Record
from fleetapp.exchange.rules import Completeness
from fleetapp.exchange.sources import Window
from fleetapp.kit import clock
from fleetapp.policies import queries as policies

PIECE = 500
MOST = 20_000
"""Records of a dry run; more would keep a page waiting."""
SHOWN = 50


def least_share(session: Session, *, now: datetime) -> Decimal:
    """Return the share of filled mandatory fields below which an interface is blocked, as the policy figure says."""
    return policies.value(session, "exchange.completeness", clock.local_date(now))


@dataclass
class Trial:
    """What a dry run found; ``cut`` when there were more records than it looks at."""

    records: int = 0
    valid: int = 0
    cut: bool = False
    completeness: Completeness = field(default_factory=lambda: Completeness(0, 0))
    by_fault: Counter[tuple[str, str]] = field(default_factory=Counter)
    faulty: list[tuple[Record, str, list[Fault]]] = field(default_factory=list)
    sample: Record | None = None


def dry_run(session: Session, interface: Interface) -> Trial:
    """Check every record that the actor of the session may see."""
    found = Trial()
    for feed in interface.feeds:
        after = 0
        while True:
            read = feed.read(session, Window(after, PIECE))
            for _, record in read:
                if record is not None and not record.void:
                    _look(found, interface, feed.name, record)
            if len(read) < PIECE:
                break
            after = read[-1][0]
            if found.records >= MOST:
                found.cut = True
                return found
    return found


def _look(found: Trial, interface: Interface, feed: str, record: Record) -> None:
    faults = checking.faults(interface.code, record.values)
    filled = checking.completeness(interface.code, record.values)
    found.records += 1
    found.completeness = Completeness(
        found.completeness.filled + filled.filled, found.completeness.mandatory + filled.mandatory
    )
    if not faults:
        found.valid += 1
        found.sample = found.sample or record
        return
    found.by_fault.update((fault.field, fault.rule) for fault in faults)
    if len(found.faulty) < SHOWN:
        found.faulty.append((record, feed, faults))
