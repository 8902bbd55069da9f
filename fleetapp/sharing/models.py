"""Offers, requests, loans, what happened to them, and journeys served without an official vehicle."""

from datetime import date, datetime, time
from decimal import Decimal

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, ForeignKey, Index, Integer, Numeric, Time, text
from sqlalchemy.dialects.postgresql import ARRAY, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
from fleetapp.drivers.models import Driver
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.orders.models import TravelOrder
from fleetapp.sharing.rules import FallbackKind, FallbackReason, LoanState, RequestState
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body


class ShareOffer(Base):
    """Vehicles a holder lends without being asked each time: one (``vehicle_id``) or all of a ``body``.

    ``to_org_id`` None is everybody, else the organisation and all below. Over the days ``[valid_from, valid_to)`` on
    ``weekdays`` (ISO, 1 Monday) within the office hours ``[from_time, to_time)``, ``to_time`` None being midnight; asked for
    at least ``notice_h`` hours ahead. Never changed: it is withdrawn, and another one made.
    """

    __tablename__ = "share_offer"
    __table_args__ = (
        one_of("body", Body),
        CheckConstraint("cardinality(weekdays) > 0 AND weekdays <@ ARRAY[1,2,3,4,5,6,7]", name="weekdays"),
        CheckConstraint("to_time > from_time", name="hours"),
        CheckConstraint("valid_to > valid_from", name="days"),
        CheckConstraint("notice_h BETWEEN 0 AND 720", name="notice_h"),
        CheckConstraint("priority BETWEEN 1 AND 5", name="priority"),
        CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_by IS NULL)", name="withdrawn"),
        Index("uq_share_offer_request_key", "created_by", "request_key", unique=True),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    body: Mapped[Str]
    to_org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    weekdays: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    from_time: Mapped[time] = mapped_column(Time)
    to_time: Mapped[time | None] = mapped_column(Time)
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    notice_h: Mapped[int] = mapped_column(Integer)
    priority: Mapped[int] = mapped_column(Integer)
    note: Mapped[OptionalStr]
    created_by: Mapped[UserId]
    created_at: Mapped[Moment]
    withdrawn_by: Mapped[OptionalUserId]
    withdrawn_at: Mapped[OptionalMoment]
    request_key: Mapped[OptionalStr]

    org: Mapped[Organisation] = relationship(foreign_keys="ShareOffer.org_id")
    to_org: Mapped[Organisation | None] = relationship(foreign_keys="ShareOffer.to_org_id")
    vehicle: Mapped[Vehicle | None] = relationship()


