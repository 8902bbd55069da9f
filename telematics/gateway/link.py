"""One database connection that is made again after it broke."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, DataError, Error, IntegrityError, sql
from psycopg.abc import Query
from psycopg.conninfo import conninfo_to_dict

# An acknowledgement is the terminal's licence to delete its copy, so a commit must be on disk whatever the cluster's
# default is. Keep-alives find a database host that vanished without a word.
OPTIONS: dict[str, Any] = {
    "application_name": "fleet-gateway",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
SETTINGS = ("SET TIME ZONE 'UTC'", "SET synchronous_commit = on")
PING_IDLE_S = 0.1


class StoreUnavailable(Exception):
    """The database did not take it now; the text is one sentence. Trying the same again later is right."""


def driver_address(url: str) -> str:
    """Address as psycopg reads it: SQLAlchemy's driver suffix removed."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


class Link:
    """A connection used by one transaction at a time, working as ``role`` where that role exists."""

    def __init__(self, url: str, *, role: str, stage: Query | None = None) -> None:
        """Connect when first needed; ``stage`` makes a temporary table on every new connection."""
        self._stage = stage
        self._address = driver_address(url)
        self._role = role
        self._connection: AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()
        self._used_s = 0.0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Open a transaction, connecting first if needed; committed when the block has ended.

        Raises
        ------
        StoreUnavailable
            Nothing is known to be stored; the next call connects anew. If the commit itself was cut off the data may
            be there nevertheless, so the repetition must be harmless.
        psycopg.DataError, psycopg.IntegrityError
            The values are at fault, trying again would not help.
        """
        async with self._turn:
            try:
                connection = await self._connected()
                async with connection.transaction():
                    yield connection
            except (DataError, IntegrityError):
                raise
            except (Error, OSError) as error:
                await self.close()
                raise StoreUnavailable(first_line(error)) from error
            except asyncio.CancelledError:
                await self.close()  # it may be in the middle of a COPY
                raise

    async def notices(self, channel: str) -> AsyncIterator[str]:
        """What is told on a channel, for ever. Nobody else can use the link meanwhile. Raises StoreUnavailable."""
        async with self._turn:
            try:
                connection = await self._connected()
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                async for notice in connection.notifies():
                    yield notice.payload
            except (Error, OSError) as error:
                raise StoreUnavailable(first_line(error)) from error
            finally:
                await self.close()

    async def check(self) -> None:
        """Raise StoreUnavailable unless the database answers and has the store's tables."""
        async with self.transaction() as connection:
            found = await (await connection.execute("SELECT to_regclass('gps_fix') IS NOT NULL")).fetchone()
        if not (found and found[0]):
            raise StoreUnavailable("its GPS tables are missing: run the migrations first")

    async def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> AsyncConnection[Any]:
        now_s = asyncio.get_running_loop().time()
        if self._connection is not None and now_s - self._used_s >= PING_IDLE_S:
            try:
                await self._connection.execute("SELECT 1")
            except Error:  # cut while nobody used it: no reason to fail now
                await self.close()
        self._used_s = now_s
        if self._connection is None or self._connection.closed:
            options = OPTIONS | conninfo_to_dict(self._address)
            connection = await AsyncConnection.connect(**options, autocommit=True)
            try:
                for setting in SETTINGS:
                    await connection.execute(setting)
                known = await connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (self._role,))
                if await known.fetchone():
                    await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(self._role)))
                if self._stage is not None:
                    await connection.execute(self._stage)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection


def first_line(error: BaseException) -> str:
    """First line of a driver's message: it goes on with hints and the statement."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
