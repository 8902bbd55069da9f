"""What people do: pause and resume an interface, send a refused record again, replay what was accepted; each with its reason."""

from datetime import date, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.exchange import outbox, queries, rules
from fleetapp.exchange.interfaces import BY_CODE
from fleetapp.exchange.models import ExchangeInterface, ExchangeOutbox, ExchangeReplay
from fleetapp.exchange.rules import RecordState
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.policies.queries import city_path


def _interface(session: Session, code: str, actor: Actor) -> ExchangeInterface:
    """Return an interface that the actor looks after, locked.

    :raises NotAllowed: the actor does not look after the whole city's exchange. :raises NotFound: nothing is sent by it.
    """
    permits.require("exchange.manage", actor, org_path=city_path(session))
    if code not in BY_CODE or not BY_CODE[code].held:
        raise NotFound("kit.not_found")
    outbox.prepare(session)
    return session.scalars(select(ExchangeInterface).where(ExchangeInterface.code == code).with_for_update()).one()


def pause(session: Session, *, code: str, reason: str, actor: Actor, now: datetime) -> ExchangeInterface:
    """Stop sending an interface; what changes is still queued.

    :raises NotAllowed: not the actor's to do. :raises NotFound: nothing is sent by it.
    :raises RuleBroken: ``exchange.paused_already``, ``exchange.reason_needed``.
    """
    row, reason = _interface(session, code, actor), rules.check_reason(reason)
    if row.paused_at is not None:
        raise RuleBroken("exchange.paused_already")
    row.paused_at, row.paused_by, row.pause_reason = now, actor.user_id, reason
    _record(session, "exchange.paused", code, actor, now, reason=reason)
    return row


def resume(session: Session, *, code: str, reason: str, actor: Actor, now: datetime) -> ExchangeInterface:
    """Send an interface again, at once.

    :raises NotAllowed: not the actor's to do. :raises NotFound: nothing is sent by it.
    :raises RuleBroken: ``exchange.not_paused``, ``exchange.reason_needed``.
    """
    row, reason = _interface(session, code, actor), rules.check_reason(reason)
    if row.paused_at is None:
        raise RuleBroken("exchange.not_paused")
    row.paused_at = row.paused_by = row.pause_reason = None
    _record(session, "exchange.resumed", code, actor, now, reason=reason)
    return row


def replay(
    session: Session, *, code: str, start_on: date, end_on: date, reason: str, actor: Actor, now: datetime
) -> ExchangeReplay:
    """Queue again, under the same keys, the newest versions that were accepted on the local days ``[start_on, end_on)``.

    A platform that has them says so; one that lost them takes them. Repeated before they are sent, it finds nothing more.

    :raises NotAllowed: not the actor's to do. :raises NotFound: nothing is sent by it.
    :raises RuleBroken: ``exchange.period``, ``exchange.reason_needed``.
    """
    _interface(session, code, actor)
    reason = rules.check_reason(reason)
    if start_on >= end_on or start_on > clock.local_date(now):
        raise RuleBroken("exchange.period")
    span = ExchangeOutbox.settled_at >= clock.start_of(start_on), ExchangeOutbox.settled_at < clock.start_of(end_on)
    wanted = (
        ExchangeOutbox.interface == code,
        ExchangeOutbox.current,
        ExchangeOutbox.state == RecordState.ACCEPTED,
        *span,
    )
    ids = session.scalars(select(ExchangeOutbox.id).where(*wanted).with_for_update()).all()
    made = ExchangeReplay(
        interface=code,
        start_on=start_on,
        end_on=end_on,
        reason=reason,
        records=len(ids),
        actor_id=actor.user_id,
        at=now,
    )
    session.add(made)
    session.flush()
    session.execute(
        update(ExchangeOutbox).where(ExchangeOutbox.id.in_(ids)).values(state=RecordState.QUEUED, replay_id=made.id)
    )
    _record(
        session,
        "exchange.replayed",
        code,
        actor,
        now,
        reason=reason,
        start_on=start_on,
        end_on=end_on,
        records=len(ids),
    )
    return made


def send_again(session: Session, *, outbox_id: int, reason: str, actor: Actor, now: datetime) -> ExchangeOutbox:
    """Send a refused record again as a new version with the same content; for refusals whose cause lay above.

    A record that was mended goes by itself, as a new version.

    :raises NotAllowed: not the actor's to do. :raises NotFound: no such record within reach.
    :raises RuleBroken: ``exchange.not_refused``, ``exchange.reason_needed``.
    """
    permits.require("exchange.manage", actor, org_path=city_path(session))
    row, reason = queries.get_record(session, outbox_id=outbox_id, actor=actor, lock=True), rules.check_reason(reason)
    if row.state != RecordState.REJECTED or not row.current:
        raise RuleBroken("exchange.not_refused")
    made = outbox.again(session, row=row, now=now)
    audit.record(session, actor=actor, now=now, action="exchange.sent_again", subject_type="exchange_outbox", subject_id=made.id,
                 org_id=made.org_id, reason=reason, key=made.key, before=row.key)  # fmt: skip
    return made


def note_dry_run(session: Session, *, code: str, records: int, valid: int, actor: Actor, now: datetime) -> None:
    """Record that somebody looked at what an interface would send: it shows records of many units at once."""
    permits.require("exchange.dry_run", actor)
    _record(session, "exchange.dry_run", code, actor, now, records=records, valid=valid)


def _record(session: Session, action: str, code: str, actor: Actor, now: datetime, **data: object) -> None:
    audit.record(session, actor=actor, now=now, action=action, subject_type="exchange_interface", subject_id=code,
                 org_id=actor.org_id, **data)  # fmt: skip
