"""Where the group writer's messages become durable: the database itself, or a stream in front of it (``stream.py``)."""

from collections.abc import Sequence

from psycopg.errors import UniqueViolation

from telematics import store
from telematics.blocks import Block, joined
from telematics.bulk import write_block
from telematics.gateway.link import Link
from telematics.gateway.writer import Incoming
from telematics.rows import Quarantined
from telematics.terminal_store import write_events

CAREFUL_GROUPS = 20
"""So many groups go the careful way after one with a copy of what is stored: copies seldom come alone."""


class Database:
    """Writes messages in one transaction. With ``repeated`` a message may come again, as from a stream.

    Fixes and events know themselves by their identity; what goes to quarantine is then looked for before it is added.
    """

    def __init__(self, link: Link, *, repeated: bool = False) -> None:
        self._link = link
        self._repeated = repeated
        self._careful_groups = 0

    async def store(self, messages: Sequence[Incoming]) -> int:
        """See :class:`telematics.gateway.writer.Sink`."""
        block = block_of(messages)
        careful = self._careful_groups > 0
        try:
            added = await self._store(block, messages, careful=careful)
        except UniqueViolation:  # something comes again, which only the careful way leaves out
            if careful:
                raise
            self._careful_groups = CAREFUL_GROUPS
            return await self._store(block, messages, careful=True)
        self._careful_groups = max(self._careful_groups - 1, 0)
        return added

    async def _store(self, block: Block, messages: Sequence[Incoming], *, careful: bool) -> int:
        quarantined: Sequence[Quarantined] = [entry for message in messages for entry in message.quarantined]
        events = [event for message in messages for event in message.events]
        properties = [one for message in messages for one in message.properties]
        async with self._link.transaction() as connection:
            if self._repeated and quarantined:
                quarantined = await store.not_quarantined(connection, quarantined)
            if careful or not len(block):
                added = await store.write_rows(connection, block.to_rows(), quarantined)
            else:
                added = await write_block(connection, block)
                await store.write_rows(connection, (), quarantined)
            await write_events(connection, events, properties)
        return added


def block_of(messages: Sequence[Incoming]) -> Block:
    """All positions of messages, in order."""
    blocks = []
    for message in messages:
        if message.rows:
            blocks.append(Block.of(message.rows))
        if message.block is not None:
            blocks.append(message.block)
    return joined(blocks) if blocks else Block.of(())
