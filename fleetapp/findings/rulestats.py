"""How a rule fares: what people found when they looked, how often it speaks, what it was worth in the labelled city."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.findings.models import Finding, FindingState
from fleetapp.findings.queries import visible_to
from fleetapp.kit.actor import Actor

MEASURED_FILE = Path(__file__).with_name("measured.toml")
RIGHT = frozenset([FindingState.CONFIRMED, FindingState.PROCEDURAL])


@dataclass(frozen=True, slots=True)
class Fared:
    """Clues of a rule over a time: raised, reviewed, and of these right (confirmed or a fault of procedure)."""

    raised: int = 0
    reviewed: int = 0
    right: int = 0

    @property
    def precision(self) -> float | None:
        """Share of the reviewed that were right; ``None`` when nobody reviewed any."""
        return self.right / self.reviewed if self.reviewed else None


def of_rules(session: Session, *, actor: Actor, org_path: str, since: datetime) -> dict[str, Fared]:
    """Return how each rule fared on clues within the actor's reach and an organisation's sub-tree since a moment."""
    inside = select(Organisation.id).where(Organisation.path.startswith(org_path, autoescape=True))
    clues = visible_to(actor).where(
        Finding.start_at >= since, Finding.org_id.in_(inside), Finding.state != FindingState.WITHDRAWN
    )
    rows = clues.order_by(None).subquery()
    reviewed_too = rows.c.reviewer_id.is_not(None)
    counts: dict[str, list[int]] = {}
    query = select(rows.c.rule, rows.c.state, reviewed_too, func.count()).group_by(
        rows.c.rule, rows.c.state, reviewed_too
    )
    for rule, state, reviewed, number in session.execute(query):
        own = counts.setdefault(rule, [0, 0, 0])
        own[0] += number
        own[1] += number if reviewed else 0
        own[2] += number if reviewed and state in RIGHT else 0
    return {rule: Fared(*own) for rule, own in counts.items()}


@functools.cache
def measured() -> Mapping[str, Mapping[str, float]]:
    """Return acts, clues, precision and recall by rule of the last published run of the labelled city.

    The file is written by ``python -m fleetapp.demo.labelled --publish``.
    """
    return tomllib.loads(MEASURED_FILE.read_text(encoding="utf-8")) if MEASURED_FILE.exists() else {}
