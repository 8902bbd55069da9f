"""Writing of notices, in the transaction of what they tell; reading marks, choices, and the care of deliveries."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import bindparam, delete, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.notices import queries, rules
from fleetapp.notices.models import Notice, NoticeAddress, NoticeDelivery, NoticePreference, NoticeRoute
from fleetapp.notices.rules import ChannelName, DeliveryState

TELL = text(
    "INSERT INTO notice (user_id, key, code, params, link, urgent, confidential, created_at)"
    " VALUES (:user_id, :key, :code, :params, :link, :urgent, :confidential, :now) ON CONFLICT DO NOTHING"
).bindparams(bindparam("params", type_=JSONB))
"""Names no columns to conflict on: that would ask for the right to read the other person's row."""


def notify(
    session: Session,
    *,
    to: Collection[int | None],
    code: str,
    params: Mapping[str, str],
    link: str,
    key: str,
    now: datetime,
    urgent: bool = False,
    confidential: bool = False,
) -> None:
    """Tell people of a matter: ``code`` is a text with ``params``, ``link`` the page it is about.

    ``key`` names the matter: a person is told of it once, however often it is repeated. An urgent one goes out in quiet hours
    too; of a confidential one nothing goes out but that there is one.
    """
    people = sorted({user_id for user_id in to if user_id is not None})
    rows = [
        {"user_id": user_id, "key": key, "code": code, "params": dict(params), "link": link, "urgent": urgent,
         "confidential": confidential, "now": now}
        for user_id in people
    ]  # fmt: skip
    if rows:
        session.execute(TELL, rows)


def mark_read(session: Session, *, notice_id: int, actor: Actor, now: datetime) -> Notice:
    """Mark one of the actor's own notices as read; a second time does nothing.

    :raises NotFound: somebody else's, or none.
    """
    found = queries.get_notice(session, notice_id=notice_id, actor=actor)
    found.read_at = found.read_at or now
    return found


def mark_all_read(session: Session, *, actor: Actor, now: datetime) -> None:
    """Mark the actor's own notices as read."""
    session.execute(update(Notice).where(Notice.user_id == actor.user_id, Notice.read_at.is_(None)).values(read_at=now))


def choose(
    session: Session,
    *,
    choices: Mapping[tuple[str, ChannelName], bool],
    addresses: Mapping[ChannelName, str],
    actor: Actor,
    now: datetime,
) -> None:
    """Keep the actor's own choices by category and channel, and where mail and work chat reach them; an empty address is none.

    :raises RuleBroken: ``notices.mail_form``, ``notices.chat_form``.
    :raises NotAllowed: nobody in person.
    """
    if actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action="notices.choose")
    checked = {channel: rules.check_address(channel, address) for channel, address in addresses.items() if address}
    for (category, channel), enabled in choices.items():
        row = {"user_id": actor.user_id, "category": category, "channel": channel, "enabled": enabled}
        _upsert(session, NoticePreference, row, ("user_id", "category", "channel"), "enabled")
    for channel in addresses:
        if channel in checked:
            row = {"user_id": actor.user_id, "channel": channel, "address": checked[channel]}
            _upsert(session, NoticeAddress, row, ("user_id", "channel"), "address")
        else:
            session.execute(
                delete(NoticeAddress).where(NoticeAddress.user_id == actor.user_id, NoticeAddress.channel == channel)
            )
    audit.record(session, actor=actor, now=now, action="notices.chosen", subject_type="user_account", subject_id=actor.user_id,
                 org_id=actor.org_id, addresses={channel: rules.masked(address) for channel, address in checked.items()},
                 choices={f"{category}.{channel}": enabled for (category, channel), enabled in choices.items()})  # fmt: skip


def set_routes(
    session: Session, *, choices: Mapping[tuple[str, ChannelName], bool], actor: Actor, now: datetime
) -> dict[str, bool]:
    """Set through which channels the categories go out where people have not chosen; returns what changed.

    :raises NotAllowed: not for the whole city.
    """
    permits.require("notices.routes", actor, org_path=queries.root_path(session))
    before = queries.routes(session)
    changed = {
        pair: enabled for pair, enabled in choices.items() if before.get((pair[0], pair[1].value), False) != enabled
    }
    for (category, channel), enabled in changed.items():
        row = {"category": category, "channel": channel, "enabled": enabled}
        _upsert(session, NoticeRoute, row, ("category", "channel"), "enabled")
    told = {f"{category}.{channel}": enabled for (category, channel), enabled in changed.items()}
    if told:
        audit.record(session, actor=actor, now=now, action="notices.routed", subject_type="notice_route", subject_id=None,
                     org_id=actor.org_id, changed=told)  # fmt: skip
    return told


def retry(session: Session, *, delivery_id: int, reason: str, actor: Actor, now: datetime) -> NoticeDelivery:
    """Let a failed or suppressed delivery be tried again from the beginning; one that waits already is left as it is.

    :raises RuleBroken: ``notices.wrong_state``, ``notices.reason_needed``.
    """
    found = _take(session, delivery_id, reason, actor)
    if found.state == DeliveryState.QUEUED:
        return found
    rules.check_step(found.state, rules.RETRIED)
    before, found.state = found.state, DeliveryState.QUEUED
    found.attempts, found.next_at = 0, now
    _recorded(session, found, action="notices.retried", before=before, reason=reason, actor=actor, now=now)
    return found


def suppress(session: Session, *, delivery_id: int, reason: str, actor: Actor, now: datetime) -> NoticeDelivery:
    """Keep a delivery from going out; a second time does nothing.

    :raises RuleBroken: ``notices.wrong_state``, ``notices.reason_needed``.
    """
    found = _take(session, delivery_id, reason, actor)
    if found.state == DeliveryState.SUPPRESSED:
        return found
    rules.check_step(found.state, rules.STOPPED)
    before, found.state, found.last_error = found.state, DeliveryState.SUPPRESSED, rules.scrubbed(reason)
    _recorded(session, found, action="notices.suppressed", before=before, reason=reason, actor=actor, now=now)
    return found


def _take(session: Session, delivery_id: int, reason: str, actor: Actor) -> NoticeDelivery:
    found = queries.get_delivery(session, delivery_id=delivery_id, actor=actor)
    permits.require("notices.deliver", actor, org_path=found.user.org.path)
    if not reason.strip():
        raise RuleBroken("notices.reason_needed")
    return found


def _recorded(
    session: Session, found: NoticeDelivery, *, action: str, before: str, reason: str, actor: Actor, now: datetime
) -> None:
    audit.record(session, actor=actor, now=now, action=action, subject_type="notice_delivery", subject_id=found.id,
                 org_id=found.user.org_id, channel=found.channel, code=found.code, before=before, reason=reason)  # fmt: skip


def _upsert(session: Session, table: type, row: Mapping[str, object], key: tuple[str, ...], value: str) -> None:
    session.execute(insert(table).values(row).on_conflict_do_update(index_elements=key, set_={value: row[value]}))
