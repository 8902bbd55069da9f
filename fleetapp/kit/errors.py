"""Everything a caller can do wrong, as codes with parameters; ``web`` turns them into words and a status.

A code ``slice.case`` is the key of a text in that slice's ``texts.toml``.
"""

from typing import Any


class FleetError(Exception):
    """Base of all expected failures. Carries a text key and the values for its placeholders."""

    def __init__(self, code: str, **params: Any) -> None:
        super().__init__(code, params)
        self.code = code
        self.params = params

    def __str__(self) -> str:
        """Return the code with its parameters, for logs."""
        return f"{self.code} {self.params}" if self.params else self.code


class RuleBroken(FleetError):
    """A business rule says no; nothing was changed."""


class NotFound(FleetError):
    """No such row, or none that this actor may know of."""


class NotAllowed(FleetError):
    """The actor may not do this here, or not in this state."""


class NotSignedIn(FleetError):
    """No valid sign-in came with the request."""


class Conflict(FleetError):
    """Somebody else was faster: the row changed or the resource is taken."""


class Invalid(FleetError):
    """Input of the wrong form; ``fields`` maps a field name to its messages."""

    def __init__(self, code: str = "kit.invalid", *, fields: dict[str, Any] | None = None, **params: Any) -> None:
        super().__init__(code, **params)
        self.fields = fields or {}
