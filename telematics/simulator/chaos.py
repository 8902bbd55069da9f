"""What goes wrong between real terminals and their gateway, drawn from a seeded source."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import Any, NoReturn

from telematics.gateway.terminal import NoAnswer, Terminal

LATE_S = 0.5
TORN_S = 0.02
JUMP_BACK_S, JUMP_AHEAD_S = 6 * 3600, 12 * 3600
"""Bounds of a jump of the device's clock; the store refuses what is more than a day ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """Chance of each mishap for a frame; of ``clock`` and ``disorder`` for a position and a group of them."""

    cut: float = 0.0
    disconnect: float = 0.0
    duplicate: float = 0.0
    late: float = 0.0
    torn: float = 0.0
    bad: float = 0.0
    clock: float = 0.0
    disorder: float = 0.0


CALM = Odds()
CHAOS = Odds(cut=0.01, disconnect=0.01, duplicate=0.05, late=0.03, torn=0.05, bad=0.03, clock=0.005, disorder=0.2)


class UnreliableTerminal(Terminal):
    """A terminal whose frames meet with mishaps on their way."""

    def __init__(self, host: str, port: int, phone: str, *, odds: Odds, rng: Random, **options: Any) -> None:
        super().__init__(host, port, phone, **options)
        self._odds = odds
        self._rng = rng
        self._line = asyncio.Lock()

    async def _write(self, frame: bytes) -> None:
        odds, rng = self._odds, self._rng
        async with self._line:  # one frame after the other, whatever happens to it
            if rng.random() < odds.late:
                await asyncio.sleep(rng.uniform(0, LATE_S))
            if rng.random() < odds.bad:
                await super()._write(spoilt(frame, rng))
            if rng.random() < odds.cut:
                await super()._write(frame[: rng.randrange(1, len(frame))])
                self._break("the connection was cut within a frame")
            if rng.random() < odds.torn:
                await super()._write(frame[:7])
                await asyncio.sleep(TORN_S)
                await super()._write(frame[7:])
            else:
                await super()._write(frame)
            if rng.random() < odds.duplicate:
                await super()._write(frame)
            if rng.random() < odds.disconnect:
                self._break("the connection was cut after a frame")

    def _break(self, reason: str) -> NoReturn:
        if self._stream is not None:
            self._stream.transport.abort()
        raise NoAnswer(reason)


def spoilt(frame: bytes, rng: Random) -> bytes:
    """Something that no gateway may take for a message: a frame with a wrong byte, or noise between flags."""
    if rng.random() < 0.5:
        return b"\x7e" + rng.randbytes(rng.randrange(1, 12)).replace(b"\x7e", b"\x7f") + b"\x7e"
    at = rng.randrange(1, len(frame) - 1)
    wrong = frame[at] ^ 1 << rng.randrange(8)
    return frame[:at] + bytes((wrong,)) + frame[at + 1 :]


def jump(rng: Random) -> timedelta:
    """Error of a device clock after a jump; half of them put it right."""
    return timedelta(seconds=rng.choice((0, rng.randint(-JUMP_BACK_S, JUMP_AHEAD_S))))
