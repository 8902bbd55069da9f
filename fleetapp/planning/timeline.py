"""Where things stand on the time board: spans and moments as per cent of the hours shown. Plain values."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleetapp.kit.spans import Span

HOUR = timedelta(hours=1)
FIRST_H, LAST_H = 6, 20
"""Hours after the day's start that are always shown; anything earlier or later widens the board."""


@dataclass(frozen=True, slots=True)
class Box:
    """Left edge and width in per cent."""

    x: float
    width: float


def shown(day: Span, spans: Iterable[Span]) -> Span:
    """Return the hours of a day to show: whole ones, the working day and whatever sticks out of it."""
    inside = [span for span in spans if span.overlaps(day)]
    start = min([day.start + FIRST_H * HOUR, *(span.start for span in inside)])
    end = max([day.start + LAST_H * HOUR, *(span.end for span in inside)])
    first_h = max(0, (start - day.start) // HOUR)
    last_h = -((day.start - min(end, day.end)) // HOUR)
    return Span(day.start + first_h * HOUR, day.start + last_h * HOUR)


def box(span: Span, board: Span) -> Box | None:
    """Return where a span lies, cut at the edges, or None when nothing of it is shown."""
    start, end = max(span.start, board.start), min(span.end, board.end)
    if start >= end:
        return None
    left = _share(start, board)
    return Box(left, round(_share(end, board) - left, 3))


def mark(at: datetime, board: Span) -> float | None:
    """Return where a moment lies, or None outside."""
    return _share(at, board) if at in board else None


def ticks(board: Span) -> list[tuple[float, datetime]]:
    """Return every full hour but the last with its place."""
    hours = round(board.seconds / 3600)
    return [(_share(board.start + k * HOUR, board), board.start + k * HOUR) for k in range(hours)]


def _share(at: datetime, board: Span) -> float:
    return round((at - board.start).total_seconds() / board.seconds * 100, 3)
