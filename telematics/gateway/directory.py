"""What the gateway asks and tells ``gps_terminal``."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from telematics.gateway.link import Link
from telematics.protocols.osmand import SpeedUnit


@dataclass(frozen=True, slots=True)
class Known:
    """A terminal that is allowed to send."""

    id: int
    phone: str
    auth_code: str | None
    token_sha256: str | None
    speed_unit: SpeedUnit


class Directory:
    """Registered terminals. Every method raises StoreUnavailable when the database cannot be asked."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def find(self, phone: str, kind: Literal["jt808", "phone"]) -> Known | None:
        """Enabled terminal with this identity (leading zeros do not matter), or None."""
        async with self._link.transaction() as connection:
            cursor = await connection.execute(
                "SELECT id, phone, auth_code, token_sha256, speed_unit FROM gps_terminal"
                " WHERE phone = %s AND kind = %s AND enabled",
                (phone.lstrip("0").replace("\0", ""), kind),
            )
            found = await cursor.fetchone()
        return Known(*found) if found else None

    async def register(self, terminal: Known, *, now: datetime) -> str:
        """Authentication code of a terminal, made at its first registration and the same ever after."""
        async with self._link.transaction() as connection:
            cursor = await connection.execute(
                "UPDATE gps_terminal SET auth_code = coalesce(auth_code, %s), registered_at = coalesce(registered_at, %s)"
                " WHERE id = %s RETURNING auth_code",
                (secrets.token_hex(8), now, terminal.id),
            )
            found = await cursor.fetchone()
        assert found is not None
        code: str = found[0]
        return code

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
