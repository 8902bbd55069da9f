"""Costs entered by hand."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation
from fleetapp.attachments.models import Attachment
from fleetapp.costs.rules import OWN_KINDS
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str
from fleetapp.kit.db import Base
from fleetapp.orders.models import TravelOrder
from fleetapp.vehicles.models import Vehicle

OWN = ", ".join(f"'{kind}'" for kind in OWN_KINDS)


class CostEntry(Base):
    """One cost of a vehicle on a local day, CNY; ``order_id`` is the task it was spent on, ``explanation`` why there is none.

    ``org_id`` is the holder at that time. Never changed: a wrong one is made void with its reason.
    """

    __tablename__ = "cost_entry"
    __table_args__ = (
        CheckConstraint(f"kind IN ({OWN})", name="kind"),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("kind NOT IN ('toll', 'parking_fee') OR order_id IS NOT NULL OR coalesce(length(trim(explanation)), 0) >= 4", name="task"),
        CheckConstraint("(void_at IS NULL) = (void_reason IS NULL)", name="void"),
        CheckConstraint("length(trim(void_reason)) >= 2", name="void_reason"),
        Index("uq_cost_entry_document", "vehicle_id", "kind", "document_no", unique=True, postgresql_where=text("void_at IS NULL")),
        Index("ix_cost_entry_on", "on"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    on: Mapped[date] = mapped_column(Date)
    kind: Mapped[Str]
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    order_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("travel_order.id"), index=True)
    explanation: Mapped[OptionalStr]
    document_no: Mapped[OptionalStr]
    attachment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("attachment.id"))
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
    void_at: Mapped[OptionalMoment]
    void_by: Mapped[OptionalUserId]
    void_reason: Mapped[OptionalStr]

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    order: Mapped[TravelOrder | None] = relationship()
    attachment: Mapped[Attachment | None] = relationship()
