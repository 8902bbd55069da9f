"""Viewing tracks for a stated purpose, uploading tracks, allowing terminals."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.tracking import bridge, queries
from fleetapp.tracking.bridge import Fix
from fleetapp.vehicles import queries as vehicle_queries
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy

LONGEST_VIEW_S = 31 * 86400


@dataclass(frozen=True, slots=True)
class Upload:
    """What became of an uploaded file: points read, newly stored, already known, rejected with their reasons."""

    read: int
    stored: int
    known: int
    rejected: list[dict[str, str]]


def view_track(
    session: Session, *, vehicle_id: int, start: datetime, end: datetime, purpose: str, actor: Actor, now: datetime
) -> list[Fix]:
    """Return a vehicle's fixes and log who looked, at what, why.

    :raises NotAllowed: outside the actor's scope.
    :raises RuleBroken: no purpose, too long a window, an archive file that is away, or a vehicle whose tracks are not shown.
    """
    vehicle = vehicle_queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("tracking.playback", actor, org_path=vehicle.org.path)
    if vehicle.secrecy != Secrecy.NORMAL:
        raise NotFound("kit.not_found")
    if len(purpose.strip()) < 2:
        raise RuleBroken("tracking.purpose_missing")
    if not 0 < (end - start).total_seconds() <= LONGEST_VIEW_S:
        raise RuleBroken("tracking.window")
    try:
        fixes = queries.track(session, vehicle_id=vehicle_id, start=start, end=end)
    except bridge.ArchiveMissing as error:
        raise RuleBroken("tracking.archive_missing", day=error.day.isoformat(), file=str(error.path)) from error
    audit.record(session, actor=actor, now=now, action="tracking.viewed", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, start=start, end=end, purpose=purpose, fixes=len(fixes))  # fmt: skip
    return fixes


def watched(
    session: Session, *, purpose: str, vehicle: Vehicle | None = None, vehicles: int = 1, actor: Actor, now: datetime
) -> None:
    """Log that somebody begins to watch where one vehicle is now, or where all within reach are, and for what.

    For whoever shows positions and has checked the permission; a page that asks again and again is logged when it opens.
    """
    audit.record(
        session, actor=actor, now=now, action="tracking.watched", subject_type="vehicle" if vehicle else "organisation",
        subject_id=vehicle.id if vehicle else actor.org_id, org_id=vehicle.org_id if vehicle else actor.org_id, purpose=purpose, vehicles=vehicles,
    )  # fmt: skip


def upload_track(
    session: Session, *, vehicle_id: int, path: Path, file_name: str, actor: Actor, now: datetime
) -> Upload:
    """Store the points of a GPX, CSV, JSON-lines or frame file as fixes of a vehicle.

    Points are kept under the terminal that the vehicle carried at their time; a second upload of the same file
    changes nothing.

    :raises RuleBroken: ``tracking.file`` with the reason, or no terminal was bound over that time.
    """
    vehicle = vehicle_queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("tracking.upload", actor, org_path=vehicle.org.path)
    try:
        file = bridge.read_track(path)
    except bridge.TrackFileError as error:
        raise RuleBroken("tracking.file", reason=str(error)) from error
    fixes = file.fixes
    first, last = min(fix.at for fix in fixes), max(fix.at for fix in fixes)
    bindings = queries.bindings_of(session, vehicle_id=vehicle_id, start=first, end=max(last, now))
    kept: list[tuple[int, Fix]] = []
    refused = [{"row": str(row.line), "reason": row.reason.value, "detail": row.detail} for row in file.bad_rows]
    for fix in fixes:
        carried = [binding.terminal_id for binding in bindings if binding.during.contains(fix.at)]
        if carried:
            kept.append((carried[0], fix))
        else:
            refused.append({"row": fix.at.isoformat(), "reason": "no_terminal_bound", "detail": ""})
    if not kept:
        raise RuleBroken("tracking.no_terminal_then")
    stored = bridge.save_fixes(session, fixes=kept, now=now, peer=f"upload:{actor.user_id}")
    audit.record(session, actor=actor, now=now, action="tracking.uploaded", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, file=file_name, read=len(fixes), stored=stored, rejected=len(refused))  # fmt: skip
    return Upload(read=len(fixes) + len(file.bad_rows), stored=stored, known=len(kept) - stored, rejected=refused)


def allow_terminal(
    session: Session,
    *,
    phone: str,
    kind: Literal["jt808", "phone"],
    speed_unit: Literal["knots", "ms", "kmh"],
    note: str,
    actor: Actor,
    now: datetime,
) -> tuple[int, str | None]:
    """Allow a device to send; returns its id and, for a phone, its token, which is shown once and never stored."""
    permits.require("tracking.terminals", actor)
    token = secrets.token_urlsafe(18) if kind == "phone" else None
    terminal_id = bridge.add_terminal(session, phone=phone, kind=kind, token=token, speed_unit=speed_unit, note=note)
    audit.record(session, actor=actor, now=now, action="tracking.terminal_allowed", subject_type="gps_terminal",
                 subject_id=terminal_id, org_id=actor.org_id, phone=phone, kind=kind)  # fmt: skip
    return terminal_id, token
