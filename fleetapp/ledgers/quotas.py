"""The quotas' ledger: the authorised number of each unit and class against the entries on record."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.acquisitions import queries as acquisitions
from fleetapp.acquisitions import service
from fleetapp.acquisitions.models import QuotaEntry
from fleetapp.kit.actor import Actor
from fleetapp.ledgers.columns import QUOTAS
from fleetapp.ledgers.plans import CHUNK, Change, Plan, Progress, Units
from fleetapp.ledgers.rules import Row, letters
from fleetapp.vehicles.rules import Category

CATEGORY = letters(next(index for index, column in enumerate(QUOTAS) if column.key == "category"))
Entries = Mapping[tuple[int, str], Sequence[QuotaEntry]]


def on_record(session: Session, actor: Actor) -> Entries:
    """Return the entries within reach by unit and class, in the order in which they take effect."""
    found: dict[tuple[int, str], list[QuotaEntry]] = defaultdict(list)
    for entry in acquisitions.entries(session, actor=actor):
        found[entry.org_id, entry.category].append(entry)
    return found


def check(session: Session, rows: Sequence[Row], *, actor: Actor, today: date) -> Plan:
    """Compare rows with the entries on record; what is wrong is noted in the rows."""
    plan, units, known = Plan(rows), Units(session, actor), on_record(session, actor)
    seen: dict[tuple[int, str], int] = {}
    for row in rows:
        org = units.of(row)
        if org is None or row.faults:
            continue
        key = (org.id, row.values["category"])
        first = seen.setdefault(key, row.number)
        if first != row.number:
            row.fault("category", "ledgers.twice", value=org.code, cell=f"{CATEGORY}{first}")
            continue
        row.values["effective_on"] = row.values["effective_on"] or today
        _compare(plan, row, org, known.get(key, ()))
    return plan


def _compare(plan: Plan, row: Row, org: Organisation, entries: Sequence[QuotaEntry]) -> None:
    wanted, begin, document = row.values["quota"], row.values["effective_on"], row.values["document_no"]
    before = sum(entry.delta for entry in entries if entry.effective_on <= begin)
    if wanted == before:
        plan.unchanged += 1
        return
    if document is None or len(document) < 2:
        row.fault("document_no", "ledgers.document_needed")
    elif any((entry.document_no, entry.effective_on) == (document, begin) for entry in entries):
        row.fault("document_no", "ledgers.document_same")
    later = wanted
    for entry in entries:
        if entry.effective_on > begin:
            later += entry.delta
            if later < 0:
                row.fault("quota", "acquisitions.quota_negative", on=entry.effective_on.isoformat())
                break
    if row.faults:
        return
    if entries:
        plan.changes.append(Change(row, f"{org.code} {row.values['category']}", org, {"quota": (before, wanted)}))
    else:
        plan.new.append((row, org))


def write(
    session: Session, plan: Plan, *, source: Mapping[str, Any], actor: Actor, now: datetime, progress: Progress
) -> None:
    """Enter the differences as quota entries; ``source`` is in the import's own log entry.

    :raises NotAllowed: the actor may not set a unit's quota.
    """
    del source
    todo = [(row, org, row.values["quota"]) for row, org in plan.new]
    todo += [(one.row, one.subject, one.changed["quota"][1] - one.changed["quota"][0]) for one in plan.changes]
    for number, (row, org, delta) in enumerate(todo, start=1):
        service.change_quota(
            session, org_id=org.id, category=Category(row.values["category"]), delta=delta, effective_on=row.values["effective_on"],
            document_no=row.values["document_no"], actor=actor, now=now,
        )  # fmt: skip
        if number % CHUNK == 0:
            progress(number)


def rows_of(session: Session, *, actor: Actor, org_path: str, today: date) -> list[dict[str, Any]]:
    """Return what the ledger says today by column, unit by unit."""
    known, found = on_record(session, actor), []
    for org, classes in acquisitions.matrix(session, actor=actor, on=today).items():
        for category in Category:
            entries = [entry for entry in known.get((org.id, category), ()) if entry.effective_on <= today]
            if entries and org.path.startswith(org_path):
                place, last = classes[category], entries[-1]
                found.append({
                    "org_code": org.code, "org_name": org, "category": category.value, "quota": place.quota, "held": place.in_service,
                    "free": place.free, "effective_on": last.effective_on, "document_no": last.document_no,
                })  # fmt: skip
    return found
