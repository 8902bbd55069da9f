"""Assignments and optimizer runs."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, Sequence, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.drivers.models import Driver
from fleetapp.kit.columns import (
    Id,
    Json,
    Moment,
    OptionalMoment,
    OptionalStr,
    OptionalUserId,
    OrgId,
    Str,
    UserId,
    one_of,
)
from fleetapp.kit.db import Base
from fleetapp.orders.models import DispatchSlip, OrderStop, TravelOrder
from fleetapp.vehicles.models import Vehicle


class AssignmentState(StrEnum):
    """A released assignment keeps its row as history and no longer blocks the vehicle."""

    ACTIVE = "ACTIVE"
    RELEASED = "RELEASED"


IS_ACTIVE = text("state = 'ACTIVE'")
IS_HELD = text("released_at IS NULL")
JOURNEYS = Sequence("journey_seq", metadata=Base.metadata)
"""Numbers of journeys: every assignment has one of its own, those that share a vehicle (拼车) have the same."""


class Assignment(Base):
    """Vehicle and driver of an order; ``during`` is the order's window with its buffers and blocks both.

    ``org_id`` is the holder of the vehicle (and so of the driver), ``order_org_id`` the applicant's unit. ``pool_key``
    names the journey: bookings of two journeys exclude each other, those of one share vehicle and driver. ``consent``
    is how an applicant who had not ticked pooling agreed to it. What is locked is not moved on the board.
    """

    __tablename__ = "assignment"
    __table_args__ = (
        one_of("state", AssignmentState),
        ExcludeConstraint(("vehicle_id", "="), ("during", "&&"), ("pool_key", "<>"), where=IS_ACTIVE,
                          name="ex_assignment_vehicle", using="gist"),
        ExcludeConstraint(("driver_id", "="), ("during", "&&"), ("pool_key", "<>"), where=IS_ACTIVE,
                          name="ex_assignment_driver", using="gist"),
        ExcludeConstraint(("pool_key", "="), ("vehicle_id", "<>"), where=IS_ACTIVE, name="ex_assignment_pool_vehicle",
                          using="gist"),
        ExcludeConstraint(("pool_key", "="), ("driver_id", "<>"), where=IS_ACTIVE, name="ex_assignment_pool_driver",
                          using="gist"),
        Index("uq_assignment_order_active", "order_id", unique=True, postgresql_where=IS_ACTIVE),
        CheckConstraint("state = 'ACTIVE' OR released_at IS NOT NULL", name="released"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    order_org_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"), index=True)
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    driver_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("driver.id"), index=True)
    slip_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("dispatch_slip.id"), index=True)
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    pool_key: Mapped[int] = mapped_column(BigInteger, server_default=JOURNEYS.next_value(), index=True)
    consent: Mapped[OptionalStr]
    state: Mapped[Str]
    assigned_at: Mapped[Moment]
    assigned_by: Mapped[OptionalUserId]
    run_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("plan_run.id"))
    released_at: Mapped[OptionalMoment]
    release_reason: Mapped[OptionalStr]
    locked_at: Mapped[OptionalMoment]

    order: Mapped[TravelOrder] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    driver: Mapped[Driver] = relationship()
    slip: Mapped[DispatchSlip] = relationship()
    assigner: Mapped[UserAccount | None] = relationship()


class JourneyStop(Base):
    """One order's stop in the turn of a shared journey; ``planned_at`` is when the car is estimated to be there."""

    __tablename__ = "journey_stop"
    __table_args__ = (
        UniqueConstraint("assignment_id", "order_stop_id"),
        CheckConstraint("turn >= 0", name="turn"),
    )

    id: Mapped[Id]
    assignment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("assignment.id"))
    order_stop_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("order_stop.id"))
    turn: Mapped[int] = mapped_column(Integer)
    planned_at: Mapped[Moment]

    stop: Mapped[OrderStop] = relationship()


class HoldCause(StrEnum):
    """What a vehicle or driver is kept for."""

    OCCASION = "occasion"
    EMERGENCY = "emergency"


class Hold(Base):
    """A vehicle or a driver kept over a span for a cause; orders that are not of the cause cannot have it.

    ``cause_id`` is the event or the activation. An order belongs to an event by its ``occasion_id``, to an emergency by
    its kind (trigger ``assignment_hold``). A loan is its own hold: see ``sharing``.
    """

    __tablename__ = "hold"
    __table_args__ = (
        one_of("cause", HoldCause),
        CheckConstraint("num_nonnulls(vehicle_id, driver_id) = 1", name="one"),
        ExcludeConstraint(("vehicle_id", "="), ("during", "&&"), where=IS_HELD, name="ex_hold_vehicle", using="gist"),
        ExcludeConstraint(("driver_id", "="), ("during", "&&"), where=IS_HELD, name="ex_hold_driver", using="gist"),
        Index("ix_hold_cause", "cause", "cause_id"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    driver_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("driver.id"))
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    cause: Mapped[Str]
    cause_id: Mapped[int] = mapped_column(BigInteger)
    held_by: Mapped[OptionalUserId]
    held_at: Mapped[Moment]
    released_at: Mapped[OptionalMoment]

    vehicle: Mapped[Vehicle | None] = relationship()
    driver: Mapped[Driver | None] = relationship()


class RunState(StrEnum):
    """A run waits for the scheduler, is at work, proposes; confirming it makes the assignments."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class PlanRun(Base):
    """One optimizer run over ``[start_at, end_at)``: the instance it solved, the plan it gave with its key figures.

    ``instance`` is a file of the optimizer; ``plan`` holds ``plan`` (another one), ``figures`` of the whole and
    ``orders``, the extra cost and distance of each order served. Both are empty for a run that failed.
    A run that plans again from what stands has ``asked`` (time, what-if, which assignment each order had), the plan that
    stood in ``plan.standing``, and ``progress`` while it is at work.
    """

    __tablename__ = "plan_run"
    __table_args__ = (one_of("state", RunState),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    requested_by: Mapped[UserId]
    requested_at: Mapped[Moment]
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    state: Mapped[Str]
    instance: Mapped[Json]
    plan: Mapped[Json]
    failure: Mapped[OptionalStr]
    confirmed_at: Mapped[OptionalMoment]
    asked: Mapped[Json] = mapped_column(default=dict, server_default=text("'{}'"))
    progress: Mapped[Json] = mapped_column(default=dict, server_default=text("'{}'"))
    cancel_asked_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    requester: Mapped[UserAccount] = relationship()
