"""Commands a session has sent and whose answer it waits for.

Source: JT/T 808-2013 and -2019, 5.2 (a terminal answers every message of the platform, which repeats it otherwise),
8.1 (0x0001); 0x0104, 0x0201 and 0x0500 name the serial they answer, 0x0107 does not.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import Message
from telematics.protocols.jt808_command import Command
from telematics.protocols.jt808_report import Attributes, Parameters

RESULTS = ("ok", "failed", "bad message", "unsupported")
ATTEMPTS = 3
NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a terminal made of a command, as in ``terminal_command.result``."""

    result: str
    answer: dict[str, Any] | None = None

    @property
    def came(self) -> bool:
        """Whether the terminal said anything."""
        return self.result != NO_ANSWER


@dataclass(slots=True, eq=False)
class _Question:
    command: Command
    serials: range
    frames: Sequence[bytes]
    accepted: bool = False
    reply: asyncio.Future[Reply] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, reply: Reply) -> None:
        if not self.reply.done():
            self.reply.set_result(reply)


class Questions:
    """The open questions of one session; ``write`` sends frames."""

    def __init__(self, write: Callable[[Sequence[bytes]], None]) -> None:
        self._write = write
        self._open: list[_Question] = []

    async def ask(self, command: Command, frames: Sequence[bytes], *, serial: int, wait_s: float) -> Reply:
        """Send the frames, the first with ``serial``, up to three times, each wait longer by ``wait_s``."""
        question = _Question(command, range(serial, serial + len(frames)), frames)
        self._open.append(question)
        try:
            for attempt in range(1, ATTEMPTS + 1):
                if not question.accepted:
                    self._write(frames)
                await asyncio.wait([question.reply], timeout=wait_s * attempt)
                if question.reply.done():
                    return question.reply.result()
        finally:
            self._open.remove(question)
        return Reply("ok") if question.accepted else Reply(NO_ANSWER)

    def note(self, message: Message, content: body.Body) -> None:
        """Settle what this message answers, if anything."""
        if isinstance(content, body.Answer):
            self._general(content)
        elif isinstance(content, Attributes):
            self._settle(message.msg_id, None, asdict(content))
        elif isinstance(content, Parameters):
            self._settle(message.msg_id, content.serial, {"parameters": content.parameters})
        elif isinstance(content, body.Location) and content.serial is not None:
            fix = content.fix
            position = {"at": fix.at.isoformat(), "lat": fix.lat, "lon": fix.lon, "speed_kmh": fix.speed_kmh}
            self._settle(message.msg_id, content.serial, position | {"fixed": fix.fixed, "status": fix.status})

    def frames(self, serial: int, indexes: Sequence[int]) -> list[bytes]:
        """Sub-packages of the command that began with ``serial``; empty if it is not open or has no such pieces."""
        for question in self._open:
            if question.serials.start & 0xFFFF == serial:
                return [question.frames[index - 1] for index in indexes if 1 <= index <= len(question.frames)]
        return []

    def end(self) -> None:
        """Let nobody wait any more: the line is gone."""
        for question in self._open:
            question.settle(Reply("ok") if question.accepted else Reply(NO_ANSWER))

    def _general(self, answer: body.Answer) -> None:
        for question in self._open:
            if question.command.msg_id != answer.msg_id or not _holds(question.serials, answer.serial):
                continue
            if answer.result:
                known = answer.result < len(RESULTS)
                question.settle(Reply(RESULTS[answer.result] if known else f"result {answer.result}"))
            elif question.serials[-1] & 0xFFFF == answer.serial:  # sub-packages are answered one by one
                question.accepted = True
                if question.command.answer_id is None:
                    question.settle(Reply("ok"))

    def _settle(self, answer_id: int, serial: int | None, answer: dict[str, Any]) -> None:
        for question in self._open:
            if question.command.answer_id == answer_id and (serial is None or _holds(question.serials, serial)):
                question.settle(Reply("ok", answer))
                return


def _holds(serials: range, serial: int) -> bool:
    return any(number & 0xFFFF == serial for number in serials)
