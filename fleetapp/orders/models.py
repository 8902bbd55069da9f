"""Orders, their stops, what happened to them, and their slips."""

from typing import Any

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
from fleetapp.approvals.models import ApprovalCase
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
from fleetapp.orders.rules import Area, ChangeState, OccasionState, OrderKind, OrderState, Purpose
from fleetapp.vehicles.models import Vehicle

__all__ = [
    "DispatchSlip",
    "NumberSeries",
    "Occasion",
    "OrderChange",
    "OrderEvent",
    "OrderKind",
    "OrderState",
    "OrderStop",
    "Purpose",
    "TravelOrder",
]


UNFINISHED = (
    "travel_order.state IN ('SUBMITTED', 'APPROVING', 'SENT_BACK', 'APPROVED', 'DISPATCHED', 'DRIVER_ACCEPTED', 'CHECKED_OUT',"
    " 'EN_ROUTE', 'OUTSOURCED', 'RETURNED', 'MILEAGE_CONFIRMED', 'SETTLED')"
)
"""The condition of the index over what still waits for somebody; few of many orders at any time."""


def _applicant(context: Any) -> int:
    """Return who filed an order of which nothing else is said."""
    return int(context.get_current_parameters()["applicant_id"])


class TravelOrder(Base):
    """One application for a vehicle over ``[start_at, end_at)``.

    ``org_id`` is the applicant's unit, ``serving_org_id`` the holder of the assigned vehicle. ``body`` is the class
    wanted. ``passengers`` are names as the applicant typed them. ``request_key`` is the sender's own name for the
    request: sent again it finds this order. The version guards against lost updates. ``filed_by_id`` typed it, for
    ``applicant_id``. ``route_m`` is the planned road there and back, ``area`` how far it goes; ``series`` joins the
    orders of a weekly journey, ``occasion_id`` those of an event. A service order may want one vehicle.
    """

    __tablename__ = "travel_order"
    __table_args__ = (
        one_of("state", OrderState),
        one_of("kind", OrderKind),
        one_of("purpose", Purpose),
        CheckConstraint("start_at < end_at", name="window"),
        CheckConstraint("passenger_count BETWEEN 0 AND 60", name="passenger_count"),
        CheckConstraint(
            "state NOT IN ('REJECTED', 'CANCELLED', 'NO_SHOW') OR coalesce(length(closing_reason), 0) > 0",
            name="closing_reason",
        ),
        one_of("area", Area),
        CheckConstraint("route_m >= 0", name="route_m"),
        CheckConstraint(
            "approver_id IS NULL OR (approver_id <> applicant_id AND approver_id <> filed_by_id)",
            name="no_self_approval",
        ),
        CheckConstraint("wanted_vehicle_id IS NULL OR kind = 'service'", name="wanted_vehicle"),
        UniqueConstraint("applicant_id", "request_key"),
        Index("ix_travel_order_start_at", "start_at", "id"),
        Index("ix_travel_order_state", "state", "start_at"),
        Index(
            "ix_travel_order_unfinished",
            "start_at",
            "id",
            postgresql_where=text(UNFINISHED.replace("travel_order.", "")),
        ),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    serving_org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"), index=True)
    number: Mapped[Str] = mapped_column(unique=True)
    kind: Mapped[Str]
    purpose: Mapped[Str]
    reason: Mapped[Str]
    applicant_id: Mapped[UserId] = mapped_column(index=True)
    approver_id: Mapped[OptionalUserId]
    passengers: Mapped[Str]
    passenger_count: Mapped[int] = mapped_column(Integer)
    contact: Mapped[Str]
    body: Mapped[Str]
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    state: Mapped[Str]
    supplementary: Mapped[bool]
    closing_reason: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    approved_at: Mapped[OptionalMoment]
    request_key: Mapped[OptionalStr]
    filed_by_id: Mapped[UserId] = mapped_column(default=_applicant, index=True)
    pooling_ok: Mapped[bool] = mapped_column(default=False)
    round_trip: Mapped[bool] = mapped_column(default=True)
    area: Mapped[OptionalStr]
    route_m: Mapped[int | None] = mapped_column(Integer)
    luggage: Mapped[Str] = mapped_column(default="")
    series: Mapped[OptionalStr] = mapped_column(index=True)
    occasion_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("occasion.id"), index=True)
    approval_case_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("approval_case.id"), index=True)
    wanted_vehicle_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship(foreign_keys="TravelOrder.org_id")
    applicant: Mapped[UserAccount] = relationship(foreign_keys="TravelOrder.applicant_id")
    approver: Mapped[UserAccount | None] = relationship(foreign_keys="TravelOrder.approver_id")
    filed_by: Mapped[UserAccount] = relationship(foreign_keys="TravelOrder.filed_by_id")
    occasion: Mapped["Occasion | None"] = relationship()
    case: Mapped[ApprovalCase | None] = relationship()
    wanted_vehicle: Mapped[Vehicle | None] = relationship()
    stops: Mapped[list["OrderStop"]] = relationship(
        primaryjoin="and_(OrderStop.order_id == TravelOrder.id, OrderStop.ended_at.is_(None))", order_by="OrderStop.position",
        cascade="save-update, merge",
    )  # fmt: skip
    changes: Mapped[list["OrderChange"]] = relationship(order_by="OrderChange.id", back_populates="order")
    events: Mapped[list["OrderEvent"]] = relationship(order_by="OrderEvent.id")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class Occasion(Base):
    """An event (重大活动) over ``[start_at, end_at)``: one project with many orders."""

    __tablename__ = "occasion"
    __table_args__ = (one_of("state", OccasionState), CheckConstraint("start_at < end_at", name="window"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    number: Mapped[Str] = mapped_column(unique=True)
    name: Mapped[Str]
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    state: Mapped[Str]
    note: Mapped[Str]
    created_by: Mapped[UserId]
    created_at: Mapped[Moment]

    org: Mapped[Organisation] = relationship()


class OrderStop(Base):
    """Position 0 is the origin, the last one the farthest the applicant named; the car then returns.

    A stop that a later version of the journey does without has ``ended_at``.
    """

    __tablename__ = "order_stop"
    __table_args__ = (
        Index("uq_order_stop_position", "order_id", "position", unique=True, postgresql_where=text("ended_at IS NULL")),
        CheckConstraint("position BETWEEN 0 AND 9", name="position"),
    )

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"))
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[Str]
    point: Mapped[WKBElement] = mapped_column(Geometry("POINT", srid=4326))
    tolerance_m: Mapped[int] = mapped_column(Integer)
    ended_at: Mapped[OptionalMoment]
    lat: Mapped[float] = column_property(func.ST_Y(point))
    lon: Mapped[float] = column_property(func.ST_X(point))


class OrderChange(Base):
    """A change of an approved order (变更单): ``before`` and ``after`` are its content as the database writes it.

    Its levels have agreed at APPROVED; APPLIED it stands. ``redispatch``: the vehicle held does not fit any more.
    """

    __tablename__ = "order_change"
    __table_args__ = (
        one_of("state", ChangeState),
        CheckConstraint("length(trim(reason)) > 0", name="reason"),
        CheckConstraint("before <> after", name="differs"),
        CheckConstraint("(state = 'APPLIED') = (applied_at IS NOT NULL)", name="applied"),
        Index(
            "uq_order_change_open", "order_id", unique=True, postgresql_where=text("state IN ('REQUESTED', 'APPROVED')")
        ),
        Index("ix_order_change_order_id", "order_id"),
    )

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"))
    reason: Mapped[Str]
    before: Mapped[Json]
    after: Mapped[Json]
    state: Mapped[Str]
    redispatch: Mapped[bool]
    approval_case_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("approval_case.id"), index=True)
    requested_by: Mapped[UserId]
    created_at: Mapped[Moment]
    applied_at: Mapped[OptionalMoment]

    order: Mapped[TravelOrder] = relationship(back_populates="changes")
    requester: Mapped[UserAccount] = relationship()
    case: Mapped[ApprovalCase | None] = relationship()


class OrderEvent(StateStep, Base):
    """One change of an order's state, append-only."""

    __tablename__ = "order_event"

    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"), index=True)


class DispatchSlip(Base):
    """A slip number (unit code - year - running number), issued once; a cancelled one is void, never reused."""

    __tablename__ = "dispatch_slip"
    __table_args__ = (
        UniqueConstraint("org_id", "year", "seq"),
        CheckConstraint("(void_at IS NULL) = (void_reason IS NULL)", name="void"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    year: Mapped[int] = mapped_column(Integer)
    seq: Mapped[int] = mapped_column(Integer)
    number: Mapped[Str] = mapped_column(unique=True)
    issued_at: Mapped[Moment]
    issued_by: Mapped[OptionalUserId]
    void_at: Mapped[OptionalMoment]
    void_by: Mapped[OptionalUserId]
    void_reason: Mapped[OptionalStr]


class NumberSeries(Base):
    """The last number given of a series; its row lock puts takers in order, and the database lets it go up by one only.

    ``key`` is what stands before the running number, such as ``YC20261118`` or ``330106-EDU-2026``.
    """

    __tablename__ = "number_series"
    __table_args__ = (CheckConstraint("last > 0", name="last"),)

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    last: Mapped[int] = mapped_column(Integer)
