"""What terminals are asked to do: written by people with a reason, carried by the gateway, each once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, literal, or_, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.accounts.queries import within_reach
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.tracking import bridge, parameters
from fleetapp.tracking.rules import LiveState, live_state
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import Secrecy, VehicleState


class Kind(StrEnum):
    """What can be asked; the gateway's names (JT/T 808 0x8104, 0x8107, 0x8201, 0x8202, 0x8300, 0x8103, 0x8500)."""

    POSITION = "query_position"
    TRACK = "track"
    TEXT = "text"
    ATTRIBUTES = "query_attributes"
    PARAMETERS = "query_parameters"
    SET = "set_parameters"
    CONTROL = "control"


class CommandState(StrEnum):
    """How far a command has come."""

    WAITING = "waiting"
    SENT = "sent"
    ANSWERED = "answered"
    FAILED = "failed"
    EXPIRED = "expired"


TELLS_PLACE = frozenset({Kind.POSITION, Kind.TRACK})
NOT_CONNECTED = "not connected"


def state_of(row: Any, now: datetime) -> CommandState:
    """Return how far a command has come."""
    if row.result is None:
        if row.sent_at is not None:
            return CommandState.SENT
        return CommandState.WAITING if row.expires_at > now else CommandState.EXPIRED
    if row.result == "ok":
        return CommandState.ANSWERED
    return CommandState.EXPIRED if row.result == NOT_CONNECTED else CommandState.FAILED


def _in_state(row: Any, now: datetime) -> Mapping[str, ColumnElement[bool]]:
    return {
        CommandState.WAITING: and_(row.result.is_(None), row.sent_at.is_(None), row.expires_at > now),
        CommandState.SENT: and_(row.result.is_(None), row.sent_at.is_not(None)),
        CommandState.ANSWERED: row.result == "ok",
        CommandState.FAILED: and_(row.result.is_not(None), row.result.not_in(["ok", NOT_CONNECTED])),
        CommandState.EXPIRED: or_(
            row.result == NOT_CONNECTED, and_(row.result.is_(None), row.sent_at.is_(None), row.expires_at <= now)
        ),
    }


def listed(
    actor: Actor,
    *,
    now: datetime,
    state: str = "",
    q: str = "",
    terminal_id: int | None = None,
    action: str = "tracking.commands",
) -> Select[Any]:
    """Return the commands to terminals of vehicles within reach when they were asked, the newest first.

    What a terminal answered of its place is left out where positions of its vehicle are shown to nobody.
    """
    asked = bridge.commands()
    hidden = and_(Vehicle.secrecy != Secrecy.NORMAL, asked.c.kind.in_([*TELLS_PLACE, Kind.CONTROL]))
    query = (
        select(
            *(column for column in asked.c if column.key != "answer"), case((hidden, None), else_=asked.c.answer).label("answer"),
            Vehicle.id.label("vehicle_id"), Vehicle.plate, Organisation.name_zh, Organisation.name_en,
            UserAccount.name_zh.label("asker_zh"), UserAccount.name_en.label("asker_en"),
        )
        .select_from(asked)
        .join(TerminalBinding, and_(TerminalBinding.terminal_id == asked.c.terminal_id, TerminalBinding.during.contains(asked.c.created_at)))
        .join(Vehicle, Vehicle.id == TerminalBinding.vehicle_id)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .outerjoin(UserAccount, UserAccount.id == asked.c.asked_by)
        .where(within_reach(actor, action))
    )  # fmt: skip
    if state:
        query = query.where(_in_state(asked.c, now)[state])
    if q:
        query = query.where(or_(Vehicle.plate.like(f"%{q.upper()}%"), asked.c.phone.like(f"%{q}%")))
    if terminal_id is not None:
        query = query.where(asked.c.terminal_id == terminal_id)
    return query.order_by(asked.c.id.desc())


def of_terminal(session: Session, *, terminal_id: int, actor: Actor, now: datetime, limit: int) -> Sequence[Any]:
    """Return the newest commands to a terminal."""
    query = listed(actor, now=now, terminal_id=terminal_id, action="tracking.health")
    return session.execute(query.limit(limit)).all()


def send(
    session: Session,
    *,
    plate: str,
    kind: Kind,
    content: Mapping[str, Any],
    reason: str,
    confirm: str,
    actor: Actor,
    now: datetime,
) -> int:
    """Ask the terminal in a vehicle for something; returns the command's id.

    :raises NotFound: no such vehicle within reach.
    :raises NotAllowed: not the actor's to ask; the doors have a permission of their own.
    :raises RuleBroken: no terminal or only a phone, no reason, the doors without the plate typed again or while the vehicle moves, the
        place of a restricted vehicle, parameters that cannot be sent.
    """
    row = session.execute(
        select(Vehicle, Organisation.path, TerminalBinding.terminal_id)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .outerjoin(
            TerminalBinding,
            and_(TerminalBinding.vehicle_id == Vehicle.id, TerminalBinding.during.contains(literal(now))),
        )
        .where(
            Vehicle.plate == plate.strip().upper(),
            Vehicle.state != VehicleState.RETIRED,
            within_reach(actor, "tracking.commands"),
        )
    ).first()
    permits.require("tracking.commands", actor)
    if row is None:
        raise NotFound("tracking.no_such_plate", plate=plate)
    vehicle, path, terminal_id = row
    permits.require("tracking.commands", actor, org_path=path)
    if kind == Kind.CONTROL:
        permits.require("tracking.control", actor, org_path=path)
        if confirm.strip().upper() != vehicle.plate:
            raise RuleBroken("tracking.confirm_plate", plate=vehicle.plate)
        if _moves(session, terminal_id, now):
            raise RuleBroken("tracking.control_moving", plate=vehicle.plate)
    if len(reason.strip()) < 2:
        raise RuleBroken("tracking.reason_missing")
    if terminal_id is None or bridge.kind_of(session, terminal_id=terminal_id) != "jt808":
        raise RuleBroken("tracking.takes_no_command", plate=vehicle.plate)
    if kind in TELLS_PLACE and vehicle.secrecy != Secrecy.NORMAL:
        raise RuleBroken("tracking.place_hidden")
    try:
        command_id = bridge.add_command(
            session,
            terminal_id=terminal_id,
            kind=kind,
            parameters=content,
            asked_by=actor.user_id,
            reason=reason.strip(),
            now=now,
        )
    except bridge.Unsendable as error:
        raise RuleBroken("tracking.unsendable", reason=str(error)) from error
    audit.record(session, actor=actor, now=now, action="tracking.commanded", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, command=command_id, kind=kind.value, content=dict(content), reason=reason.strip())  # fmt: skip
    return command_id


def content_of(kind: Kind, data: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of a command as the gateway wants them, from a form.

    :raises RuleBroken: parameters out of their bounds.
    """
    if kind == Kind.SET:
        return {"parameters": parameters.settings(settings)}
    if kind == Kind.TRACK:
        return {"interval_s": data["interval_s"], "duration_s": data["duration_s"]}
    if kind == Kind.TEXT:
        if not data["text"]:
            raise RuleBroken("tracking.text_missing")
        return {"text": data["text"], "speak": data["speak"]}
    return {"lock": data["lock"]} if kind == Kind.CONTROL else {}


def _moves(session: Session, terminal_id: int | None, now: datetime) -> bool:
    found = bridge.last_positions(session, terminal_ids=[terminal_id]) if terminal_id is not None else []
    return any(
        live_state(at=one.at, received_at=one.received_at, speed_kmh=one.speed_kmh, now=now) == LiveState.MOVING
        for one in found
    )
