"""What a checked file would do, whichever ledger it belongs to."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.jsonable import jsonable
from fleetapp.ledgers.rules import Row, half_width

Words = Callable[[str, str], str]
"""The words of a key in a language; the edges give them."""
Progress = Callable[[int], None]
"""Is told how many rows are done."""
CHUNK = 500
"""Rows written at a time and between two notes of progress."""


@dataclass(slots=True)
class Change:
    """A row that changes what is there; ``subject`` is the row of the database, ``changed`` field: (before, after)."""

    row: Row
    key: str
    subject: Any
    changed: dict[str, tuple[Any, Any]]


@dataclass(slots=True)
class Plan:
    """The rows of a file by what would become of them; those with faults are refused."""

    rows: Sequence[Row]
    new: list[tuple[Row, Organisation]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    unchanged: int = 0

    @property
    def rejected(self) -> list[Row]:
        """Rows with faults, in their order."""
        return [row for row in self.rows if row.faults]

    def told(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        result = {
            "new": [row.number for row, _ in self.new],
            "changes": [{"row": change.row.number, "key": change.key, "changed": change.changed} for change in self.changes],
            "faults": [
                {"row": row.number, "faults": [{"column": one.column, "code": one.code, "params": one.params} for one in row.faults]}
                for row in self.rejected
            ],
        }  # fmt: skip
        plain: dict[str, Any] = json.loads(jsonable(result))
        return plain


def digest(told: Mapping[str, Any]) -> str:
    """Return the hash of a result: the same file against the same ledger gives the same."""
    return hashlib.sha256(jsonable(told).encode()).hexdigest()


class Units:
    """The units that the actor may import for, by code."""

    def __init__(self, session: Session, actor: Actor) -> None:
        self._orgs = {half_width(org.code): org for org in session.scalars(accounts.orgs_visible_to(actor))
                      if permits.may("ledgers.import", actor, org_path=org.path)}  # fmt: skip

    def of(self, row: Row) -> Organisation | None:
        """Return the unit of a row, or note what is wrong with its code or name."""
        code, name = row.values["org_code"], row.values["org_name"]
        if code is None:
            return None
        org = self._orgs.get(code)
        if org is None:
            row.fault("org_code", "ledgers.org_unknown", code=code)
        elif name is not None and half_width(name) not in {half_width(org.name_zh), half_width(org.name_en)}:
            row.fault("org_name", "ledgers.org_name", code=code, name=org.name_zh)
        return org
