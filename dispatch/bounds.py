"""Bounds of values: checks whose message names the object, the field, the bound and what was given."""

from collections.abc import Iterable

LONGEST_S = 31 * 86_400
LONGEST_M = 20_000_000


class InvalidModel(ValueError):
    """A value is outside its bound; the message names the object, the field, the bound and what was given."""


def require(ok: bool, who: str, rule: str, got: object) -> None:
    """Raise `InvalidModel` unless ok."""
    if not ok:
        raise InvalidModel(f"{who}: {rule}, got {got!r}.")


def text(value: object, who: str, name: str) -> None:
    """Require a text of 1 to 200 characters."""
    require(
        isinstance(value, str) and 0 < len(value) <= 200, who, f"{name} must be a text of 1 to 200 characters", value
    )


def whole(value: object, who: str, name: str, low: int, high: int) -> None:
    """Require a whole number within both bounds."""
    ok = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    require(ok, who, f"{name} must be a whole number from {low} to {high}", value)


def number(value: object, who: str, name: str, low: float, high: float) -> None:
    """Require a number within both bounds."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    require(ok, who, f"{name} must be a number from {low:g} to {high:g}", value)


def member(value: object, who: str, name: str, allowed: Iterable[str]) -> None:
    """Require one of the allowed texts."""
    allowed = tuple(allowed)
    require(value in allowed, who, f"{name} must be one of {', '.join(allowed)}", value)


def unique(ids: Iterable[str], what: str) -> None:
    """Require that no id occurs twice."""
    seen: set[str] = set()
    for name in ids:
        require(name not in seen, what, "every id must occur once", name)
        seen.add(name)
