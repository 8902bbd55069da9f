"""Writing of entries and cards by hand."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.energy import queries, rules
from fleetapp.energy.models import EnergyCard, EnergyEntry
from fleetapp.energy.rules import Break, CardState, EntryKind, EntrySource
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.vehicles import queries as vehicles


def enter(
    session: Session, *, vehicle_id: int, kind: EntryKind, at: datetime, quantity: Decimal, unit_price: Decimal, amount: Decimal,
    actor: Actor, now: datetime, odometer_m: int | None = None, full: bool = False, soc_percent: int | None = None,
    breaks: Break | None = None, product: str | None = None, station: str | None = None, card_id: int | None = None,
) -> EnergyEntry:  # fmt: skip
    """Enter a filling (litres) or a charging (kWh) of a vehicle.

    :raises RuleBroken: ``energy.kind_fits``, ``amount``, ``soc``, ``future``, ``card_other``.
    :raises Conflict: ``energy.there``: the same vehicle or card, moment and amount is entered already.
    """
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("energy.enter", actor, org_path=vehicle.org.path)
    rules.check_entry(
        kind=kind,
        energy=vehicle.energy,
        quantity=quantity,
        unit_price=unit_price,
        amount=amount,
        soc_percent=soc_percent,
    )
    if at > now:
        raise RuleBroken("energy.future")
    if card_id is not None:
        check_card(
            queries.get_card(session, card_id=card_id, actor=actor),
            vehicle_id=vehicle.id,
            kind=kind,
            on=clock.local_date(at),
        )
    made = EnergyEntry(
        org_id=vehicle.org_id, vehicle_id=vehicle.id, card_id=card_id, kind=kind, at=at, quantity=quantity, unit_price=unit_price,
        amount=amount, odometer_m=odometer_m, full=full, soc_percent=soc_percent, breaks=breaks, product=product, station=station,
        source=EntrySource.MANUAL, created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="energy.entered", subject_type="energy_entry", subject_id=made.id,
                 org_id=made.org_id, vehicle=vehicle.plate, kind=kind, at=at, quantity=quantity, amount=amount)  # fmt: skip
    return made


def check_card(card: EnergyCard, *, vehicle_id: int, kind: EntryKind, on: date) -> None:
    """Refuse a card that is not this vehicle's on that day.

    :raises RuleBroken: ``energy.card_other``.
    """
    in_force = card.valid_from <= on and (card.valid_to is None or on < card.valid_to)
    if card.vehicle_id != vehicle_id or card.kind != kind or not in_force:
        raise RuleBroken("energy.card_other", number=card.number)


def void(session: Session, *, entry_id: int, reason: str, actor: Actor, now: datetime) -> EnergyEntry:
    """Make a wrong entry void; it stays on record.

    :raises RuleBroken: ``energy.is_void``.
    """
    entry = queries.get_entry(session, entry_id=entry_id, actor=actor, lock=True)
    permits.require("energy.enter", actor, org_path=entry.org.path)
    if entry.void_at is not None:
        raise RuleBroken("energy.is_void")
    entry.void_at, entry.void_by, entry.void_reason = now, actor.user_id, reason
    audit.record(session, actor=actor, now=now, action="energy.voided", subject_type="energy_entry", subject_id=entry.id,
                 org_id=entry.org_id, reason=reason)  # fmt: skip
    return entry


def add_card(
    session: Session, *, vehicle_id: int, kind: EntryKind, number: str, issuer: str, valid_from: date, actor: Actor, now: datetime,
    valid_to: date | None = None,
) -> EnergyCard:  # fmt: skip
    """Bind a card to a vehicle.

    :raises RuleBroken: ``energy.kind_fits``, ``energy.card_period``.
    :raises Conflict: ``energy.card_taken`` or ``energy.card_second``: one card one car, one car one card of a kind.
    """
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("energy.cards", actor, org_path=vehicle.org.path)
    if vehicle.energy not in rules.FITS[kind]:
        raise RuleBroken("energy.kind_fits")
    if valid_to is not None and valid_to <= valid_from:
        raise RuleBroken("energy.card_period")
    made = EnergyCard(org_id=vehicle.org_id, vehicle_id=vehicle.id, kind=kind, number=number, issuer=issuer, valid_from=valid_from,
                      valid_to=valid_to, state=CardState.ACTIVE, created_at=now, created_by=actor.user_id)  # fmt: skip
    made.org, made.vehicle = vehicle.org, vehicle
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="energy.card_added", subject_type="energy_card", subject_id=made.id,
                 org_id=made.org_id, vehicle=vehicle.plate, kind=kind, number=number, issuer=issuer)  # fmt: skip
    return made


def move_card(
    session: Session,
    *,
    card_id: int,
    to: CardState,
    reason: str,
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> EnergyCard:
    """Suspend, reopen or cancel a card; a cancelled one ends tomorrow and leaves its place to another.

    :raises RuleBroken: ``energy.card_state``.
    :raises Conflict: ``kit.changed_meanwhile``.
    """
    card = queries.get_card(session, card_id=card_id, actor=actor)
    permits.require("energy.cards", actor, org_path=card.org.path)
    if version is not None and version != card.version:
        raise Conflict("kit.changed_meanwhile")
    rules.check_card_move(card.state, to)
    before, card.state = card.state, to
    if to is CardState.CANCELLED:
        last = max(clock.local_date(now), card.valid_from) + (date.resolution)
        card.valid_to = last if card.valid_to is None else min(card.valid_to, last)
    audit.record(session, actor=actor, now=now, action="energy.card_moved", subject_type="energy_card", subject_id=card.id,
                 org_id=card.org_id, before=before, after=to, reason=reason)  # fmt: skip
    return card
