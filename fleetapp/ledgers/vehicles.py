"""The vehicles' ledger: rows against the registry, the caps, the quota and each other; and writing what is right."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.acquisitions import queries as acquisitions
from fleetapp.acquisitions import rules as caps
from fleetapp.acquisitions.rules import Step
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.ledgers.columns import VEHICLES
from fleetapp.ledgers.plans import CHUNK, Change, Plan, Progress, Units
from fleetapp.ledgers.rules import Row, half_width, letters
from fleetapp.places import queries as places
from fleetapp.places.models import ParkingArea
from fleetapp.vehicles import bulk, queries, rules
from fleetapp.vehicles import service as registry
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy, ManagementMode

LETTERS = {column.key: letters(index) for index, column in enumerate(VEHICLES)}
COMPARED = sorted(bulk.EDITABLE - {"parking_id"})
REQUIRED = [column.key for column in VEHICLES if column.required]
CAPPED = frozenset(["price_ex_tax", "displacement_ml", "category", "body", "energy", "acquired_on", "management_mode"])
"""A change of one of these makes an old vehicle subject to its cap again."""
PAST = ("registered_on", "acquired_on", "made_on")


class _Check:
    """Everything that rows are compared with, read once."""

    def __init__(self, session: Session, rows: Sequence[Row], actor: Actor, today: date) -> None:
        self.actor, self.today = actor, today
        self.units = Units(session, actor)
        self.caps = acquisitions.CapBook(session)
        for row in rows:
            _normalise(row)
        said = [row.values for row in rows]
        vins, phones = _filled(said, "vin"), _filled(said, "terminal_phone")
        self.there = queries.active_by_vin(session, vins=vins, actor=actor)
        self.taken = queries.identities_taken(session, plates=_filled(said, "plate"), vins=vins, phones=phones)
        self.phones = queries.open_phones(session, vehicle_ids=[vehicle.id for vehicle in self.there.values()])
        self.parking: dict[str, list[ParkingArea]] = {}
        for area in session.scalars(places.visible_to(actor)):
            for name in {half_width(area.name_zh), half_width(area.name_en)}:
                self.parking.setdefault(name, []).append(area)
        self.free = {(org.id, category): place.free
                     for org, row in acquisitions.matrix(session, actor=actor, on=today).items()
                     for category, place in row.items() if place.quota > 0}  # fmt: skip
        self.seen: dict[tuple[str, str], int] = {}

    def once(self, row: Row, column: str) -> None:
        """Note a value that an earlier row has already."""
        value = row.values[column]
        if value is not None:
            first = self.seen.setdefault((column, value), row.number)
            if first != row.number:
                row.fault(column, "ledgers.twice", value=value, cell=f"{LETTERS[column]}{first}")

    def identities(self, row: Row) -> None:
        """Note plates, VINs and terminals that another vehicle has, in the file or in the registry."""
        for column in ("plate", "vin", "terminal_phone"):
            self.once(row, column)
        vin = row.values["vin"]
        if vin is None:
            return
        try:
            rules.check_vin(vin)
        except (
            RuleBroken
        ) as broken:  # a mistyped VIN makes a stranger of a known vehicle: nothing else is to be said of it
            row.broken("vin", broken)
            return
        for kind, column, code in (("plate", "plate", "vehicles.plate_taken"),
                                   ("terminal", "terminal_phone", "vehicles.terminal_elsewhere")):  # fmt: skip
            if self.taken.get((kind, row.values[column] or ""), vin) != vin:
                row.fault(column, code)
        if ("vin", vin) in self.taken and vin not in self.there:
            row.fault("vin", "vehicles.vin_taken")

    def place(self, row: Row, org: Organisation, vehicle: Vehicle | None) -> None:
        """Put the id of the parking area that a row names into ``parking_id``."""
        row.values["parking_id"] = None
        if row.values["parking"] is None:
            return
        named = self.parking.get(half_width(row.values["parking"]), [])
        own = [area for area in named if vehicle is not None and area.id == vehicle.parking_id]
        own = own or [area for area in named if area.org_id == org.id] or named
        if len(own) == 1:
            row.values["parking_id"] = own[0].id
        else:
            row.fault(
                "parking", "ledgers.parking_many" if own else "ledgers.parking_unknown", name=row.values["parking"]
            )

    def cap(self, row: Row, facts: Mapping[str, Any], org: Organisation) -> None:
        """Note a price or displacement above the cap in force on the day of acquisition, with its article."""
        figures = self.caps.on(facts["acquired_on"] or facts["registered_on"], org.path)
        if not figures or facts["management_mode"] == ManagementMode.RENTED:
            return
        category, step = Category(facts["category"]), Step(row.values["step"] or Step.NORMAL)
        if not caps.has_step(figures, category, step):
            row.fault("step", "ledgers.step_unknown")
            return
        cap = caps.cap_of(
            figures, category=category, body=Body(facts["body"]), energy=Energy(facts["energy"]), step=step
        )
        for column, price, displacement in (("price_ex_tax", facts["price_ex_tax"], None),
                                            ("displacement_ml", None, facts["displacement_ml"])):  # fmt: skip
            try:
                caps.check_cap(cap, price=price or Decimal(0), displacement_ml=displacement)
            except RuleBroken as broken:
                row.broken(column, broken)

    def quota(self, row: Row, org: Organisation) -> None:
        """Take a place of the unit's quota for a new vehicle, or note that none is left; units without one are not held to it."""
        key = (org.id, row.values["category"])
        if key in self.free and row.values["management_mode"] != ManagementMode.RENTED:
            if self.free[key] < 1:
                row.fault("category", "ledgers.over_quota", unit=org.name_zh)
            self.free[key] -= 1


