"""Confirmed distances, what was said about them, and ratings: rows are added, never changed."""

from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Integer, Numeric, SmallInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import UserAccount
from fleetapp.confirmations.rules import ITEMS, Source
from fleetapp.kit.columns import Id, Moment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.orders.models import TravelOrder

SCORES = "(" + ", ".join(ITEMS) + ")"


class MileageConfirmation(Base):
    """The distance of a journey that settlement counts, with the readings it stood beside, in metres.

    ``org_id`` is the applicant's unit. ``over_limit``: a reading differed by more than policy allows, ``reason`` says why.
    ``auto``: nobody confirmed in time, so there is no person. ``bill_cny`` is what a hired journey cost.
    """

    __tablename__ = "mileage_confirmation"
    __table_args__ = (
        one_of("source", Source),
        CheckConstraint("confirmed_m BETWEEN 0 AND 3000000", name="confirmed_m"),
        CheckConstraint("auto = (confirmed_by IS NULL)", name="auto"),
        CheckConstraint("(source = 'BILL') = (bill_cny IS NOT NULL) AND bill_cny >= 0", name="bill"),
        CheckConstraint("NOT over_limit OR auto OR coalesce(length(trim(reason)), 0) >= 2", name="explained"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"), unique=True)
    planned_m: Mapped[int | None] = mapped_column(Integer)
    gps_m: Mapped[int | None] = mapped_column(Integer)
    gps_source: Mapped[OptionalStr]
    gps_coverage: Mapped[float | None] = mapped_column(Float)
    odometer_m: Mapped[int | None] = mapped_column(Integer)
    confirmed_m: Mapped[int] = mapped_column(Integer)
    source: Mapped[Str]
    over_limit: Mapped[bool]
    reason: Mapped[OptionalStr]
    bill_cny: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    auto: Mapped[bool]
    confirmed_by: Mapped[OptionalUserId]
    at: Mapped[Moment]

    order: Mapped[TravelOrder] = relationship()
    person: Mapped[UserAccount | None] = relationship()


class MileageRemark(Base):
    """An objection (odd ``seq``) or the answer to it (even), which may propose another distance in metres."""

    __tablename__ = "mileage_remark"
    __table_args__ = (
        UniqueConstraint("order_id", "seq"),
        CheckConstraint("seq > 0", name="seq"),
        CheckConstraint("seq % 2 = 0 OR proposed_m IS NULL", name="proposal"),
        CheckConstraint("proposed_m BETWEEN 0 AND 3000000", name="proposed_m"),
        CheckConstraint("length(trim(text)) >= 2", name="text"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"))
    seq: Mapped[int] = mapped_column(SmallInteger)
    text: Mapped[Str]
    proposed_m: Mapped[int | None] = mapped_column(Integer)
    said_by: Mapped[UserId]
    at: Mapped[Moment]

    person: Mapped[UserAccount] = relationship()

    @property
    def is_objection(self) -> bool:
        """Whether it is an objection and no answer."""
        return self.seq % 2 == 1


class TripRating(Base):
    """Five scores from 1 to 5 for one journey, or none of them when the person would rather not say.

    ``org_id`` is the unit of the vehicle and driver. Who gave it is kept but not shown to the driver.
    """

    __tablename__ = "trip_rating"
    __table_args__ = (
        CheckConstraint(f"num_nonnulls{SCORES} IN (0, {len(ITEMS)})", name="all_or_none"),
        *(CheckConstraint(f"{item} BETWEEN 1 AND 5", name=item) for item in ITEMS),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"), unique=True)
    driver_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("driver.id"), index=True)
    punctual: Mapped[int | None] = mapped_column(SmallInteger)
    driving: Mapped[int | None] = mapped_column(SmallInteger)
    service: Mapped[int | None] = mapped_column(SmallInteger)
    cleanliness: Mapped[int | None] = mapped_column(SmallInteger)
    safety: Mapped[int | None] = mapped_column(SmallInteger)
    comment: Mapped[OptionalStr]
    rated_by: Mapped[UserId]
    at: Mapped[Moment]

    order: Mapped[TravelOrder] = relationship()
