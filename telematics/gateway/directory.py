"""What the gateway asks and tells ``gps_terminal``."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Generic, Literal, TypeVar

from telematics.gateway.link import Link, StoreUnavailable
from telematics.protocols.osmand import SpeedUnit

PACE_S = 0.05
MANY_QUESTIONS = 4
"""After more questions at once than this the next ones gather for ``PACE_S``: a thousand terminals come back together."""

Kind = Literal["jt808", "phone"]
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Known:
    """A terminal that is allowed to send."""

    id: int
    phone: str
    auth_code: str | None
    token_sha256: str | None
    speed_unit: SpeedUnit


class Together(Generic[Key, Value]):
    """Questions that come while one is on its way are asked together next: ten thousand logins are a few dozen."""

    def __init__(self, ask: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]]) -> None:
        self._ask = ask
        self._waiting: dict[Key, asyncio.Future[Value | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def answer(self, key: Key) -> Value | None:
        """Answer to one question; raises what asking raised."""
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
        answer = self._waiting[key]
        if self._asking is None:
            self._asking = asyncio.create_task(self._run())
        return await asyncio.shield(answer)  # others may wait for the same one

    async def _run(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, {}
            try:
                found = await self._ask(list(taken))
            except Exception as error:  # noqa: BLE001 - those who asked raise it
                for answer in taken.values():
                    answer.set_exception(error)
                    answer.exception()  # seen, should nobody wait any more
            else:
                for key, answer in taken.items():
                    answer.set_result(found.get(key))
            if len(taken) > MANY_QUESTIONS:
                await asyncio.sleep(PACE_S)
        self._asking = None


class Directory:
    """Registered terminals. Every method raises StoreUnavailable when the database cannot be asked.

    With ``keep_s`` a list of all of them is kept (:meth:`keep`), and while the database is away ``find`` and ``register`` answer
    from it, no longer than ``keep_s`` after it was read: for so long somebody just barred may still log in.
    """

    def __init__(self, link: Link, reading: Link | None = None, *, keep_s: float = 0.0) -> None:
        self._link = link
        self._reading = reading or link  # logins need not wait for the list
        self._keep_s = keep_s
        self._kept: dict[tuple[str, Kind], Known] = {}
        self._kept_s = -inf
        self._finding = Together(self._find)
        self._registering = Together(self._register)
        self._noting = Together(self._note)

    @property
    def keeps(self) -> bool:
        """Whether terminals may log in while the database is away."""
        return self._keep_s > 0

    async def keep(self, *, every_s: float) -> None:
        """Read the list of all terminals again and again, for ever."""
        while True:
            with suppress(StoreUnavailable):
                await self.read_all()
            await asyncio.sleep(every_s)

    async def read_all(self) -> None:
        """One round of ``keep``. Raises StoreUnavailable."""
        found: dict[tuple[str, Kind], Known] = {}
        begun_s = asyncio.get_running_loop().time()
        async with self._reading.transaction() as connection, connection.cursor("gps_terminals") as cursor:
            # In pieces, so that the sessions have their turn while a hundred thousand come.
            cursor.itersize = 500
            await cursor.execute(
                "SELECT kind, id, phone, auth_code, token_sha256, speed_unit FROM gps_terminal WHERE enabled"
            )
            async for row in cursor:
                found[row[2], row[0]] = Known(*row[1:])
        self._kept, self._kept_s = found, begun_s

    async def find(self, phone: str, kind: Kind) -> Known | None:
        """Enabled terminal with this identity (leading zeros do not matter), or None."""
        key = (phone.lstrip("0").replace("\0", ""), kind)
        try:
            return await self._finding.answer(key)
        except StoreUnavailable:
            if key not in self._kept or asyncio.get_running_loop().time() - self._kept_s > self._keep_s:
                raise
            return self._kept[key]

    async def register(self, terminal: Known, *, now: datetime) -> str:
        """Authentication code of a terminal, made at its first registration and the same ever after."""
        try:
            code = await self._registering.answer((terminal.id, now))
        except StoreUnavailable:
            if terminal.auth_code is None or not self.keeps:
                raise
            return terminal.auth_code
        assert code is not None
        return code

    async def alive(self, terminal_id: int, *, version: str, now: datetime) -> None:
        """Note that a terminal has just logged in with this version of the protocol."""
        await self._noting.answer((terminal_id, version, now))

    async def seen(self, terminal_ids: Collection[int], *, now: datetime) -> set[int]:
        """Note that these terminals are alive; returns those that are still allowed to send."""
        if not terminal_ids:
            return set()
        async with self._link.transaction() as connection:
            cursor = await connection.execute(
                "UPDATE gps_terminal SET last_seen_at = greatest(last_seen_at, %s) WHERE id IN"
                " (SELECT id FROM gps_terminal WHERE id = ANY (%s) AND enabled ORDER BY id FOR NO KEY UPDATE)"
                " RETURNING id",
                (now, sorted(terminal_ids)),
            )
            return {row[0] for row in await cursor.fetchall()}

    async def _find(self, keys: Sequence[tuple[str, Kind]]) -> dict[tuple[str, Kind], Known]:
        async with self._link.transaction() as connection:
            cursor = await connection.execute(
                "SELECT kind, id, phone, auth_code, token_sha256, speed_unit FROM gps_terminal"
                " WHERE phone = ANY (%s) AND enabled",
                ([phone for phone, _ in keys],),
            )
            return {(row[2], row[0]): Known(*row[1:]) for row in await cursor.fetchall()}

    async def _register(self, keys: Sequence[tuple[int, datetime]]) -> dict[tuple[int, datetime], str]:
        ids, moments = [terminal_id for terminal_id, _ in keys], [now for _, now in keys]
        async with self._link.transaction() as connection:
            cursor = await connection.execute(
                "WITH locked AS (SELECT id FROM gps_terminal WHERE id = ANY (%s) ORDER BY id FOR NO KEY UPDATE)"
                " UPDATE gps_terminal AS t SET auth_code = coalesce(t.auth_code, n.code),"
                " registered_at = coalesce(t.registered_at, n.now)"
                " FROM locked JOIN unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS n (id, code, now) USING (id)"
                " WHERE t.id = locked.id RETURNING t.id, t.auth_code",
                (ids, ids, [secrets.token_hex(8) for _ in keys], moments),
            )
            codes = dict(await cursor.fetchall())
        return {(terminal_id, now): codes[terminal_id] for terminal_id, now in keys if terminal_id in codes}

    async def _note(self, keys: Sequence[tuple[int, str, datetime]]) -> dict[tuple[int, str, datetime], None]:
        newest = {terminal_id: (version, now) for terminal_id, version, now in sorted(keys, key=lambda key: key[2])}
        async with self._link.transaction() as connection:
            await connection.execute(
                "WITH locked AS (SELECT id FROM gps_terminal WHERE id = ANY (%s) AND enabled ORDER BY id FOR NO KEY UPDATE)"
                " UPDATE gps_terminal AS t SET last_seen_at = greatest(t.last_seen_at, n.now), logged_in_at = n.now,"
                " protocol = n.version"
                " FROM locked JOIN unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS n (id, version, now) USING (id)"
                " WHERE t.id = locked.id",
                (
                    list(newest),
                    list(newest),
                    [version for version, _ in newest.values()],
                    [at for _, at in newest.values()],
                ),
            )
        return {}
