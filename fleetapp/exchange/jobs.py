"""One run of upward exchange: look for what changed, then send interface by interface in the order of the table."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import structlog

from fleetapp.exchange import outbox, queries, rules
from fleetapp.exchange.adapter import Adapter, Unsent
from fleetapp.exchange.interfaces import SENT, Interface
from fleetapp.exchange.mapping import Said
from fleetapp.exchange.outbox import Parcel
from fleetapp.exchange.trial import least_share
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database

log = structlog.get_logger()


def run(
    database: Database, now: datetime, *, adapter: Adapter | None, jitter: Callable[[], float] = random.random
) -> dict[str, int]:
    """Collect and send; nothing without a platform. A link that failed is left alone until it has waited."""
    done: Counter[str] = Counter()
    if adapter is None:
        return {}
    with database.transaction(SYSTEM) as session:
        outbox.prepare(session)
        least = least_share(session, now=now)
    for interface in SENT:
        done["collected"] += _collect(database, interface, now)
    with database.transaction(SYSTEM) as session:
        waiting = queries.waiting(session)
    for interface in SENT:
        if interface.code not in waiting:
            continue
        with database.transaction(SYSTEM) as session:
            if not outbox.may_try(session, now=now):
                break
            if not queries.completeness(session, interface=interface.code).enough(least):
                continue
        done.update(_send(database, interface, adapter, now, jitter=jitter, most=rules.MOST_BATCHES - done["batches"]))
    return {name: count for name, count in done.items() if count}


def _collect(database: Database, interface: Interface, now: datetime) -> int:
    """Collect one interface; a source that fails keeps the others from nothing."""
    try:
        with database.transaction(SYSTEM) as session:
            return outbox.collect(session, interface=interface, now=now)
    except Exception as error:
        log.exception("exchange_uncollected", interface=interface.code, kind=type(error).__name__)
        return 0


def _send(
    database: Database, interface: Interface, adapter: Adapter, now: datetime, *, jitter: Callable[[], float], most: int
) -> Counter[str]:
    """Send what waits of an interface, at most so many batches, until one gets no usable answer."""
    done: Counter[str] = Counter()
    for _ in range(min(rules.ROUNDS, most)):
        with database.transaction(SYSTEM) as session:
            parcel = outbox.claim(session, interface=interface, now=now)
        if parcel is None:
            break
        done["batches"] += 1
        try:
            said = _asked(adapter, parcel)
        except Unsent as error:
            done["failed"] += len(parcel.sendings)
            log.warning(
                "exchange_unsent",
                interface=interface.code,
                batch=parcel.batch,
                trouble=error.trouble.value,
                why=error.message,
            )
            with database.transaction(SYSTEM) as session:
                outbox.failed(session, parcel=parcel, trouble=error.trouble, message=error.message, mapping=adapter.name,
                              jitter=jitter(), now=now)  # fmt: skip
            if error.trouble is not rules.Trouble.BATCH_REFUSED:
                break
            continue
        with database.transaction(SYSTEM) as session:
            done.update(outbox.settle(session, parcel=parcel, said=said, mapping=adapter.name, now=now))
            outbox.note_certificate(session, until=adapter.certificate_until)
    return done


def _asked(adapter: Adapter, parcel: Parcel) -> dict[str, Said]:
    """Return what the platform says of a batch.

    :raises Unsent: nothing of any of its records.
    """
    said = adapter.send(parcel.interface, parcel.batch, parcel.sendings)
    if not said.keys() & {one.key for one in parcel.sendings}:
        raise Unsent(rules.Trouble.UNCLEAR, "no record of the batch is answered")
    return said
