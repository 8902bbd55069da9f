"""Purchases: opened under an indicator with its budget, contracted, delivered, accepted by two, registered as a vehicle."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.acquisitions import queries, rules, service
from fleetapp.acquisitions.models import Indicator, Procurement
from fleetapp.acquisitions.rules import IndicatorState, ProcurementState
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles import rules as vehicle_rules
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Acquired, Body, Category, Energy, ManagementMode, VehicleState


def open_purchase(
    session: Session,
    *,
    indicator_id: int,
    model: str,
    domestic: bool,
    displacement_ml: int | None,
    actor: Actor,
    now: datetime,
) -> Procurement:
    """Open the purchase of a model under an approved indicator with its budget.

    :raises RuleBroken: ``acquisitions.budget_first``, ``foreign``, ``over_displacement``, ``expired``.
    :raises Conflict: at the end, ``acquisitions.purchase_there``.
    """
    indicator = queries.get_indicator(session, indicator_id=indicator_id, actor=actor, lock=True)
    permits.require("indicators.procure", actor, org_path=indicator.org.path, state=indicator.state)
    if indicator.state != IndicatorState.APPROVED or indicator.budget is None:
        raise RuleBroken("acquisitions.budget_first", number=indicator.number)
    if clock.local_date(now) >= indicator.expires_on:
        raise RuleBroken("acquisitions.expired", number=indicator.number, on=indicator.expires_on.isoformat())
    if not domestic:
        raise RuleBroken("acquisitions.foreign")
    _check_displacement(indicator, displacement_ml)
    made = Procurement(
        org_id=indicator.org_id, indicator_id=indicator.id, budget_line_id=indicator.budget.id, state=ProcurementState.OPEN,
        model=model, domestic=domestic, displacement_ml=displacement_ml, stage_since=now, opened_at=now,
    )  # fmt: skip
    session.add(made)
    session.flush()
    service.record_stage(session, indicator, "purchase_opened", actor=actor, now=now, note=model)
    return made


def _check_displacement(indicator: Indicator, displacement_ml: int | None) -> None:
    limit = indicator.max_displacement_ml
    if limit is not None and (displacement_ml is None or rules.nominal_ml(displacement_ml) > rules.nominal_ml(limit)):
        raise RuleBroken(
            "acquisitions.over_displacement", ml=displacement_ml or "–", cap=limit, source=indicator.number
        )


def _take(session: Session, procurement_id: int, to: ProcurementState, actor: Actor) -> Procurement:
    purchase = queries.get_procurement(session, procurement_id=procurement_id, actor=actor)
    indicator = queries.get_indicator(session, indicator_id=purchase.indicator_id, actor=actor, lock=True)
    permits.require("indicators.procure", actor, org_path=indicator.org.path, state=indicator.state)
    rules.check_stage(purchase.state, to)
    purchase.indicator = indicator
    return purchase


def _reach(
    session: Session, purchase: Procurement, to: ProcurementState, *, actor: Actor, now: datetime, note: str | None
) -> None:
    """Enter a stage once everything of it is there: the database checks both together."""
    purchase.state, purchase.stage_since = to, now
    what = "purchase_cancelled" if to is ProcurementState.CANCELLED else to.value.lower()
    service.record_stage(session, purchase.indicator, what, actor=actor, now=now, note=note)


def contract(
    session: Session, *, procurement_id: int, contract_no: str, contract_on: date, price: Decimal, supplier: str, actor: Actor,
    now: datetime,
) -> Procurement:  # fmt: skip
    """Sign: the price, without purchase tax, is within indicator, budget and the cap in force on the contract's day.

    :raises RuleBroken: ``acquisitions.over_price``, ``over_indicator``, ``expired``, ``contract_later``.
    :raises Conflict: at the end, ``acquisitions.contract_taken``.
    """
    purchase = _take(session, procurement_id, ProcurementState.CONTRACTED, actor)
    indicator = purchase.indicator
    if contract_on > clock.local_date(now):
        raise RuleBroken("acquisitions.contract_later")
    if contract_on >= indicator.expires_on:
        raise RuleBroken("acquisitions.expired", number=indicator.number, on=indicator.expires_on.isoformat())
    figures = queries.figures(session, on=contract_on, org_path=indicator.org.path)
    cap = rules.cap_of(
        figures, category=Category(indicator.category), body=Body(indicator.body), energy=Energy(indicator.energy),
        step=rules.Step(indicator.step),
    )  # fmt: skip
    rules.check_cap(cap, price=price, displacement_ml=purchase.displacement_ml)
    most = min(indicator.max_price, indicator.budget.amount if indicator.budget else indicator.max_price)
    if price > most:
        raise RuleBroken("acquisitions.over_indicator", price=f"{price:,.2f}", most=f"{most:,.2f}")
    purchase.contract_no, purchase.contract_on, purchase.price, purchase.supplier = (
        contract_no,
        contract_on,
        price,
        supplier,
    )
    _reach(session, purchase, ProcurementState.CONTRACTED, actor=actor, now=now, note=f"{contract_no} · {price:,.2f}")
    return purchase


def deliver(
    session: Session, *, procurement_id: int, vin: str, engine_no: str | None, actor: Actor, now: datetime
) -> Procurement:
    """Note the vehicle that came, by its identification number.

    :raises RuleBroken: the number is no sound one (``vehicles.vin_form``, ``vin_check``).
    """
    vehicle_rules.check_vin(vin.upper())
    purchase = _take(session, procurement_id, ProcurementState.DELIVERED, actor)
    purchase.vin, purchase.engine_no = vin.upper(), engine_no
    _reach(session, purchase, ProcurementState.DELIVERED, actor=actor, now=now, note=vin.upper())
    return purchase


def accept(
    session: Session,
    *,
    procurement_id: int,
    vin: str,
    second_acceptor_id: int,
    no_extras: bool,
    actor: Actor,
    now: datetime,
) -> Procurement:
    """Accept with a second person: the number read from the car is the one delivered, and nothing luxurious was added.

    :raises RuleBroken: ``acquisitions.vin_differs``, ``one_acceptor``, ``extras``.
    """
    purchase = _take(session, procurement_id, ProcurementState.ACCEPTED, actor)
    if vin.upper() != purchase.vin:
        raise RuleBroken("acquisitions.vin_differs", vin=purchase.vin)
    if second_acceptor_id == actor.user_id:
        raise RuleBroken("acquisitions.one_acceptor")
    if not no_extras:
        raise RuleBroken("acquisitions.extras")
    purchase.acceptor_id, purchase.second_acceptor_id = actor.user_id, second_acceptor_id
    _reach(session, purchase, ProcurementState.ACCEPTED, actor=actor, now=now, note=None)
    return purchase


def register(
    session: Session, *, procurement_id: int, plate: str, registered_on: date, owner_name: str, seats: int,
    range_km: int | None, actor: Actor, now: datetime, parking_id: int | None = None, terminal_phone: str | None = None,
) -> Vehicle:  # fmt: skip
    """Enter the accepted vehicle into the registry, owned by the holding unit itself; the indicator is used up.

    It is PREPARING until its papers are complete (``vehicles.service.put_in_service``).

    :raises RuleBroken: ``acquisitions.owner`` when the certificate names somebody else, or the vehicle's own rules.
    """
    purchase = _take(session, procurement_id, ProcurementState.REGISTERED, actor)
    indicator = purchase.indicator
    if owner_name.strip() not in {indicator.org.name_zh, indicator.org.name_en}:
        raise RuleBroken("acquisitions.owner", unit=indicator.org.name_zh)
    vehicle = vehicles.register(
        session, org_id=indicator.org_id, plate=plate, vin=purchase.vin or "", category=Category(indicator.category),
        body=Body(indicator.body), energy=Energy(indicator.energy), seats=seats, model=purchase.model, registered_on=registered_on,
        range_km=range_km, parking_id=parking_id, terminal_phone=terminal_phone, actor=actor, now=now,
        state=VehicleState.PREPARING,
    )  # fmt: skip
    vehicle.engine_no, vehicle.displacement_ml = purchase.engine_no, purchase.displacement_ml
    vehicle.price_ex_tax, vehicle.acquired_on = purchase.price, purchase.contract_on
    if indicator.kind == rules.IndicatorKind.RENTAL:  # takes no place of the quota
        vehicle.management_mode, vehicle.acquired_by = ManagementMode.RENTED, Acquired.RENTAL
    purchase.vehicle_id, purchase.seats = vehicle.id, seats
    _reach(session, purchase, ProcurementState.REGISTERED, actor=actor, now=now, note=vehicle.plate)
    service.use(session, indicator, vehicle_id=vehicle.id, actor=actor, now=now)
    return vehicle


def cancel(session: Session, *, procurement_id: int, note: str, actor: Actor, now: datetime) -> Procurement:
    """Give a purchase up before delivery; the indicator stays approved.

    :raises RuleBroken: ``acquisitions.wrong_step``, ``note_needed``.
    """
    rules.check_note(rules.IndicatorAction.CANCEL, note)
    purchase = _take(session, procurement_id, ProcurementState.CANCELLED, actor)
    _reach(session, purchase, ProcurementState.CANCELLED, actor=actor, now=now, note=note)
    return purchase
