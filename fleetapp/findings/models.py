"""Findings and what happened to them."""

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.findings.rules import FindingState, Severity
from fleetapp.kit.columns import (
    Id,
    Json,
    JsonList,
    Moment,
    OptionalMoment,
    OptionalStr,
    OptionalUserId,
    OrgId,
    Str,
    one_of,
)
from fleetapp.kit.db import Base
from fleetapp.orders.models import TravelOrder
from fleetapp.trips.models import Trip
from fleetapp.vehicles.models import Vehicle

__all__ = ["Finding", "FindingEvent", "FindingState", "Severity"]


class Finding(Base):
    """One clue. ``dedupe_key`` makes the job idempotent. ``concerned_id`` is the person asked to explain.

    ``facts`` are the numbers the rule compared, ``params`` the parameters with their policy rows,
    ``evidence_for`` and ``evidence_against`` lists of ``{"code", ...}`` shown side by side.
    """

    __tablename__ = "finding"
    __table_args__ = (
        one_of("severity", Severity),
        one_of("state", FindingState),
        CheckConstraint("confidence BETWEEN 0 AND 1", name="confidence"),
        CheckConstraint("reviewer_id IS NULL OR reviewer_id <> concerned_id", name="not_own_review"),
        CheckConstraint("reviewer_id IS NULL OR reviewer_id <> explainer_id", name="not_explainer_review"),
        Index("ix_finding_state", "state"),
        Index("ix_finding_start_at", "start_at"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    number: Mapped[Str] = mapped_column(unique=True)
    dedupe_key: Mapped[Str] = mapped_column(unique=True)
    rule: Mapped[Str]
    rule_version: Mapped[Str]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    trip_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("trip.id"), index=True)
    order_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("travel_order.id"), index=True)
    concerned_id: Mapped[OptionalUserId]
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    severity: Mapped[Str]
    state: Mapped[Str]
    confidence: Mapped[float] = mapped_column(Float)
    facts: Mapped[Json]
    params: Mapped[Json]
    evidence_for: Mapped[JsonList]
    evidence_against: Mapped[JsonList]
    detected_at: Mapped[Moment]
    due_at: Mapped[Moment]
    explainer_id: Mapped[OptionalUserId]
    explanation: Mapped[OptionalStr]
    reviewer_id: Mapped[OptionalUserId]
    review_note: Mapped[OptionalStr]
    closed_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    trip: Mapped[Trip | None] = relationship()
    order: Mapped[TravelOrder | None] = relationship()
    concerned: Mapped[UserAccount | None] = relationship(foreign_keys="Finding.concerned_id")
    explainer: Mapped[UserAccount | None] = relationship(foreign_keys="Finding.explainer_id")
    reviewer: Mapped[UserAccount | None] = relationship(foreign_keys="Finding.reviewer_id")
    events: Mapped[list["FindingEvent"]] = relationship(order_by="FindingEvent.id")


class FindingEvent(Base):
    """One step of a finding's workflow, append-only."""

    __tablename__ = "finding_event"

    id: Mapped[Id]
    finding_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("finding.id"), index=True)
    action: Mapped[Str]
    from_state: Mapped[OptionalStr]
    to_state: Mapped[Str]
    actor_id: Mapped[OptionalUserId]
    at: Mapped[Moment]
    text: Mapped[OptionalStr]

    actor: Mapped[UserAccount | None] = relationship()
