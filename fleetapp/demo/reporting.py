"""Statistics of the month before at three units, and two questions for the decision lab."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select

from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.demo import people
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.lab import service as lab
from fleetapp.lab.rules import StudyKind
from fleetapp.statistics import rules
from fleetapp.statistics import service as statistics

OFFICE = "vehicle-office.city"
TYPED = {"nature": "organ", "level": "division", "posts": "42", "staff": "40", "reform": "in"}
"""What a unit types of itself; the rest is reckoned."""


def report(database: Database, *, now: datetime) -> int:
    """Open the reports of three units and type what two of them must; returns how many. Their pages say what is still missing."""
    with database.transaction(SYSTEM) as session:
        office = people.everybody(session)[OFFICE]
        units = session.scalars(
            select(Organisation).where(Organisation.kind == OrgKind.UNIT).order_by(Organisation.id).limit(3)
        ).all()
    code = rules.of(rules.PeriodKind.MONTH, clock.local_date(now)).before().code
    for place, unit in enumerate(units):
        with database.transaction(office) as session:
            made = statistics.open_report(session, org_id=unit.id, code=code, actor=office, now=now)
            if place < 2:
                cells = {("t01", statistics.own_row(unit), key): value for key, value in TYPED.items()}
                statistics.type_cells(session, report_id=made.id, cells=cells, actor=office, now=now)
    return len(units)


def ask(database: Database, *, now: datetime) -> int:
    """Ask what sharing is worth and which way leads to the share of new energy; the scheduler answers after the start."""
    today = clock.local_date(now)
    with database.transaction(SYSTEM) as session:
        office = people.everybody(session)[OFFICE]
    kinds = (StudyKind.SHARING, StudyKind.NEV)
    for kind in kinds:
        with database.transaction(office) as session:
            lab.ask(
                session, kind=kind, org_id=office.org_id or 0, start_on=today - timedelta(days=21), end_on=today - timedelta(days=1), days=5,
                seed=1, share=Decimal("0.98"), years=5, budget=Decimal(8_000_000), bought_share=Decimal("0.3"), actor=office, now=now,
            )  # fmt: skip
    return len(kinds)
