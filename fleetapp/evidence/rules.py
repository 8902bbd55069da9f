"""When a package may be made, and of what."""

from datetime import datetime
from enum import StrEnum

from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.vehicles.rules import Secrecy

FORM = "fleet-evidence-1"
"""Name of the form of a package, first in what is signed; a change that a checker must know about gives a new one."""
PLACES_SHOWN = 5
PLACES_WITHIN_M = 500.0
"""How many known places a stay is shown with, and how far they may be: more than the rules look at, so that ambiguity shows."""


class RequestState(StrEnum):
    """A request for the package of a restricted vehicle."""

    REQUESTED = "REQUESTED"
    CONSENTED = "CONSENTED"
    REFUSED = "REFUSED"


def needs_consent(secrecy: str) -> bool:
    """Tell whether a second person must consent.

    :raises NotFound: packages of secret vehicles are not made at all, and not spoken of.
    """
    if secrecy == Secrecy.SECRET:
        raise NotFound("kit.not_found")
    return secrecy != Secrecy.NORMAL


def check_consent(*, state: str | None, expires_at: datetime | None, now: datetime) -> None:
    """Refuse without a consent in force.

    :raises NotAllowed: ``evidence.consent_missing``, ``evidence.consent_waits``, ``evidence.consent_expired``.
    """
    if state == RequestState.REQUESTED:
        raise NotAllowed("evidence.consent_waits")
    if state != RequestState.CONSENTED or expires_at is None:
        raise NotAllowed("evidence.consent_missing")
    if now >= expires_at:
        raise NotAllowed("evidence.consent_expired")


def check_decision(*, state: str, requested_by: int, actor_id: int | None, agreed: bool, note: str) -> None:
    """Refuse a decision by whoever asked, a second one, and a refusal that says nothing.

    :raises NotAllowed: ``evidence.own_request``.
    :raises RuleBroken: ``evidence.decided``, ``evidence.note_missing``.
    """
    if actor_id is None or requested_by == actor_id:
        raise NotAllowed("evidence.own_request")
    if state != RequestState.REQUESTED:
        raise RuleBroken("evidence.decided")
    if not agreed and len(note.strip()) < 2:
        raise RuleBroken("evidence.note_missing")
