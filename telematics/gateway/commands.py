"""Carries commands from ``terminal_command`` to connected terminals and writes down what became of them.

A command is marked sent, and that is committed, before its bytes leave: it goes out in one run of the gateway only,
repeated there with the same serial as the standard asks. Of several gateways the one with the terminal's newest link
takes it. One whose terminal is away waits until it expires.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from telematics import terminal_store
from telematics.gateway.limits import Limits
from telematics.gateway.link import Link, StoreUnavailable
from telematics.gateway.questions import ATTEMPTS, NO_ANSWER, Reply
from telematics.gateway.session import Session
from telematics.protocols.jt808 import ProtocolError
from telematics.terminal_store import Claimed

log = logging.getLogger("telematics.gateway")

AGAIN_S = 1.0
MARGIN_S = 60.0


class Commander:
    """Looks for commands for the ``terminals`` connected now."""

    def __init__(
        self,
        link: Link,
        terminals: Mapping[int, Session],
        *,
        gateway: str,
        clock: Callable[[], datetime],
        limits: Limits,
    ) -> None:
        self._link = link
        self._gateway = gateway
        self._terminals = terminals
        self._clock = clock
        self._limits = limits
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Look again and again, for ever."""
        while True:
            await asyncio.sleep(self._limits.command_poll_s)
            try:
                await self.look()
            except StoreUnavailable as error:
                log.debug("commands cannot be read: %s", error)

    async def look(self) -> None:
        """One round of ``run``. Raises StoreUnavailable."""
        now = self._clock()
        longest_s = self._limits.command_wait_s * ATTEMPTS * (ATTEMPTS + 1) / 2 + MARGIN_S
        async with self._link.transaction() as connection:
            await terminal_store.close_overdue(connection, now=now, sent_before=now - timedelta(seconds=longest_s))
            claimed = await terminal_store.claim(connection, self._terminals.keys(), gateway=self._gateway, now=now)
        for command in claimed:
            task = asyncio.create_task(self._carry(command))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def stop(self) -> None:
        """Leave the answers that have not come; the next run notes that there was none."""
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, command: Claimed) -> None:
        session = self._terminals.get(command.terminal_id)
        try:
            reply = await session.ask(command.kind, command.parameters) if session else Reply(NO_ANSWER)
        except ProtocolError as error:
            await self._finish(command, Reply(f"refused: {error}"), None)
        else:
            await self._finish(command, reply, self._clock() if reply.came else None)

    async def _finish(self, command: Claimed, reply: Reply, answered_at: datetime | None) -> None:
        answer: Any = reply.answer
        while True:
            try:
                async with self._link.transaction() as connection:
                    await terminal_store.finish(
                        connection, command.id, reply.result, answered_at=answered_at, answer=answer
                    )
            except StoreUnavailable:
                await asyncio.sleep(AGAIN_S)
            else:
                return
