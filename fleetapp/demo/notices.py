"""What the demo's people were told: the old is read, the newest went out by mail, some of it in vain."""

from datetime import datetime, time, timedelta

from sqlalchemy import text, update

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.notices import outbox, service
from fleetapp.notices.channels import Unsent
from fleetapp.notices.models import Notice
from fleetapp.notices.rules import ChannelName, Limits
from fleetapp.notices.words import categories

LIMITS = Limits(time(0), time(0), per_hour=99, digest_from=99, most_attempts=1)
READ_AFTER = timedelta(hours=20)
"""So long after it came, everybody in the demo has read what they were told."""
EVERY_FAILED = 9
KEPT = text(
    "UPDATE notice SET routed_at = created_at WHERE id NOT IN (SELECT id FROM notice ORDER BY id DESC LIMIT 60)"
)


ADDRESSES = text(
    "INSERT INTO notice_address (user_id, channel, address)"
    " SELECT id, 'mail', username || '@example.org' FROM user_account ON CONFLICT DO NOTHING"
)
"""At a domain that nobody has (RFC 2606)."""


def tell(database: Database, *, now: datetime) -> int:
    """Mark what is old as read, route everything urgent or not to mail, and let the newest go out; returns how many did."""
    with database.transaction(SYSTEM) as session:
        session.execute(
            update(Notice)
            .where(Notice.created_at < now - READ_AFTER)
            .values(read_at=Notice.created_at + timedelta(hours=1))
        )
        session.execute(KEPT)
        session.execute(ADDRESSES)
        service.set_routes(
            session, choices={(of, ChannelName.MAIL): True for of in categories()}, actor=SYSTEM, now=now
        )
        outbox.route(session, channels=[ChannelName.MAIL], limits=LIMITS, now=now)
        parcels = outbox.claim(session, channel=ChannelName.MAIL, limits=LIMITS, now=now, limit=200)
    with database.transaction(SYSTEM) as session:
        for number, parcel in enumerate(parcels, start=1):
            if number % EVERY_FAILED:
                outbox.sent(session, parcel=parcel, provider_id=f"DEMO{parcel.bundle:08d}", now=now)
            else:
                outbox.failed(
                    session, parcel=parcel, error=Unsent("HTTP 502", again=False), limits=LIMITS, jitter=0.5, now=now
                )
    return len(parcels)
