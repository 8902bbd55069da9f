"""Plans by level, activations, the vehicles called up, what they were taken from, and what happened."""

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
from fleetapp.drivers.models import Driver
from fleetapp.emergency.rules import HOURS, ActivationState, Way
from fleetapp.kit.columns import (
    Id,
    JsonList,
    Moment,
    OptionalMoment,
    OptionalUserId,
    OrgId,
    Str,
    UserId,
    one_of,
)
from fleetapp.kit.db import Base
from fleetapp.orders.models import TravelOrder
from fleetapp.reserves.models import BODIES
from fleetapp.reserves.rules import Level
from fleetapp.vehicles.models import Vehicle


class EmergencyPlan(Base):
    """A plan of a district or of the city; a retired one is no longer activated."""

    __tablename__ = "emergency_plan"

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    title: Mapped[Str]
    made_by: Mapped[OptionalUserId]
    made_at: Mapped[Moment]
    retired_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    levels: Mapped[list["EmergencyLevel"]] = relationship(order_by="EmergencyLevel.id", cascade="all")
    officers: Mapped[list["EmergencyOfficer"]] = relationship(order_by="EmergencyOfficer.id", cascade="all")


class EmergencyLevel(Base):
    """What a plan does at a level: what people are told to do, for how many hours, and whether vehicles go or stand by."""

    __tablename__ = "emergency_level"
    __table_args__ = (
        one_of("level", Level),
        CheckConstraint("level <> 'usual'", name="declared"),
        CheckConstraint(f"hours BETWEEN {HOURS[0]} AND {HOURS[1]}", name="hours"),
        UniqueConstraint("plan_id", "level"),
    )

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("emergency_plan.id"))
    level: Mapped[Str]
    instructions: Mapped[Str]
    hours: Mapped[int] = mapped_column(Integer)
    goes: Mapped[bool]

    calls: Mapped[list["EmergencyCallUp"]] = relationship(
        order_by="EmergencyCallUp.position", cascade="all, delete-orphan"
    )


class EmergencyCallUp(Base):
    """So many vehicles of a body from a pool, in the order of ``position``."""

    __tablename__ = "emergency_call_up"
    __table_args__ = (
        CheckConstraint(f"body IN ({BODIES})", name="body"),
        CheckConstraint("vehicles BETWEEN 1 AND 200", name="vehicles"),
        UniqueConstraint("level_id", "position"),
    )

    id: Mapped[Id]
    level_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("emergency_level.id"))
    position: Mapped[int] = mapped_column(Integer)
    pool_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    body: Mapped[Str]
    vehicles: Mapped[int] = mapped_column(Integer)

    pool: Mapped[Organisation] = relationship()


class EmergencyOfficer(Base):
    """Who is told when a plan is activated and may be named to lead on the spot."""

    __tablename__ = "emergency_officer"
    __table_args__ = (UniqueConstraint("plan_id", "user_id"),)

    id: Mapped[Id]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("emergency_plan.id"))
    user_id: Mapped[UserId]
    task: Mapped[Str]

    user: Mapped[UserAccount] = relationship()


