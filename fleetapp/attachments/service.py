"""Keeping files."""

from datetime import datetime
from pathlib import PurePath

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.attachments import rules
from fleetapp.attachments.models import Attachment, AttachmentContent
from fleetapp.audit import service as audit
from fleetapp.kit.actor import Actor


def attach(
    session: Session,
    *,
    org_id: int,
    subject_type: str,
    subject_id: int,
    label: str,
    name: str,
    content: bytes,
    actor: Actor,
    now: datetime,
) -> Attachment:
    """Keep a file of a row; ``label`` says what it is (a kind of the slice), ``name`` is the one it came with.

    For slices that have already checked that the actor may add to this row, so it asks for no permission of its own;
    row-level security still holds. Pictures are kept without what a camera wrote beside them (``rules.kept``).

    :raises RuleBroken: empty, too large, of a kind that is not accepted, disguised (``rules.media_type``) or damaged (``rules.kept``).
    """
    short = PurePath(name.replace("\\", "/")).name[-120:]
    kind = rules.media_type(short, content)
    content = rules.kept(kind, short, content)
    sha256 = rules.digest(content)
    session.execute(insert(AttachmentContent).values(sha256=sha256, content=content).on_conflict_do_nothing())
    made = Attachment(
        org_id=org_id, subject_type=subject_type, subject_id=subject_id, label=label, name=short, media_type=kind,
        size=len(content), sha256=sha256, created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="attachments.attached", subject_type=subject_type,
                 subject_id=subject_id, org_id=org_id, attachment=made.id, name=short, label=label, size=made.size,
                 sha256=sha256)  # fmt: skip
    return made