def _filled(said: Sequence[Mapping[str, Any]], column: str) -> set[str]:
    return {values[column] for values in said if values[column] is not None}


def _normalise(row: Row) -> None:
    """Bring plate, VIN and terminal into the forms they are kept in."""
    values = row.values
    if values["plate"] is not None:
        values["plate"] = rules.normal_plate(values["plate"])
    if values["vin"] is not None:
        values["vin"] = values["vin"].upper()
    if values["terminal_phone"] is not None:
        try:
            values["terminal_phone"] = rules.terminal_phone(values["terminal_phone"])
        except RuleBroken as broken:
            row.broken("terminal_phone", broken)
            values["terminal_phone"] = None


def _rules(row: Row, facts: Mapping[str, Any], today: date) -> None:
    """Note which of the registry's rules the facts break, each at its cell."""
    energy, body = Energy(facts["energy"]), Body(facts["body"])
    all_rules: tuple[tuple[str, Callable[[], None]], ...] = (
        ("plate", lambda: rules.check_plate(facts["plate"], energy=energy, category=Category(facts["category"]),
                                            registered_on=facts["registered_on"])),
        ("seats", lambda: rules.check_seats(body, facts["seats"])),
        ("range_km", lambda: rules.check_range(energy, facts["range_km"])),
    )  # fmt: skip
    for column, rule in all_rules:
        try:
            rule()
        except RuleBroken as broken:
            row.broken(column, broken)
    for column in PAST:
        if facts[column] is not None and facts[column] > today:
            row.fault(column, "ledgers.in_future")


def check(session: Session, rows: Sequence[Row], *, actor: Actor, today: date) -> Plan:
    """Compare rows with the registry; what is wrong is noted in the rows."""
    plan, look = Plan(rows), _Check(session, rows, actor, today)
    for row in rows:
        org = look.units.of(row)
        look.identities(row)
        vehicle = look.there.get(row.values["vin"] or "")
        if org is None or (vehicle is None and any(row.values[column] is None for column in REQUIRED)):
            continue
        look.place(row, org, vehicle)
        if vehicle is None:
            _new(plan, look, row, org)
        else:
            _old(plan, look, row, org, vehicle)
    return plan


def _new(plan: Plan, look: _Check, row: Row, org: Organisation) -> None:
    _rules(row, row.values, look.today)
    look.cap(row, row.values, org)
    if not row.faults:
        look.quota(row, org)
    if not row.faults:
        plan.new.append((row, org))


def _old(plan: Plan, look: _Check, row: Row, org: Organisation, vehicle: Vehicle) -> None:
    """Compare a row with its vehicle; an empty cell leaves what is there."""
    if not permits.may("ledgers.import", look.actor, org_path=vehicle.org.path):
        row.fault("vin", "vehicles.vin_taken")
    elif org.id != vehicle.org_id:
        row.fault("org_code", "ledgers.org_fixed", unit=vehicle.org.name_zh)
    changed: dict[str, tuple[Any, Any]] = {}
    for name in (*COMPARED, "parking_id"):
        value = row.values[name]
        if value is not None and value != getattr(vehicle, name):
            changed[name] = (getattr(vehicle, name), value)
    facts = {
        name: row.values[name] if name in changed else getattr(vehicle, name) for name in (*COMPARED, "parking_id")
    }
    phone = row.values["terminal_phone"]
    if phone is not None and phone != look.phones.get(vehicle.id):
        changed["terminal_phone"] = (look.phones.get(vehicle.id), phone)
    if changed:
        _rules(row, facts, look.today)
    if changed.keys() & CAPPED:
        look.cap(row, facts, org)
    if row.faults:
        return
    if changed:
        plan.changes.append(Change(row, vehicle.plate, vehicle, changed))
    else:
        plan.unchanged += 1


def write(
    session: Session, plan: Plan, *, source: Mapping[str, Any], actor: Actor, now: datetime, progress: Progress
) -> None:
    """Write what is new and what changes, a chunk at a time in the one transaction of the session.

    :raises NotAllowed: the actor may not register or edit vehicles of a unit.
    """
    registered, edited, done = [], [], 0
    for begin in range(0, len(plan.new), CHUNK):
        part = plan.new[begin : begin + CHUNK]
        phones = {at: row.values["terminal_phone"] for at, (row, _) in enumerate(part) if row.values["terminal_phone"]}
        registered += bulk.register(
            session, [(org, row.values) for row, org in part], phones=phones, source=source, actor=actor, now=now
        )
        done += len(part)
        progress(done)
    for begin in range(0, len(plan.changes), CHUNK):
        chunk = plan.changes[begin : begin + CHUNK]
        facts = [
            (one.subject, {name: after for name, (_, after) in one.changed.items() if name != "terminal_phone"})
            for one in chunk
        ]
        edited += bulk.edit(session, [(car, changes) for car, changes in facts if changes], source=source, actor=actor)
        done += len(chunk)
        progress(done)
    for one in plan.changes:
        if "terminal_phone" in one.changed:
            registry.bind_terminal(
                session, vehicle_id=one.subject.id, phone=one.changed["terminal_phone"][1], actor=actor, now=now
            )
    bulk.record(session, registered=registered, edited=edited, actor=actor, now=now)


def values_of(vehicle: Vehicle, phone: str | None) -> dict[str, Any]:
    """Return what a vehicle's row says by column, codes as they are kept."""
    values = {name: getattr(vehicle, name) for name in COMPARED}
    return values | {
        "org_code": vehicle.org.code, "org_name": vehicle.org, "parking": vehicle.parking, "terminal_phone": phone,
        "odometer_m": vehicle.odometer_m, "state": vehicle.state, "step": None,
    }  # fmt: skip