class ShareRequest(Base):
    """A unit in need (``org_id``, who would borrow) asks another (``to_org_id``) for a vehicle over ``[start_at, end_at)``.

    ``seats`` are passengers' seats. ``wanted_id`` is the vehicle it would like best. ``priority`` 1 is answered first.
    """

    __tablename__ = "share_request"
    __table_args__ = (
        one_of("state", RequestState),
        one_of("body", Body),
        CheckConstraint("start_at < end_at", name="span"),
        CheckConstraint("seats BETWEEN 0 AND 60", name="seats"),
        CheckConstraint("org_id <> to_org_id", name="another"),
        CheckConstraint("priority BETWEEN 1 AND 5", name="priority"),
        CheckConstraint("length(trim(reason)) >= 4", name="reason"),
        CheckConstraint("state <> 'DECLINED' OR length(trim(answer_note)) >= 4", name="declined"),
        CheckConstraint("state NOT IN ('ACCEPTED', 'DECLINED') OR answered_by IS DISTINCT FROM created_by", name="no_self_answer"),
        Index("uq_share_request_request_key", "created_by", "request_key", unique=True),
        Index("uq_share_request_order_open", "order_id", "to_org_id", unique=True, postgresql_where=text("state = 'PENDING'")),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    to_org_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("organisation.id"), index=True)
    number: Mapped[Str] = mapped_column(unique=True)
    order_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("travel_order.id"), index=True)
    wanted_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    body: Mapped[Str]
    seats: Mapped[int] = mapped_column(Integer)
    with_driver: Mapped[bool] = mapped_column(Boolean)
    priority: Mapped[int] = mapped_column(Integer)
    reason: Mapped[Str]
    state: Mapped[Str]
    reply_by: Mapped[Moment]
    created_by: Mapped[UserId]
    created_at: Mapped[Moment]
    answered_by: Mapped[OptionalUserId]
    answered_at: Mapped[OptionalMoment]
    answer_note: Mapped[OptionalStr]
    request_key: Mapped[OptionalStr]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship(foreign_keys="ShareRequest.org_id")
    to_org: Mapped[Organisation] = relationship(foreign_keys="ShareRequest.to_org_id")
    order: Mapped[TravelOrder | None] = relationship()
    wanted: Mapped[Vehicle | None] = relationship()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class ShareLoan(Base):
    """A vehicle of ``org_id`` lent over ``during`` to ``to_org_id`` and all below, with the holder's driver or without.

    The quota stays with the holder; what the vehicle does is booked to the unit whose order it serves.
    """

    __tablename__ = "share_loan"
    __table_args__ = (
        one_of("state", LoanState),
        CheckConstraint("org_id <> to_org_id", name="another"),
        CheckConstraint("NOT isempty(during) AND NOT lower_inf(during) AND NOT upper_inf(during)", name="during"),
        CheckConstraint("state IN ('AGREED', 'ENDED') OR length(trim(end_reason)) >= 2", name="end_reason"),
        ExcludeConstraint(
            ("vehicle_id", "="), ("during", "&&"), where=text("state <> 'CALLED_OFF'"), name="ex_share_loan_vehicle", using="gist"
        ),
        ExcludeConstraint(
            ("driver_id", "="), ("during", "&&"), where=text("state <> 'CALLED_OFF' AND driver_id IS NOT NULL"),
            name="ex_share_loan_driver", using="gist",
        ),
        Index("uq_share_loan_request_id", "request_id", unique=True),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    to_org_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("organisation.id"), index=True)
    number: Mapped[Str] = mapped_column(unique=True)
    request_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("share_request.id"))
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    driver_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("driver.id"))
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    state: Mapped[Str]
    agreed_by: Mapped[UserId]
    agreed_at: Mapped[Moment]
    end_reason: Mapped[OptionalStr]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship(foreign_keys="ShareLoan.org_id")
    to_org: Mapped[Organisation] = relationship(foreign_keys="ShareLoan.to_org_id")
    request: Mapped[ShareRequest | None] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    driver: Mapped[Driver | None] = relationship()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class ShareEvent(StateStep, Base):
    """One step of a request or a loan, append-only."""

    __tablename__ = "share_event"
    __table_args__ = (CheckConstraint("(request_id IS NULL) <> (loan_id IS NULL)", name="subject"),)

    request_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("share_request.id"), index=True)
    loan_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("share_loan.id"), index=True)


class Fallback(Base):
    """How an order is served without an official vehicle; ``price`` and the reference ``norm`` in CNY.

    Never changed; the number of the bill is added once when the bill is there.
    """

    __tablename__ = "fallback"
    __table_args__ = (
        one_of("kind", FallbackKind),
        one_of("reason", FallbackReason),
        CheckConstraint("price >= 0 AND norm >= 0", name="price"),
        CheckConstraint("kind = 'public_transport' OR price <= norm OR length(trim(note)) >= 4", name="above_norm"),
        CheckConstraint("kind = 'public_transport' OR length(trim(provider)) >= 2", name="provider"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"), unique=True)
    kind: Mapped[Str]
    reason: Mapped[Str]
    provider: Mapped[OptionalStr]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    norm: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    note: Mapped[OptionalStr]
    decided_by: Mapped[UserId]
    decided_at: Mapped[Moment]
    bill_no: Mapped[OptionalStr]

    order: Mapped[TravelOrder] = relationship()
    decider: Mapped[UserAccount] = relationship()
