"""Reading of requests."""

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.evidence.models import EvidenceRequest
from fleetapp.evidence.rules import RequestState
from fleetapp.findings.models import Finding
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound


def visible_to(actor: Actor) -> Select[EvidenceRequest]:
    """Return the requests about clues of units where the actor may consent, and the actor's own; open ones first, newest first."""
    paths = ("/",) if actor.has(Role.SYSTEM) else actor.paths(permits.table()["evidence.consent"].roles)
    inside = (Organisation.path.startswith(path, autoescape=True) for path in paths)
    return (
        select(EvidenceRequest)
        .join(EvidenceRequest.finding)
        .join(Organisation, Organisation.id == EvidenceRequest.org_id)
        .where(or_(EvidenceRequest.requested_by == actor.user_id, *inside))
        .options(contains_eager(EvidenceRequest.finding).joinedload(Finding.vehicle),
                 contains_eager(EvidenceRequest.finding).joinedload(Finding.org),
                 joinedload(EvidenceRequest.requester), joinedload(EvidenceRequest.decider))
        .order_by(EvidenceRequest.state != RequestState.REQUESTED, EvidenceRequest.id.desc())
    )  # fmt: skip


def get_request(session: Session, *, request_id: int, actor: Actor, lock: bool = False) -> EvidenceRequest:
    """Return one request, locked if it is to be decided.

    :raises NotFound: none, or out of reach.
    """
    query = visible_to(actor).where(EvidenceRequest.id == request_id)
    found = session.scalar(query.with_for_update(of=EvidenceRequest) if lock else query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def latest(session: Session, *, finding_id: int, user_id: int | None) -> EvidenceRequest | None:
    """Return the newest request of a person for the package of a clue."""
    query = select(EvidenceRequest).where(
        EvidenceRequest.finding_id == finding_id, EvidenceRequest.requested_by == user_id
    )
    return session.scalar(query.order_by(EvidenceRequest.id.desc()).limit(1))
