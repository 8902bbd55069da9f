"""Keeping trips in step with what terminals, dispatchers and drivers report."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.trips import bridge, queries, service
from fleetapp.trips.roads import Roads

BATCH = 2000
OVERLAP = timedelta(minutes=1)
"""Re-read for transactions that were still open when the cursor last moved; recomputing twice changes nothing."""
CURSOR = "orders"


def derive(database: Database, now: datetime, *, osrm_url: str = "", limit: int = BATCH) -> dict[str, int]:
    """Recompute every vehicle with new fixes or changed orders; one transaction a vehicle. Returns what changed."""
    with database.transaction(SYSTEM) as session:
        touched = bridge.read_touched(session, limit=limit)
        since = queries.cursor_at(session, name=CURSOR)
        changed = queries.changed_windows(session, since=since - OVERLAP) if since else []
    roads = Roads(osrm_url)
    total = {"windows": len(touched), "vehicles": 0, "added": 0, "superseded": 0, "matches": 0}

    by_terminal: dict[int, list[bridge.Touched]] = defaultdict(list)
    for window in touched:
        by_terminal[window.terminal_id].append(window)
    for terminal_id, windows in ((terminal, near) for terminal, all_ in by_terminal.items() for near in together(all_)):
        with database.transaction(SYSTEM) as session:
            start, end = min(window.first_at for window in windows), max(window.last_at for window in windows)
            for binding in queries.bindings(session, terminal_id=terminal_id, start=start, end=end):
                first = max(start, binding.during.lower or start)
                last = min(end, binding.during.upper or end)
                _add(total, service.derive_window(session, vehicle_id=binding.vehicle_id, start=first, end=last, now=now,
                                                  roads=roads))  # fmt: skip
            bridge.clear_touched(session, done=windows)
    for vehicle_id, start, end in changed:
        with database.transaction(SYSTEM) as session:
            _add(
                total,
                service.derive_window(session, vehicle_id=vehicle_id, start=start, end=end, now=now, roads=roads),
            )
    with database.transaction(SYSTEM) as session:
        service.move_cursor(session, name=CURSOR, at=now)
    return total


def together(windows: Iterable[bridge.Touched]) -> list[list[bridge.Touched]]:
    """Return one terminal's windows in groups that are read at once; what lies further apart is not read in between."""
    groups: list[list[bridge.Touched]] = []
    reached = datetime.min.replace(tzinfo=UTC)
    for window in sorted(windows, key=lambda window: window.first_at):
        if not groups or window.first_at - reached > 2 * bridge.QUIET:
            groups.append([])
        groups[-1].append(window)
        reached = max(reached, window.last_at)
    return groups


def _add(total: dict[str, int], done: service.Derived) -> None:
    total["vehicles"] += 1
    total["added"] += done.added
    total["superseded"] += done.superseded
    total["matches"] += done.matches
