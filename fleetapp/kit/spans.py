"""Half-open intervals of time ``[start, end)``."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """``start`` belongs to the span, ``end`` does not. Both aware, ``start < end``."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse naive or reversed bounds."""
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("Span wants aware datetimes.")
        if self.start >= self.end:
            raise ValueError(f"Span wants start < end, got {self.start.isoformat()} .. {self.end.isoformat()}.")

    def __contains__(self, at: datetime) -> bool:
        """Tell whether a moment lies inside."""
        return self.start <= at < self.end

    def overlaps(self, other: "Span") -> bool:
        """Tell whether the two share any time; touching ends do not."""
        return self.start < other.end and other.start < self.end

    def widened(self, before: timedelta, after: timedelta) -> "Span":
        """Return the span with buffers added."""
        return Span(self.start - before, self.end + after)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start).total_seconds()
