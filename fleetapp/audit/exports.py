"""Files that leave the system: each with a record of its hash and an entry in the log, whichever slice makes it."""

import hashlib
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from fleetapp.audit import service
from fleetapp.audit.models import ExportRecord
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed


def record(
    session: Session, *, action: str, org_id: int, kind: str, reason: str, filters: dict[str, Any], rows: int, name: str,
    file: BinaryIO, actor: Actor, now: datetime,
) -> ExportRecord:  # fmt: skip
    """Record a written file; hand it over after the commit only. For slices that have checked the permission and the reason.

    :raises NotAllowed: nobody in person asks for it.
    """
    if actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action=action)
    sha256, size = _digest(file)
    made = ExportRecord(
        org_id=org_id, actor_id=actor.user_id, at=now, kind=kind, reason=reason, filters=filters, rows=rows, file_name=name,
        bytes=size, sha256=sha256,
    )  # fmt: skip
    session.add(made)
    session.flush()
    service.record(session, actor=actor, now=now, action=action, subject_type="export_record", subject_id=made.id, org_id=org_id,
                   reason=reason, rows=rows, bytes=size, sha256=sha256, file_name=name, **filters)  # fmt: skip
    return made


def _digest(file: BinaryIO) -> tuple[str, int]:
    """Return SHA-256 and length of a file and leave it at its start."""
    found = hashlib.sha256()
    file.seek(0)
    while piece := file.read(1 << 20):
        found.update(piece)
    size = file.tell()
    file.seek(0)
    return found.hexdigest(), size