class EmergencyActivation(Base):
    """One activation, or a drill; ``wanted`` lists ``{pool_id, body, vehicles}``.

    ``leader_id`` approved by word of mouth and signs afterwards (``signed_at``), ``officer_id`` leads on the spot and is
    the applicant of the orders, ``confirmed_by`` dispatched: three people.
    """

    __tablename__ = "emergency_activation"
    __table_args__ = (
        one_of("state", ActivationState),
        one_of("level", Level),
        CheckConstraint("level <> 'usual'", name="declared"),
        CheckConstraint(f"hours BETWEEN {HOURS[0]} AND {HOURS[1]}", name="hours"),
        CheckConstraint("lat BETWEEN 3.8 AND 53.6 AND lon BETWEEN 73.5 AND 135.1", name="place"),
        CheckConstraint("leader_id <> officer_id", name="two_people"),
        CheckConstraint("confirmed_by NOT IN (leader_id, officer_id)", name="three_people"),
        CheckConstraint("state IN ('DRAFT', 'CANCELLED') OR confirmed_at IS NOT NULL", name="confirmed"),
        CheckConstraint("(state IN ('STOOD_DOWN', 'CANCELLED')) = (ended_at IS NOT NULL)", name="ended"),
        Index("uq_emergency_activation_active", "org_id", unique=True, postgresql_where=text("state = 'ACTIVE' AND NOT drill")),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    plan_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("emergency_plan.id"))
    number: Mapped[Str] = mapped_column(unique=True)
    drill: Mapped[bool]
    level: Mapped[Str]
    reason: Mapped[Str]
    place: Mapped[Str]
    lat: Mapped[float] = mapped_column(Float)
    lon: Mapped[float] = mapped_column(Float)
    hours: Mapped[int] = mapped_column(Integer)
    goes: Mapped[bool]
    wanted: Mapped[JsonList]
    state: Mapped[Str]
    leader_id: Mapped[UserId]
    officer_id: Mapped[UserId]
    made_by: Mapped[OptionalUserId]
    made_at: Mapped[Moment]
    confirmed_by: Mapped[OptionalUserId]
    confirmed_at: Mapped[OptionalMoment]
    signed_at: Mapped[OptionalMoment]
    ended_at: Mapped[OptionalMoment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    plan: Mapped[EmergencyPlan] = relationship()
    leader: Mapped[UserAccount] = relationship(foreign_keys="EmergencyActivation.leader_id")
    officer: Mapped[UserAccount] = relationship(foreign_keys="EmergencyActivation.officer_id")
    confirmer: Mapped[UserAccount | None] = relationship(foreign_keys="EmergencyActivation.confirmed_by")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class EmergencyCar(Base):
    """A vehicle called up with its driver: standing by (kept by a hold) until ``sent_at``, then on ``order_id``.

    ``eta_s`` and ``distance_m`` are what was reckoned when it was called, from its ``way`` as of ``seen_at``.
    """

    __tablename__ = "emergency_car"
    __table_args__ = (
        one_of("way", Way),
        CheckConstraint("(order_id IS NULL) = (sent_at IS NULL)", name="sent"),
        CheckConstraint("eta_s >= 0 AND distance_m >= 0", name="eta"),
        Index("uq_emergency_car_called", "activation_id", "vehicle_id", unique=True, postgresql_where=text("released_at IS NULL")),
    )  # fmt: skip

    id: Mapped[Id]
    activation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("emergency_activation.id"), index=True)
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    driver_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("driver.id"))
    order_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("travel_order.id"), unique=True)
    called_at: Mapped[Moment]
    sent_at: Mapped[OptionalMoment]
    released_at: Mapped[OptionalMoment]
    eta_s: Mapped[int] = mapped_column(Integer)
    distance_m: Mapped[int] = mapped_column(Integer)
    way: Mapped[Str]
    seen_at: Mapped[OptionalMoment]

    vehicle: Mapped[Vehicle] = relationship()
    driver: Mapped[Driver] = relationship()
    order: Mapped[TravelOrder | None] = relationship()


class EmergencyEffect(Base):
    """An order that gave its vehicle to an emergency and waits for another one, append-only; never of a drill."""

    __tablename__ = "emergency_effect"
    __table_args__ = (UniqueConstraint("activation_id", "order_id"),)

    id: Mapped[Id]
    activation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("emergency_activation.id"))
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"), index=True)
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    slip: Mapped[Str]
    at: Mapped[Moment]

    order: Mapped[TravelOrder] = relationship()
    vehicle: Mapped[Vehicle] = relationship()


class EmergencyEvent(StateStep, Base):
    """One step of an activation, append-only."""

    __tablename__ = "emergency_event"

    activation_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("emergency_activation.id"), index=True)
    level: Mapped[Str]
