"""Values of the application as canonical JSON text."""

import json
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any


def _plain(value: Any) -> Any:
    match value:
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Enum():
            return value.value
        case bytes():
            return value.hex()
        case set() | frozenset():
            return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here.")


def jsonable(value: Any) -> str:
    """Return JSON text with sorted keys; times ISO 8601, money as text, bytes as hex."""
    return json.dumps(value, default=_plain, ensure_ascii=False, sort_keys=True)
