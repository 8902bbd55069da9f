"""How the interfaces do, as page and API show it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.exchange import queries, rules
from fleetapp.exchange.interfaces import ALL, Interface
from fleetapp.exchange.models import ExchangeInterface, ExchangeLink, ExchangeReceipt
from fleetapp.exchange.queries import NO_QUEUE, Queue
from fleetapp.exchange.rules import Light, Standing


@dataclass(frozen=True, slots=True)
class Row:
    """One interface on the page."""

    interface: Interface
    light: Light
    queue: Queue
    complete: bool
    kept: ExchangeInterface | None
    receipt: ExchangeReceipt | None

    @property
    def code(self) -> str:
        """The interface's code."""
        return self.interface.code

    @property
    def waiting(self) -> int:
        """How many versions wait."""
        return self.queue.waiting

    @property
    def oldest_at(self) -> datetime | None:
        """Since when the oldest waits."""
        return self.queue.oldest_at

    @property
    def to_mend(self) -> int:
        """How many are to be mended."""
        return self.queue.to_mend

    @property
    def filled_percent(self) -> float:
        """Filled mandatory fields, per cent, one decimal, never rounded up to a hundred."""
        return int(self.queue.completeness.percent * 10) / 10

    @property
    def last_ok_at(self) -> datetime | None:
        """When something got through last."""
        return self.kept.last_ok_at if self.kept else None

    @property
    def trouble(self) -> str | None:
        """What is in the way of this interface alone."""
        return self.kept.trouble if self.kept else None


def rows(session: Session, *, configured: bool, least: Decimal, now: datetime) -> Sequence[Row]:
    """Return every interface with its light."""
    link, kept, waiting = queries.link(session), queries.interfaces(session), queries.queues(session)
    receipts: Mapping[str, ExchangeReceipt] = queries.last_receipts(session)
    found = []
    for one in ALL:
        row, queue = kept.get(one.code), waiting.get(one.code, NO_QUEUE)
        complete = queue.completeness.enough(least)
        standing = Standing(
            held=one.held, configured=configured, paused=row is not None and row.paused_at is not None,
            link_trouble=link is not None and link.trouble is not None, complete=complete, failures=row.failures if row else 0,
            oldest_at=queue.oldest_at, to_mend=queue.to_mend,
        )  # fmt: skip
        light = _login(link, configured=configured) if one.code == "login" else rules.light(standing, now)
        found.append(Row(one, light, queue, complete, row, receipts.get(one.code)))
    return found


def _login(link: ExchangeLink | None, *, configured: bool) -> Light:
    """Return the light of the login interface, which carries no records."""
    if not configured:
        return Light.OFF
    if link is not None and link.trouble is not None:
        return Light.RED
    return Light.GREEN if link is not None and link.last_ok_at else Light.NONE
