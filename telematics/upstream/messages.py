"""Queued fixes as 0x1200 messages: live ones singly, history in groups of five, each vehicle's in order of time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from telematics.gcj02 import wgs84_to_gcj02
from telematics.model import Fix
from telematics.protocols.jt808 import ProtocolError
from telematics.protocols.jt808_body import (
    STATUS_ACC,
    STATUS_FIXED,
    STATUS_SOUTH,
    STATUS_WEST,
    encode_location,
)
from telematics.protocols.jt809 import Edition
from telematics.protocols.jt809_vehicle import (
    CATCH_UP_MOST,
    CatchUp,
    Live,
    Position,
    Position2011,
    Position2019,
    Register,
    Vehicle,
    encode_vehicle,
)
from telematics.upstream.outbox import Queued

GREEN, OTHER = 5, 9
WORD = 0xFFFFFFFF
ITEMS_2019 = ("fuel_l", "recorder_speed_kmh")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message and how many positions it carries."""

    msg_id: int
    body: bytes
    positions: int


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes messages for one superior platform. ``platform`` is our id in them, ``late`` the age that makes history."""

    edition: Edition
    platform: str
    gcj02: bool
    late: timedelta

    def compose(self, rows: Sequence[Queued], *, live_from: datetime) -> tuple[list[Outgoing], list[str]]:
        """Messages in order, and why fixes were left out that no field can hold.

        History (0x1203) is what came before ``live_from``, was sent before, was buffered by the terminal, or is old.
        """
        unfit: list[str] = []
        outgoing: list[Outgoing] = []
        for group in _by_vehicle(rows):
            for is_live, run in self._runs(group, live_from):
                positions: list[Position] = []
                for row in run:
                    try:
                        position = self.position(row.fix)
                        self._pack(row, [position], is_live=True)  # one that fits nowhere must not hold up the others
                    except ProtocolError as error:
                        unfit.append(f"{row.plate} {row.fix.at.isoformat()}: {error}")
                    else:
                        positions.append(position)
                if positions:
                    outgoing.append(self._pack(run[0], positions, is_live=is_live))
        return outgoing, unfit

    def register(self, row: Queued) -> Outgoing:
        """0x1201 of a row's vehicle and terminal; raises ProtocolError for a plate that no field can hold."""
        number = row.phone[-12:].zfill(12)
        terminal = row.phone[-7:]
        content = Register(self.platform, "", "", terminal, number)
        return Outgoing(*encode_vehicle(Vehicle(row.plate, self._colour(row.colour), content), self.edition), 0)

    def position(self, fix: Fix) -> Position:
        """GNSS data of a fix; raises ProtocolError for a value no field can hold."""
        if self.gcj02:
            lat, lon = wgs84_to_gcj02(fix.lat, fix.lon)
            fix = replace(fix, lat=lat, lon=lon)
        if self.edition == "2019":
            items: dict[str, Any] = {name: fix.items[name] for name in ITEMS_2019 if name in fix.items}
            own = (self.platform, fix.alarm & WORD)
            return Position2019(self.gcj02, encode_location(replace(fix, items=items)), (own, ("", 0), ("", 0)))
        state = fix.status & WORD & ~(STATUS_FIXED | STATUS_SOUTH | STATUS_WEST)
        if fix.acc is not None:
            state = state & ~STATUS_ACC | (STATUS_ACC if fix.acc else 0)
        state |= (STATUS_FIXED * fix.fixed) | (STATUS_SOUTH * (fix.lat < 0)) | (STATUS_WEST * (fix.lon < 0))
        return Position2011(
            encrypted=self.gcj02,
            at=fix.at,
            lon_e6=round(abs(fix.lon) * 1e6),
            lat_e6=round(abs(fix.lat) * 1e6),
            speed_kmh=round(fix.speed_kmh or 0),
            recorder_kmh=round(fix.items.get("recorder_speed_kmh") or 0),
            odometer_km=(fix.odometer_m or 0) // 1000,
            direction_deg=fix.direction_deg or 0,
            altitude_m=fix.altitude_m or 0,
            state=state,
            alarm=fix.alarm & WORD,
        )

    def _runs(self, group: Iterable[Queued], live_from: datetime) -> Iterator[tuple[bool, list[Queued]]]:
        """One live fix, or up to five that are history and follow one another."""
        history: list[Queued] = []
        for row in group:
            fix = row.fix
            old = row.again or fix.blind or row.received_at < live_from or row.received_at - fix.at > self.late
            if old:
                history.append(row)
            if history and (not old or len(history) == CATCH_UP_MOST):
                yield False, history
                history = []
            if not old:
                yield True, [row]
        if history:
            yield False, history

    def _pack(self, row: Queued, positions: Sequence[Position], *, is_live: bool) -> Outgoing:
        content = Live(positions[0]) if is_live else CatchUp(tuple(positions))
        vehicle = Vehicle(row.plate, self._colour(row.colour), content)
        return Outgoing(*encode_vehicle(vehicle, self.edition), len(positions))

    def _colour(self, colour: int) -> int:
        return OTHER if self.edition == "2011" and colour == GREEN else colour


def _by_vehicle(rows: Sequence[Queued]) -> list[list[Queued]]:
    groups: dict[tuple[int, str], list[Queued]] = {}
    for row in rows:
        groups.setdefault((row.terminal_id, row.plate), []).append(row)
    return [sorted(group, key=lambda row: (row.fix.at, row.id)) for group in groups.values()]
