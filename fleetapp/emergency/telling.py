"""Whom an emergency tells what, in the transaction of the step; all of it is urgent unless it is a drill."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.emergency.models import EmergencyActivation, EmergencyCar
from fleetapp.kit.actor import Role
from fleetapp.notices import service as notices
from fleetapp.orders.models import TravelOrder


def activated(
    session: Session, *, activation: EmergencyActivation, cars: Collection[EmergencyCar], now: datetime
) -> None:
    """Tell the drivers, the officers of the plan, and the leader, who is asked to sign."""
    called(session, activation=activation, cars=cars, now=now)
    params = {"number": activation.number, "place": activation.place, "level": activation.level, "n": str(len(cars))}
    link, key = f"/emergency/{activation.id}", f"emergency/{activation.id}"
    code = "emergency.notice.drill" if activation.drill else "emergency.notice.activated"
    officers = {officer.user_id for officer in activation.plan.officers} | {activation.officer_id}
    notices.notify(
        session,
        to=officers,
        code=code,
        params=params,
        link=link,
        key=f"{key}/activated",
        now=now,
        urgent=not activation.drill,
    )
    notices.notify(session, to=[activation.leader_id], code="emergency.notice.sign", params=params, link=link, key=f"{key}/sign", now=now,
                   urgent=not activation.drill)  # fmt: skip


def called(session: Session, *, activation: EmergencyActivation, cars: Collection[EmergencyCar], now: datetime) -> None:
    """Tell drivers to go, or to stand by."""
    for car in cars:
        code = "emergency.notice.go" if car.sent_at is not None else "emergency.notice.stand_by"
        params = {"number": activation.number, "place": activation.place, "plate": car.vehicle.plate}
        step = "go" if car.sent_at is not None else "stand_by"
        notices.notify(session, to=[car.driver.user_id], code=code, params=params, link="/duty", now=now, urgent=not activation.drill,
                       key=f"emergency/{activation.id}/{car.vehicle.id}/{step}/{now.isoformat()}")  # fmt: skip


def bumped(session: Session, *, activation: EmergencyActivation, order: TravelOrder, plate: str, now: datetime) -> None:
    """Tell the applicant, who asked for them, and the dispatchers of the unit that an order waits for a vehicle again."""
    dispatchers = accounts.holders(session, role=Role.DISPATCHER, org_path=order.org.path)
    notices.notify(session, to={order.applicant_id, order.filed_by_id, *dispatchers}, code="emergency.notice.taken",
                   params={"order": order.number, "plate": plate, "number": activation.number}, link=f"/orders/{order.id}",
                   key=f"emergency/{activation.id}/order/{order.id}", now=now, urgent=True)  # fmt: skip


def level_changed(session: Session, *, activation: EmergencyActivation, now: datetime) -> None:
    """Tell the officers and the leader of the new level."""
    people = {officer.user_id for officer in activation.plan.officers} | {activation.officer_id, activation.leader_id}
    notices.notify(session, to=people, code="emergency.notice.level", params={"number": activation.number, "level": activation.level},
                   link=f"/emergency/{activation.id}", key=f"emergency/{activation.id}/level/{now.isoformat()}", now=now,
                   urgent=not activation.drill)  # fmt: skip


def stood_down(
    session: Session, *, activation: EmergencyActivation, cars: Collection[EmergencyCar], now: datetime
) -> None:
    """Tell the drivers, the officers and the leader that it is over."""
    people = {officer.user_id for officer in activation.plan.officers} | {activation.officer_id, activation.leader_id}
    notices.notify(session, to=people | {car.driver.user_id for car in cars}, code="emergency.notice.stood_down",
                   params={"number": activation.number}, link=f"/emergency/{activation.id}", key=f"emergency/{activation.id}/over", now=now,
                   urgent=not activation.drill)  # fmt: skip
