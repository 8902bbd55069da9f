"""Daily heads of the chain for third parties: a rewrite of everything before one shows against the copy they keep.

A file is ``{"head": {day, seq, hash, at}, "algorithm", "key", "public", "signature"}``; the signature (Ed25519) is over
``fleet-audit-head-1``, a line feed, and the head as JSON with sorted names and no blanks, UTF-8.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.audit import queries, service
from fleetapp.audit.models import PublishedHead
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken

FORM = "fleet-audit-head-1"
Sign = Callable[[str, bytes], Mapping[str, str]]
"""Signs bytes for a use: ``{"algorithm", "key", "public", "signature"}``, the last two base64url."""


def signed_bytes(head: Mapping[str, Any]) -> bytes:
    """Return what the signature of a head is over, without its form."""
    return json.dumps(head, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def publish(session: Session, *, day: date, sign: Sign, actor: Actor, now: datetime) -> PublishedHead | None:
    """Sign the end of the chain as it is now as the head of a local day; None if the day has one."""
    if session.get(PublishedHead, day) is not None:
        return None
    end = queries.head(session)
    head = {"day": day.isoformat(), "seq": end.seq, "hash": end.hash, "at": now.isoformat()}
    document = json.dumps({"head": head, **sign(FORM, signed_bytes(head))}, indent=1, ensure_ascii=False) + "\n"
    made = PublishedHead(day=day, seq=end.seq, hash=end.hash, at=now, document=document)
    session.add(made)
    session.flush()
    service.record(session, actor=actor, now=now, action="audit.head_published", subject_type="audit_head", subject_id=day.isoformat(),
                   org_id=None, seq=end.seq, hash=end.hash)  # fmt: skip
    return made


@dataclass(frozen=True, slots=True)
class Kept:
    """A head that somebody kept elsewhere, read from its file."""

    day: str
    seq: int
    hash: str


def read(text: str, *, holds: Callable[[str, bytes, Mapping[str, str]], bool]) -> Kept:
    """Return the head of a file after its signature was checked by ``holds``.

    :raises RuleBroken: ``audit.head_unreadable`` no such file, ``audit.head_forged`` not signed by this system.
    """
    try:
        document = json.loads(text)
        head = document["head"]
        kept = Kept(str(head["day"]), int(head["seq"]), str(head["hash"]))
        message = signed_bytes(head)
    except (ValueError, KeyError, TypeError) as error:
        raise RuleBroken("audit.head_unreadable") from error
    if not holds(FORM, message, document):
        raise RuleBroken("audit.head_forged")
    return kept


def compare(session: Session, kept: Kept) -> list[queries.Fault]:
    """Return what is wrong with the chain by a head kept elsewhere: cut off before it, or rewritten."""
    if kept.seq == 0:
        return []
    found = queries.hash_of(session, seq=kept.seq)
    if found is None:
        return [queries.Fault(kept.seq, "tail")]
    return [] if found == kept.hash else [queries.Fault(kept.seq, "head")]
