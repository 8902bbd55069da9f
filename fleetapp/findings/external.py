"""Records of others: car parks, toll stations and people who complained saw a plate; imported, never changed."""

import csv
import hashlib
import io
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.findings.known import External
from fleetapp.findings.rule_models import ExternalRecord, RecordKind
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.places.rules import inside_china

COLUMNS = ("plate", "at", "place", "lon", "lat")
"""Header of the file: plate, local time ``2026-11-01 08:30:00``, name of the place, WGS-84 degrees."""


def import_records(
    session: Session, *, org_id: int, org_path: str, kind: RecordKind, data: bytes, actor: Actor, now: datetime
) -> tuple[int, int]:
    """Take a UTF-8 CSV file with the header ``COLUMNS``; returns (rows that are new, rows known already).

    :raises NotAllowed: no reviewer of the organisation.
    :raises RuleBroken: ``findings.record_header``; ``findings.record_row`` naming the line. Nothing is taken then.
    """
    permits.require("findings.external", actor, org_path=org_path)
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    except UnicodeDecodeError as error:
        raise RuleBroken("findings.record_header", columns=",".join(COLUMNS)) from error
    if not rows or set(COLUMNS) - set(rows[0]):
        raise RuleBroken("findings.record_header", columns=",".join(COLUMNS))
    own = {"org_id": org_id, "imported_at": now, "imported_by": actor.user_id}
    values = [_values(row, line, kind) | own for line, row in enumerate(rows, start=2)]
    added = session.scalars(
        insert(ExternalRecord)
        .values(values)
        .on_conflict_do_nothing(index_elements=["digest"])
        .returning(ExternalRecord.id)
    ).all()
    audit.record(session, actor=actor, now=now, action="findings.records_imported", subject_type="external_record", subject_id=None,
                 org_id=org_id, kind=kind.value, rows=len(values), added=len(added))  # fmt: skip
    return len(added), len(values) - len(added)


def _values(row: dict[str, str], line: int, kind: RecordKind) -> dict[str, object]:
    try:
        at = datetime.fromisoformat(row["at"].strip())
        lon, lat = float(row["lon"]), float(row["lat"])
        plate, place = row["plate"].strip().upper(), row["place"].strip()
    except (AttributeError, ValueError) as error:
        raise RuleBroken("findings.record_row", line=line) from error
    if not plate or not place or not inside_china(lon, lat):
        raise RuleBroken("findings.record_row", line=line)
    moment = clock.start_of(at.date(), at.time()) if at.tzinfo is None else at
    digest = hashlib.sha256(f"{kind}|{plate}|{moment.isoformat()}|{place}|{lon:.5f}|{lat:.5f}".encode()).hexdigest()
    return {"kind": kind.value, "plate": plate, "at": moment, "place": place, "digest": digest,
            "point": func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326)}  # fmt: skip


def of_plate(session: Session, *, plate: str, start: datetime, end: datetime) -> Sequence[External]:
    """Return the records of a plate in ``[start, end)``, in time order."""
    query = (
        select(ExternalRecord.id, ExternalRecord.kind, ExternalRecord.at, ExternalRecord.place, func.ST_Y(ExternalRecord.point), func.ST_X(ExternalRecord.point))
        .where(ExternalRecord.plate == plate, ExternalRecord.at >= start, ExternalRecord.at < end)
        .order_by(ExternalRecord.at, ExternalRecord.id)
    )  # fmt: skip
    return [External(*row) for row in session.execute(query)]
