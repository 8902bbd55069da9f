"""Reading of notices, of their deliveries, and of who wants what where."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, contains_eager

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.accounts.queries import within_reach
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.notices.models import Notice, NoticeAddress, NoticeDelivery, NoticePreference, NoticeRoute
from fleetapp.notices.rules import ChannelName, DeliveryState

Choices = dict[tuple[str, str], bool]
"""Whether by category and channel."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a channel does: what it last took, what failed within a day, what waits and since when."""

    channel: str
    last_sent_at: datetime | None
    failed: int
    waiting: int
    oldest_at: datetime | None


def visible_to(actor: Actor, *, unread: bool = False) -> Select[Notice]:
    """Return the actor's own notices, the newest first."""
    query = select(Notice).where(Notice.user_id == actor.user_id).order_by(Notice.created_at.desc(), Notice.id.desc())
    return query.where(Notice.read_at.is_(None)) if unread else query


def get_notice(session: Session, *, notice_id: int, actor: Actor) -> Notice:
    """Return one of the actor's own notices.

    :raises NotFound: somebody else's, or none.
    """
    found = session.scalar(visible_to(actor).where(Notice.id == notice_id))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def unread_count(session: Session, *, actor: Actor) -> int:
    """Return how many notices the actor has not read."""
    query = select(func.count()).where(Notice.user_id == actor.user_id, Notice.read_at.is_(None))
    return session.scalar(query) or 0


def deliveries_visible_to(
    actor: Actor, *, state: str | None = None, channel: str | None = None, q: str = ""
) -> Select[NoticeDelivery]:
    """Return the deliveries to people of the units that the actor looks after, the newest first."""
    query = (
        select(NoticeDelivery)
        .join(NoticeDelivery.user)
        .join(Organisation, Organisation.id == UserAccount.org_id)
        .where(within_reach(actor, "notices.deliveries"))
        .options(contains_eager(NoticeDelivery.user))
        .order_by(NoticeDelivery.id.desc())
    )
    if state:
        query = query.where(NoticeDelivery.state == state)
    if channel:
        query = query.where(NoticeDelivery.channel == channel)
    if q:
        query = query.where(
            or_(UserAccount.name_zh.icontains(q, autoescape=True), UserAccount.username.icontains(q, autoescape=True),
                Organisation.name_zh.icontains(q, autoescape=True), NoticeDelivery.code.icontains(q, autoescape=True))
        )  # fmt: skip
    return query


def get_delivery(session: Session, *, delivery_id: int, actor: Actor) -> NoticeDelivery:
    """Return a delivery that the actor looks after, locked.

    :raises NotFound: out of reach, or none.
    """
    query = deliveries_visible_to(actor).where(NoticeDelivery.id == delivery_id)
    found = session.scalar(query.with_for_update(of=NoticeDelivery).execution_options(populate_existing=True))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def health(session: Session, *, actor: Actor, now: datetime) -> list[Health]:
    """Return how every channel does for the people that the actor looks after."""
    of = deliveries_visible_to(actor).order_by(None).options().subquery()
    waits = of.c.state.in_((DeliveryState.QUEUED, DeliveryState.SENDING))
    failed = (of.c.state == DeliveryState.FAILED) & (of.c.created_at > now - timedelta(days=1))
    query = select(
        of.c.channel, func.max(of.c.sent_at), func.count().filter(failed), func.count().filter(waits), func.min(of.c.created_at).filter(waits)
    ).group_by(of.c.channel)  # fmt: skip
    found = {row[0]: Health(*row) for row in session.execute(query)}
    return [found.get(name.value, Health(name.value, None, 0, 0, None)) for name in ChannelName]


def root_path(session: Session) -> str:
    """Return the path of the top organisation, where settings for everybody are made."""
    return (
        session.scalars(
            select(Organisation.path).where(Organisation.parent_id.is_(None)).order_by(Organisation.id)
        ).first()
        or "/"
    )


def routes(session: Session) -> Choices:
    """Return whether a category goes out through a channel where people have not chosen."""
    return {(row.category, row.channel): row.enabled for row in session.scalars(select(NoticeRoute))}


