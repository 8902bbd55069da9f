"""Loading policy figures; a figure that was in force is history and is never overwritten."""

import tomllib
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.policies import rules
from fleetapp.policies.models import PolicyValue

POLICY_FILE = Path(__file__).parents[2] / "config" / "policy.toml"


def load_file(session: Session, *, actor: Actor, now: datetime, path: Path = POLICY_FILE) -> int:
    """Add the figures of a file that are not there yet, closing the period of those they replace; returns how many.

    :raises RuleBroken: ``policies.row`` for a faulty row; ``policies.changed`` when a figure differs from the one
        already loaded for the same first day, ``policies.backdated`` when it starts before the newest one.
    """
    permits.require("policies.load", actor, org_path="/")
    present = {
        (row.code, row.valid_from): row
        for row in session.scalars(select(PolicyValue).where(PolicyValue.org_id.is_(None)))
    }
    added = []
    for figure in rules.figures(tomllib.loads(path.read_text(encoding="utf-8"))):
        same = present.get((figure.code, figure.valid_from))
        if same is not None:
            if (same.value, same.unit) != (figure.value, figure.unit):
                raise RuleBroken("policies.changed", figure=figure.code, on=figure.valid_from.isoformat())
            continue
        for older in present.values():
            if older.code != figure.code or older.valid_to is not None:
                continue
            if older.valid_from > figure.valid_from:
                raise RuleBroken("policies.backdated", figure=figure.code, on=older.valid_from.isoformat())
            older.valid_to = figure.valid_from
        session.flush()  # the older period must be closed before the newer opens
        row = PolicyValue(code=figure.code, value=figure.value, unit=figure.unit, valid_from=figure.valid_from,
                          source=figure.source, article=figure.article)  # fmt: skip
        session.add(row)
        present[figure.code, figure.valid_from] = row
        added.append(figure.code)
    if added:
        audit.record(session, actor=actor, now=now, action="policies.loaded", subject_type="policy_value",
                     subject_id=None, org_id=None, codes=added)  # fmt: skip
    return len(added)
