"""The file of policy figures: what each must state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from fleetapp.kit.errors import RuleBroken

KEYS = frozenset(["value", "unit", "source", "article", "valid_from"])


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in force from ``valid_from`` until a later one of the same code replaces it."""

    code: str
    value: Decimal
    unit: str
    valid_from: date
    source: str
    article: str | None


def figures(rows: Mapping[str, Any]) -> list[Figure]:
    """Return the figures of a file: code -> row, or list of rows for several periods; in order of time per code.

    :raises RuleBroken: ``policies.row``, naming the code and what is wrong.
    """
    found = []
    for code, given in rows.items():
        for row in given if isinstance(given, list) else [given]:
            wrong = KEYS.symmetric_difference(row) - {"article"}
            if wrong:
                raise RuleBroken("policies.row", figure=code, problem=", ".join(sorted(wrong)))
            try:
                value = Decimal(str(row["value"]))
            except InvalidOperation:
                raise RuleBroken("policies.row", figure=code, problem="value") from None
            if not isinstance(row["valid_from"], date):
                raise RuleBroken("policies.row", figure=code, problem="valid_from")
            found.append(Figure(code, value, row["unit"], row["valid_from"], row["source"], row.get("article")))
    return sorted(found, key=lambda figure: (figure.code, figure.valid_from))
