"""Reading of files."""

from collections.abc import Sequence

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.attachments.models import Attachment, AttachmentContent
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound


def visible_to(actor: Actor) -> Select[Attachment]:
    """Return the files of the actor's part of the organisation, and the actor's own."""
    roles = permits.table()["attachments.read"].roles
    paths = actor.paths({*(role for role, scope in roles.items() if scope != "own"), Role.SYSTEM})
    return (
        select(Attachment)
        .join(Organisation, Organisation.id == Attachment.org_id)
        .where(
            or_(
                Attachment.created_by == actor.user_id,
                *(Organisation.path.startswith(path, autoescape=True) for path in paths),
            )
        )
        .order_by(Attachment.id)
    )


def of(session: Session, *, subject_type: str, subject_ids: Sequence[int], actor: Actor) -> Sequence[Attachment]:
    """Return the files of some rows of one kind, the oldest first."""
    query = visible_to(actor).where(Attachment.subject_type == subject_type, Attachment.subject_id.in_(subject_ids))
    return session.scalars(query).all()


def get_content(session: Session, *, attachment_id: int, actor: Actor) -> tuple[Attachment, bytes]:
    """Return a file and its bytes.

    :raises NotFound: no such file, or out of reach.
    """
    found = session.scalar(visible_to(actor).where(Attachment.id == attachment_id))
    if found is None:
        raise NotFound("kit.not_found")
    content = session.scalars(select(AttachmentContent.content).where(AttachmentContent.sha256 == found.sha256)).one()
    return found, content
