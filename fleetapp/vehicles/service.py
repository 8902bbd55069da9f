"""Writing of the registry: register, correct, change state, fit a terminal, advance the odometer."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, NotFound, RuleBroken
from fleetapp.places import queries as places
from fleetapp.vehicles import bridge, odometer, papers, queries, rules
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy, ReadingSource, Secrecy, VehicleState

EDITABLE = frozenset(
    [
        "plate",
        "vin",
        "category",
        "body",
        "energy",
        "seats",
        "model",
        "secrecy",
        "range_km",
        "registered_on",
        "parking_id",
        "displacement_ml",
        "engine_no",
        "price_ex_tax",
        "purchase_tax",
        "acquired_by",
        "acquired_on",
        "made_on",
        "domestic",
        "battery_kwh",
        "tank_l",
        "fuel_grade",
        "colour",
    ]
)


def check(vehicle: Vehicle) -> None:
    """Refuse a vehicle whose facts do not fit together (``rules.check_facts``)."""
    rules.check_facts(
        plate=vehicle.plate, vin=vehicle.vin, category=Category(vehicle.category), body=Body(vehicle.body),
        energy=Energy(vehicle.energy), seats=vehicle.seats, range_km=vehicle.range_km, registered_on=vehicle.registered_on,
    )  # fmt: skip


def register(
    session: Session,
    *,
    org_id: int,
    plate: str,
    vin: str,
    category: Category,
    body: Body,
    energy: Energy,
    seats: int,
    model: str,
    registered_on: date,
    actor: Actor,
    now: datetime,
    secrecy: Secrecy = Secrecy.NORMAL,
    range_km: int | None = None,
    odometer_m: int = 0,
    parking_id: int | None = None,
    terminal_phone: str | None = None,
    state: VehicleState = VehicleState.IN_SERVICE,
    **more: Any,
) -> Vehicle:
    """Enter a vehicle of a unit, in service unless told otherwise; with ``terminal_phone`` its terminal is known and fitted from ``now``.

    ``more`` are further columns of its property and engine, and ``management_mode``.

    :raises NotAllowed: the unit is outside the actor's reach.
    :raises RuleBroken: plate, VIN, seats or range do not fit (``rules``).
    :raises Conflict: at the end of the transaction, ``vehicles.plate_taken``, ``vin_taken``, ``terminal_elsewhere``.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("vehicles.register", actor, org_path=org.path)
    if parking_id is not None:
        places.get_parking(session, parking_id=parking_id, actor=actor)
    vehicle = Vehicle(
        org_id=org_id, org=org, plate=rules.normal_plate(plate), vin=vin.upper(), category=category, body=body, energy=energy,
        seats=seats, model=model, state=state, secrecy=secrecy, range_km=range_km, odometer_m=odometer_m,
        registered_on=registered_on, parking_id=parking_id, created_at=now, **more,
    )  # fmt: skip
    check(vehicle)
    session.add(vehicle)
    session.flush()
    if terminal_phone:
        _fit(session, vehicle, rules.terminal_phone(terminal_phone), now)
    audit.record(session, actor=actor, now=now, action="vehicles.registered", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=org_id, plate=vehicle.plate, vin=vehicle.vin, category=category, body=body, energy=energy, seats=seats,
                 model=model, odometer_m=odometer_m, parking_id=parking_id, terminal=terminal_phone, **more)  # fmt: skip
    return vehicle


