"""Sub-packaged messages of one terminal under way: joined, missing pieces asked for, given up in the end.

Source: JT/T 808-2013 and -2019, 4.4.3 (sub-packages), 8.2 and 8.3 (0x8003, 0x0005).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from telematics.protocols.jt808 import Incomplete, Message, Reassembly

ASK_AT_MOST = 3

Key = tuple[int, int]
"""Message id and number of pieces."""


@dataclass(slots=True)
class _Asked:
    held: int
    times: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """Pieces ``indexes`` (from 1) to ask for, of the message whose first piece has ``serial``; ``like`` is one of them."""

    like: Message
    serial: int
    indexes: tuple[int, ...]


class Pieces:
    """Joins what comes in pieces and remembers whom to answer when the whole is durable."""

    def __init__(self) -> None:
        self._reassembly = Reassembly()
        self._held: dict[Key, dict[int, Message]] = {}
        self._asked: dict[Key, _Asked] = {}

    def add(self, message: Message, *, now: datetime) -> tuple[Message, Iterable[Message]] | None:
        """Whole message and the frames to answer, or None while pieces are missing."""
        if message.sub_package is None:
            return message, (message,)
        total, index = message.sub_package
        key = (message.msg_id, total)
        self._held.setdefault(key, {})[index] = message
        whole = self._reassembly.add(message, now=now)
        if whole is None:
            return None
        self._asked.pop(key, None)
        return whole, self._held.pop(key).values()

    def given_up(self, *, now: datetime) -> list[Incomplete]:
        """What will not be waited for any longer."""
        lost = self._reassembly.give_up(now=now)
        for one in lost:
            self._held.pop((one.msg_id, one.total), None)
            self._asked.pop((one.msg_id, one.total), None)
        return lost

    def missing(self) -> list[Missing]:
        """What to ask for: of messages that have got no piece since the last call, and not too often."""
        found: list[Missing] = []
        for total, pieces in self._reassembly.waiting():
            first = min(pieces)
            like = pieces[first]
            key = (like.msg_id, total)
            asked = self._asked.setdefault(key, _Asked(0))
            if asked.held == len(pieces) and asked.times < ASK_AT_MOST:
                asked.times += 1
                indexes = tuple(index for index in range(1, total + 1) if index not in pieces)
                # The first piece may be among the missing: serials of pieces follow each other.
                found.append(Missing(like, (like.serial - first + 1) & 0xFFFF, indexes))
            asked.held = len(pieces)
        return found

    @property
    def under_way(self) -> bool:
        """Whether a message is not whole yet."""
        return bool(self._reassembly.waiting())
