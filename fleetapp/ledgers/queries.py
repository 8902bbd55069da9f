"""Reading of imports and of the ledgers to be exported."""

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.attachments.models import AttachmentContent
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed, NotFound
from fleetapp.ledgers.models import LedgerImport
from fleetapp.ledgers.rules import AT_WORK


def visible_to(actor: Actor) -> Select[LedgerImport]:
    """Return the imports of the units within reach, the newest first."""
    return (
        select(LedgerImport)
        .join(LedgerImport.org)
        .where(within_reach(actor, "ledgers.import"))
        .options(contains_eager(LedgerImport.org), joinedload(LedgerImport.uploader))
        .order_by(LedgerImport.id.desc())
    )


def filtered(query: Select[LedgerImport], *, kind: str | None = None, state: str | None = None) -> Select[LedgerImport]:
    """Narrow imports by ledger and state."""
    for column, wanted in ((LedgerImport.kind, kind), (LedgerImport.state, state)):
        if wanted:
            query = query.where(column == wanted)
    return query


def get_import(session: Session, *, import_id: int, actor: Actor, lock: bool = False) -> LedgerImport:
    """Return an import that the actor may read.

    :raises NotFound: no such import, or out of reach.
    """
    query = visible_to(actor).where(LedgerImport.id == import_id)
    if lock:
        query = query.with_for_update(of=LedgerImport).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def next_at_work(session: Session) -> LedgerImport | None:
    """Return the oldest import that the scheduler has to do something for."""
    query = select(LedgerImport).where(LedgerImport.state.in_(AT_WORK)).order_by(LedgerImport.id)
    return session.scalars(query.limit(1)).first()


def content(session: Session, sha256: str) -> bytes:
    """Return the bytes of an uploaded file."""
    found = session.get(AttachmentContent, sha256)
    if found is None:
        raise NotFound("kit.not_found")
    return found.content


def scope_org(session: Session, *, actor: Actor, org_id: int | None) -> Organisation:
    """Return the top of what is exported: the organisation asked for, by default the highest that the actor may export.

    :raises NotAllowed: outside the part of the tree that the actor may export.
    """
    query = select(Organisation).where(within_reach(actor, "ledgers.export"))
    if org_id is not None:
        query = query.where(Organisation.id == org_id)
    found = session.scalars(query.order_by(Organisation.path).limit(1)).first()
    if found is None:
        raise NotAllowed("kit.not_allowed", action="ledgers.export")
    permits.require("ledgers.export", actor, org_path=found.path)
    return found