def edit(
    session: Session,
    *,
    vehicle_id: int,
    changes: Mapping[str, Any],
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> Vehicle:
    """Correct facts of a vehicle (``EDITABLE``); with ``version`` only if nobody changed it since that was read.

    :raises NotAllowed: out of reach or retired.
    :raises RuleBroken: the facts do not fit together (``rules``).
    :raises Conflict: ``kit.changed_meanwhile``; at the end ``vehicles.plate_taken`` or ``vin_taken``.
    """
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("vehicles.edit", actor, org_path=vehicle.org.path, state=vehicle.state)
    if version is not None and version != vehicle.version:
        raise Conflict("kit.changed_meanwhile")
    if unknown := changes.keys() - EDITABLE:
        raise ValueError(f"not editable: {sorted(unknown)}")
    wanted = dict(changes)
    if "plate" in wanted:
        wanted["plate"] = rules.normal_plate(wanted["plate"])
    if "vin" in wanted:
        wanted["vin"] = wanted["vin"].upper()
    if wanted.get("parking_id") is not None:
        places.get_parking(session, parking_id=wanted["parking_id"], actor=actor)
    changed = {
        name: [getattr(vehicle, name), value] for name, value in wanted.items() if getattr(vehicle, name) != value
    }
    if not changed:
        return vehicle
    with session.no_autoflush:
        for name, (_, value) in changed.items():
            setattr(vehicle, name, value)
        check(vehicle)
    audit.record(session, actor=actor, now=now, action="vehicles.edited", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, changed=changed)  # fmt: skip
    session.expire(vehicle, ["parking"])
    return vehicle


def change_state(
    session: Session,
    *,
    vehicle_id: int,
    to: VehicleState,
    reason: str,
    actor: Actor,
    now: datetime,
    version: int | None = None,
) -> Vehicle:
    """Move a vehicle to another state by hand.

    :raises NotAllowed: out of reach or retired.
    :raises RuleBroken: ``vehicles.state_move``, ``vehicles.state_reason``, ``vehicles.by_disposal``, or
        ``vehicles.not_ready`` for a new vehicle that lacks a paper, its terminal or its parking place.
    :raises Conflict: ``kit.changed_meanwhile``.
    """
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("vehicles.edit", actor, org_path=vehicle.org.path, state=vehicle.state)
    if version is not None and version != vehicle.version:
        raise Conflict("kit.changed_meanwhile")
    if to not in rules.BY_HAND or vehicle.state == VehicleState.DISPOSING:
        raise RuleBroken("vehicles.by_disposal")
    if vehicle.state == VehicleState.PREPARING and to is VehicleState.IN_SERVICE:
        papers.require_ready(session, vehicle, now=now)
    return move(session, vehicle_id=vehicle_id, to=to, reason=reason, actor=actor, now=now)


def move(session: Session, *, vehicle_id: int, to: VehicleState, reason: str, actor: Actor, now: datetime) -> Vehicle:
    """Move a vehicle to another state for a slice that has checked the permission; a retired one gives up its terminal.

    :raises RuleBroken: ``vehicles.state_move`` or ``vehicles.state_reason``.
    """
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    before = VehicleState(vehicle.state)
    rules.check_move(before, to, reason)
    vehicle.state = to
    if to is VehicleState.RETIRED:
        _unfit(session, vehicle, now)
    audit.record(session, actor=actor, now=now, action="vehicles.state_changed", subject_type="vehicle",
                 subject_id=vehicle.id, org_id=vehicle.org_id, before=before, after=to, reason=reason.strip())  # fmt: skip
    return vehicle


def transfer(
    session: Session, *, vehicle_id: int, org: Organisation, reason: str, actor: Actor, now: datetime
) -> Vehicle:
    """Give a vehicle that is being disposed of to another unit, in service there; its terminal goes with it.

    The trips and tracks until now stay with the former holder. For the disposal slice, which has checked the permission.
    """
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    rules.check_move(VehicleState(vehicle.state), VehicleState.IN_SERVICE, reason)
    before, binding = vehicle.org_id, queries.open_binding(session, vehicle_id=vehicle.id)
    phone = bridge.phones(session, [binding.terminal_id])[binding.terminal_id] if binding else None
    _unfit(session, vehicle, now)
    vehicle.org_id, vehicle.org, vehicle.parking_id, vehicle.state = org.id, org, None, VehicleState.IN_SERVICE
    session.flush()
    if phone:
        _fit(session, vehicle, phone, now)
    audit.record(session, actor=actor, now=now, action="vehicles.transferred", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=org.id, before=before, after=org.id, reason=reason)  # fmt: skip
    return vehicle


def bind_terminal(session: Session, *, vehicle_id: int, phone: str, actor: Actor, now: datetime) -> TerminalBinding:
    """Fit a terminal from ``now`` on, taking out the one before; the same one again changes nothing.

    :raises NotAllowed: out of reach or retired.
    :raises RuleBroken: ``vehicles.terminal_form``, or ``vehicles.binding_later`` when a binding starts after ``now``.
    :raises Conflict: ``vehicles.terminal_elsewhere`` at the end: it is in another vehicle; take it out there first.
    """
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("vehicles.edit", actor, org_path=vehicle.org.path, state=vehicle.state)
    wanted = rules.terminal_phone(phone)
    present = queries.open_binding(session, vehicle_id=vehicle.id)
    if present is not None and present.terminal_id == bridge.terminal_id(session, wanted, create=False):
        return present
    binding = _fit(session, vehicle, wanted, now)
    audit.record(session, actor=actor, now=now, action="vehicles.terminal_bound", subject_type="vehicle",
                 subject_id=vehicle.id, org_id=vehicle.org_id, terminal=wanted)  # fmt: skip
    return binding


def unbind_terminal(session: Session, *, vehicle_id: int, actor: Actor, now: datetime) -> None:
    """Take the terminal out from ``now`` on; without one nothing happens.

    :raises NotAllowed: out of reach or retired.
    """
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("vehicles.edit", actor, org_path=vehicle.org.path, state=vehicle.state)
    if _unfit(session, vehicle, now):
        audit.record(session, actor=actor, now=now, action="vehicles.terminal_unbound", subject_type="vehicle",
                     subject_id=vehicle.id, org_id=vehicle.org_id)  # fmt: skip


def _unfit(session: Session, vehicle: Vehicle, now: datetime) -> bool:
    present = queries.open_binding(session, vehicle_id=vehicle.id)
    if present is None:
        return False
    if present.during.lower is not None and present.during.lower > now:
        raise RuleBroken("vehicles.binding_later")
    present.during = Range(present.during.lower, now)
    session.flush()  # the old period must be closed before a new one opens
    return True


def _fit(session: Session, vehicle: Vehicle, phone: str, now: datetime) -> TerminalBinding:
    _unfit(session, vehicle, now)
    terminal_id = bridge.terminal_id(session, phone, create=True)
    binding = TerminalBinding(
        org_id=vehicle.org_id, vehicle_id=vehicle.id, terminal_id=terminal_id, during=Range(now, None)
    )
    session.add(binding)
    session.flush()
    return binding


def advance_odometer(
    session: Session, *, vehicle_id: int, odometer_m: int, actor: Actor, now: datetime, at: datetime | None = None,
    source: ReadingSource = ReadingSource.MANUAL,
) -> Vehicle:  # fmt: skip
    """Note a reading taken at ``at`` (else now): the ledger gets it, the vehicle moves on to it.

    One that arrives late, after a reading of a later moment, only has to fit before that one.

    For slices that have already checked that the actor may report this reading (a driver at check-in), so it asks
    for no permission of its own; row-level security still holds.

    :raises NotFound: no such vehicle within reach.
    :raises RuleBroken: ``vehicles.odometer_back``, the reading is lower than the last one; ``reading_inverted``.
    """
    vehicle = session.get(Vehicle, vehicle_id, with_for_update={"of": Vehicle}, populate_existing=True)
    if vehicle is None:
        raise NotFound("kit.not_found")
    last, at = queries.last_reading(session, vehicle_id=vehicle_id), at or now
    if odometer_m < vehicle.odometer_m and (last is None or last.at <= at):
        raise RuleBroken("vehicles.odometer_back", last_km=vehicle.odometer_m / 1000)
    odometer.note(session, vehicle=vehicle, reading_m=odometer_m, at=at, source=source, actor=actor, now=now)
    return vehicle
