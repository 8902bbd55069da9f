"""The way out: deliveries are made of committed notices, taken under a lease, sent outside any transaction, and settled.

Called by the job alone, as the system. A sender that dies between sending and settling leaves a lease; when it is over the
message goes out once more with the same key, by which the provider knows it: at least once here, once at the receiver's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.notices import queries, rules
from fleetapp.notices.channels import Unsent
from fleetapp.notices.models import Notice, NoticeDelivery
from fleetapp.notices.rules import ChannelName, DeliveryState, Limits

NO_ADDRESS = "no address"
SENDER_DIED = "sender died"
BATCH = 200


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message under a lease: the deliveries that it settles and the notices that it tells of."""

    ids: tuple[int, ...]
    bundle: int
    attempts: int
    leased_until: datetime
    address: str | None
    notices: tuple[Notice, ...]

    @property
    def key(self) -> str:
        """The name of the message with the provider, the same with every attempt."""
        return f"fleet-notice-{self.bundle}"


def route(session: Session, *, channels: Collection[ChannelName], limits: Limits, now: datetime) -> int:
    """Make the deliveries of notices that have none yet; returns how many notices, at most ``BATCH``.

    A person without an address on a channel gets a suppressed delivery there, so that somebody can see it.
    """
    waiting = queries.outbox(session, limit=BATCH)
    people = {notice.user_id for notice in waiting}
    routes, chosen = queries.routes(session), queries.choices_of(session, user_ids=people)
    known = queries.addresses_of(session, user_ids=people)
    rows = []
    for notice in waiting:
        wanted = rules.channels_for(rules.category(notice.code), on=channels, routes=routes,
                                    chosen=chosen.get(notice.user_id, {}), urgent=notice.urgent)  # fmt: skip
        for channel in wanted:
            reached = (notice.user_id, channel.value) in known
            rows.append({
                "notice_id": notice.id, "user_id": notice.user_id, "code": notice.code, "channel": channel, "urgent": notice.urgent,
                "state": DeliveryState.QUEUED if reached else DeliveryState.SUPPRESSED, "created_at": now,
                "next_at": now if notice.urgent else rules.loud_at(now, limits), "last_error": None if reached else NO_ADDRESS,
            })  # fmt: skip
        notice.routed_at = now
    if rows:
        session.execute(insert(NoticeDelivery).on_conflict_do_nothing(index_elements=["notice_id", "channel"]), rows)
    return len(waiting)


def claim(session: Session, *, channel: ChannelName, limits: Limits, now: datetime, limit: int = 20) -> list[Parcel]:
    """Take what is due on a channel under a lease; commit before sending.

    Ordinary ones of a person that gets too many an hour are put off; from ``digest_from`` of them on they go as one message.
    """
    held = queries.due(session, channel=channel, now=now, limit=limit)
    people = {row.user_id for row in held}
    last = queries.sent_at(session, user_ids=people, channel=channel, since=now - rules.HOUR)
    known = queries.addresses_of(session, user_ids=people)
    notices = queries.notices_by_id(session, [row.notice_id for row in held])
    found = []
    for rows in _together(held, limits):
        if rows[0].attempts >= limits.most_attempts:  # senders died of it, every time
            for row in rows:
                row.state, row.leased_until, row.last_error = DeliveryState.FAILED, None, row.last_error or SENDER_DIED
            continue
        free = rules.free_at(last.get(rows[0].user_id, ()), now, limits.per_hour)
        if not rows[0].urgent and free > now:
            for row in rows:
                row.state, row.leased_until, row.next_at = DeliveryState.QUEUED, None, rules.loud_at(free, limits)
            continue
        last.setdefault(rows[0].user_id, []).append(now)
        bundle, attempts = rows[0].bundle or rows[0].id, rows[0].attempts + 1
        for row in rows:
            row.state, row.bundle, row.attempts, row.leased_until = (
                DeliveryState.SENDING,
                bundle,
                attempts,
                now + rules.LEASE,
            )
        told = tuple(notices[row.notice_id] for row in rows)
        found.append(Parcel(tuple(row.id for row in rows), bundle, attempts, now + rules.LEASE,
                            known.get((rows[0].user_id, channel.value)), told))  # fmt: skip
    return found


def _together(held: Sequence[NoticeDelivery], limits: Limits) -> list[list[NoticeDelivery]]:
    """Return the rows of each message: what was a message stays one, ordinary new ones of a person make one from a number on."""
    bundles: dict[int, list[NoticeDelivery]] = {}
    fresh: dict[int, list[NoticeDelivery]] = {}
    found = []
    for row in sorted(held, key=lambda row: row.id):
        if row.bundle is not None:
            bundles.setdefault(row.bundle, []).append(row)
        elif row.urgent:
            found.append([row])
        else:
            fresh.setdefault(row.user_id, []).append(row)
    for rows in fresh.values():
        found += [rows] if len(rows) >= limits.digest_from else [[row] for row in rows]
    return sorted([*found, *bundles.values()], key=lambda rows: (not rows[0].urgent, rows[0].id))


def sent(session: Session, *, parcel: Parcel, provider_id: str, now: datetime) -> bool:
    """Settle a message that was taken; false when the lease went to another sender meanwhile."""
    return _settle(session, parcel, state=DeliveryState.SENT, sent_at=now, provider_id=provider_id, last_error=None)


def failed(
    session: Session, *, parcel: Parcel, error: Unsent, limits: Limits, jitter: float, now: datetime
) -> DeliveryState:
    """Settle a message that was not taken: another attempt later, or none."""
    after = rules.after_failure(attempts=parcel.attempts, again=error.again, most_attempts=limits.most_attempts)
    _settle(session, parcel, state=after, next_at=now + rules.wait(parcel.attempts, jitter),
            last_error=rules.scrubbed(error.reason) or "?")  # fmt: skip
    return after


def put_back(session: Session, *, parcel: Parcel) -> None:
    """Give up a lease without an attempt: the channel went down meanwhile."""
    _settle(session, parcel, state=DeliveryState.QUEUED, attempts=parcel.attempts - 1)


def unreachable(session: Session, *, parcel: Parcel) -> None:
    """Settle a message to somebody who has no address on the channel any more."""
    _settle(session, parcel, state=DeliveryState.SUPPRESSED, last_error=NO_ADDRESS)


def _settle(session: Session, parcel: Parcel, **values: object) -> bool:
    # The lease is the fence: a sender that slept through it changes nothing any more.
    mine = (NoticeDelivery.id.in_(parcel.ids), NoticeDelivery.state == DeliveryState.SENDING,
            NoticeDelivery.leased_until == parcel.leased_until)  # fmt: skip
    done = session.execute(update(NoticeDelivery).where(*mine).values(leased_until=None, **values))
    return bool(done.rowcount)  # type: ignore[attr-defined]
