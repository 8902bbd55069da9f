"""Sending: every channel in a thread of its own, so that one that hangs keeps nobody else waiting."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.orm import Session

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.notices import outbox, rules
from fleetapp.notices.channels import Channel, Message, Unsent
from fleetapp.notices.outbox import Parcel
from fleetapp.notices.rules import DeliveryState, Limits
from fleetapp.web.texts import t

AT_ONCE = 4
"""Messages on their way to one provider at a time."""
ROUNDS = 10
"""Takings of one run: with what it takes at once, some 40 messages a second on each channel are possible."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job on one channel; ``down`` is set when the provider did not answer."""

    database: Database
    channel: Channel
    limits: Limits
    now: datetime
    base_url: str
    down: threading.Event = field(default_factory=threading.Event)


def deliver(
    database: Database, now: datetime, *, channels: Sequence[Channel], limits_of: Callable[[Session, datetime], Limits], base_url: str = ""
) -> dict[str, int]:  # fmt: skip
    """Make the deliveries of what was committed and send what is due; running it twice at once sends nothing twice."""
    done: Counter[str] = Counter()
    names = [channel.name for channel in channels]
    while True:
        with database.transaction(SYSTEM) as session:
            limits = limits_of(session, now)
            routed = outbox.route(session, channels=names, limits=limits, now=now)
        done["routed"] += routed
        if routed < outbox.BATCH:
            break
    runs = [Run(database, channel, limits, now, base_url) for channel in channels]
    if runs:
        with ThreadPoolExecutor(len(runs)) as pool:
            for counted in pool.map(_drain, runs):
                done.update(counted)
    return dict(done)


def _drain(run: Run) -> Counter[str]:
    """Send what is due on a channel; a provider that does not answer is left alone until the next run."""
    done: Counter[str] = Counter()
    for _ in range(ROUNDS):
        with run.database.transaction(SYSTEM) as session:
            parcels = outbox.claim(session, channel=run.channel.name, limits=run.limits, now=run.now)
        if not parcels:
            break
        with ThreadPoolExecutor(AT_ONCE) as pool:
            done.update(pool.map(partial(_send, run), parcels))
        if run.down.is_set():
            break
    return done


def _send(run: Run, parcel: Parcel) -> str:
    """Send one message and settle it; returns what became of it."""
    if run.down.is_set():
        with run.database.transaction(SYSTEM) as session:
            outbox.put_back(session, parcel=parcel)
        return DeliveryState.QUEUED.value
    if parcel.address is None:
        with run.database.transaction(SYSTEM) as session:
            outbox.unreachable(session, parcel=parcel)
        return DeliveryState.SUPPRESSED.value
    try:
        receipt = run.channel.send(message(parcel, run.base_url))
    except Unsent as error:
        if error.down:
            run.down.set()
        with run.database.transaction(SYSTEM) as session:
            after = outbox.failed(
                session, parcel=parcel, error=error, limits=run.limits, jitter=random.random(), now=run.now
            )
        log.warning("notice_unsent", channel=run.channel.name.value, bundle=parcel.bundle, attempt=parcel.attempts, state=after.value,
                    to=rules.masked(parcel.address), why=rules.scrubbed(error.reason))  # fmt: skip
        return after.value
    with run.database.transaction(SYSTEM) as session:
        outbox.sent(session, parcel=parcel, provider_id=receipt.provider_id, now=run.now)
    return DeliveryState.SENT.value


def message(parcel: Parcel, base_url: str) -> Message:
    """Return what goes out, in Chinese: a person's language is known on pages only.

    :raises Unsent: a notice has no words.
    """
    try:
        words = [
            t("notices.out.confidential", lang="zh")
            if notice.confidential
            else t(notice.code, lang="zh", **notice.params)
            for notice in parcel.notices
        ]
    except (KeyError, IndexError, ValueError) as error:
        raise Unsent(f"words: {error}", again=False) from error
    first = parcel.notices[0]
    several = len(words) > 1
    text = (
        t("notices.out.several", lang="zh", n=len(words), words="\n".join(f"· {line}" for line in words))
        if several
        else words[0]
    )
    link = "/notices" if several or first.confidential else first.link
    return Message(
        to=parcel.address or "", title=t("notices.out.title", lang="zh"), text=t("notices.out.text", lang="zh", text=text),
        link=f"{base_url}{link}" if base_url else "", key=parcel.key,
    )  # fmt: skip