def choices_of(session: Session, *, user_ids: Collection[int]) -> dict[int, Choices]:
    """Return what people have chosen, by person."""
    found: dict[int, Choices] = {}
    for row in session.scalars(select(NoticePreference).where(NoticePreference.user_id.in_(user_ids))):
        found.setdefault(row.user_id, {})[row.category, row.channel] = row.enabled
    return found


def addresses_of(session: Session, *, user_ids: Collection[int]) -> dict[tuple[int, str], str]:
    """Return where open accounts are reached, by person and channel; text messages at the account's telephone number."""
    people = select(UserAccount.id, UserAccount.phone).where(
        UserAccount.id.in_(user_ids), UserAccount.closed_at.is_(None)
    )
    phones = {user_id: phone for user_id, phone in session.execute(people)}  # noqa: C416 -- rows, not pairs
    found = {(user_id, ChannelName.SMS.value): phone for user_id, phone in phones.items() if phone}
    for row in session.scalars(select(NoticeAddress).where(NoticeAddress.user_id.in_(list(phones)))):
        found[row.user_id, row.channel] = row.address
    return found


def outbox(session: Session, *, limit: int) -> Sequence[Notice]:
    """Return notices without deliveries yet, the oldest first, held; those that another sender holds are passed over."""
    query = select(Notice).where(Notice.routed_at.is_(None)).order_by(Notice.id).limit(limit)
    return session.scalars(query.with_for_update(skip_locked=True)).all()


def due(session: Session, *, channel: ChannelName, now: datetime, limit: int) -> list[NoticeDelivery]:
    """Return what is due on a channel, urgent and oldest first, held; what another sender holds is passed over.

    With a message whose sender has died come the others of its bundle; with an ordinary one come the person's other ordinary ones.
    """
    ready = (NoticeDelivery.state == DeliveryState.QUEUED) & (NoticeDelivery.next_at <= now)
    orphaned = (NoticeDelivery.state == DeliveryState.SENDING) & (NoticeDelivery.leased_until <= now)
    query = select(NoticeDelivery).where(NoticeDelivery.channel == channel, ready | orphaned)
    held = query.order_by(NoticeDelivery.urgent.desc(), NoticeDelivery.next_at, NoticeDelivery.id).limit(limit)
    found = {row.id: row for row in session.scalars(held.with_for_update(skip_locked=True))}
    bundles = {row.bundle for row in found.values() if row.bundle is not None}
    people = {row.user_id for row in found.values() if row.bundle is None and not row.urgent}
    more = query.where(
        or_(NoticeDelivery.bundle.in_(bundles),
            NoticeDelivery.user_id.in_(people) & NoticeDelivery.bundle.is_(None) & NoticeDelivery.urgent.is_(False)),
    ).order_by(NoticeDelivery.id).limit(10 * limit)  # fmt: skip
    if bundles or people:
        found |= {row.id: row for row in session.scalars(more.with_for_update(skip_locked=True))}
    return list(found.values())


def sent_at(
    session: Session, *, user_ids: Collection[int], channel: ChannelName, since: datetime
) -> dict[int, list[datetime]]:
    """Return when people last got a message on a channel; one of several notices counts once."""
    query = (
        select(NoticeDelivery.user_id, func.max(NoticeDelivery.sent_at))
        .where(NoticeDelivery.user_id.in_(user_ids), NoticeDelivery.channel == channel, NoticeDelivery.sent_at > since)
        .group_by(NoticeDelivery.user_id, NoticeDelivery.bundle)
    )
    found: dict[int, list[datetime]] = {}
    for user_id, at in session.execute(query):
        if at is not None:
            found.setdefault(user_id, []).append(at)
    return found


def notices_by_id(session: Session, notice_ids: Collection[int]) -> dict[int, Notice]:
    """Return notices by id, for the sender."""
    return {row.id: row for row in session.scalars(select(Notice).where(Notice.id.in_(notice_ids)))}
