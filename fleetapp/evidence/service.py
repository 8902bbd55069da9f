"""Packages leave with a reason, a record and, for restricted vehicles, a second person's consent."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import BinaryIO

from sqlalchemy.orm import Session

from fleetapp.audit import exports
from fleetapp.audit import service as audit
from fleetapp.audit.models import ExportRecord
from fleetapp.audit.rules import check_reason
from fleetapp.evidence import facts, queries, rules
from fleetapp.evidence.facts import Facts
from fleetapp.evidence.models import EvidenceRequest
from fleetapp.evidence.rules import RequestState
from fleetapp.findings import queries as findings
from fleetapp.findings.models import Finding
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.kit.sheets import safe_name
from fleetapp.policies import queries as policies

KIND = "evidence"


def _finding(session: Session, finding_id: int, actor: Actor, action: str) -> tuple[Finding, bool]:
    """Return a clue that the actor may do this with, and whether a second person must consent."""
    finding = findings.get_finding(session, finding_id=finding_id, actor=actor)
    permits.require(action, actor, org_path=finding.org.path)
    return finding, rules.needs_consent(finding.vehicle.secrecy)


def request(session: Session, *, finding_id: int, reason: str, actor: Actor, now: datetime) -> EvidenceRequest:
    """Ask for the package of a restricted vehicle.

    :raises RuleBroken: ``audit.reason_missing``; ``evidence.no_consent_needed``, the vehicle is an ordinary one.
    :raises Conflict: at the end, ``evidence.request_there``: the same person has asked already.
    """
    reason = check_reason(reason)
    finding, restricted = _finding(session, finding_id, actor, "evidence.make")
    if not restricted:
        raise RuleBroken("evidence.no_consent_needed")
    if actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action="evidence.make")
    made = EvidenceRequest(org_id=finding.org_id, finding=finding, reason=reason, requested_by=actor.user_id, requested_at=now,
                           state=RequestState.REQUESTED)  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="evidence.requested", subject_type="evidence_request", subject_id=made.id,
                 org_id=made.org_id, finding=finding.number, reason=reason)  # fmt: skip
    return made


def decide(
    session: Session, *, request_id: int, agreed: bool, note: str, actor: Actor, now: datetime
) -> EvidenceRequest:
    """Consent to a request or refuse it; a consent holds for as long as the policy says.

    :raises NotAllowed: out of the actor's part of the tree, or the own request.
    :raises RuleBroken: decided already, or refused without a word.
    """
    one = queries.get_request(session, request_id=request_id, actor=actor, lock=True)
    rules.check_decision(
        state=one.state, requested_by=one.requested_by, actor_id=actor.user_id, agreed=agreed, note=note
    )
    permits.require("evidence.consent", actor, org_path=one.finding.org.path, owner_id=one.requested_by)
    hours = policies.value(session, "evidence.consent_h", clock.local_date(now))
    one.state = RequestState.CONSENTED if agreed else RequestState.REFUSED
    one.decided_by, one.decided_at, one.note = actor.user_id, now, note.strip() or None
    one.expires_at = now + timedelta(hours=float(hours)) if agreed else None
    audit.record(session, actor=actor, now=now, action=f"evidence.{one.state.lower()}", subject_type="evidence_request", subject_id=one.id,
                 org_id=one.org_id, finding=one.finding.number, note=one.note, expires_at=one.expires_at)  # fmt: skip
    return one


def package(
    session: Session,
    *,
    finding_id: int,
    reason: str,
    proof: facts.Prove,
    write: Callable[[Facts, BinaryIO], None],
    file: BinaryIO,
    actor: Actor,
    now: datetime,
) -> ExportRecord:
    """Write the package of a clue into ``file`` and record it; hand it over after the commit only.

    ``proof`` reads the audit chain and the seals, which are the whole system's; ``write`` makes the bytes.

    :raises RuleBroken: ``audit.reason_missing``.
    :raises NotFound: no such clue within reach, or about a secret vehicle.
    :raises NotAllowed: the actor may not make packages, or there is no consent in force for a restricted vehicle.
    """
    reason = check_reason(reason)
    finding, restricted = _finding(session, finding_id, actor, "evidence.make")
    if restricted:
        asked = queries.latest(session, finding_id=finding.id, user_id=actor.user_id)
        rules.check_consent(
            state=asked.state if asked else None, expires_at=asked.expires_at if asked else None, now=now
        )
    found = facts.gather(session, finding_id=finding_id, proof=proof, actor=actor, now=now)
    write(found, file)
    return exports.record(
        session, action="evidence.packaged", org_id=finding.org_id, kind=KIND, reason=reason, filters={"finding": finding.number},
        rows=len(found.case.fixes), name=safe_name(f"{finding.org.name_zh}_疑似线索取证包_{finding.number}", "zip"), file=file,
        actor=actor, now=now,
    )  # fmt: skip
