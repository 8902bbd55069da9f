"""Findings, the cases they form, what happened to them; proposals to keep quiet; monthly samples."""

from datetime import date, timedelta

from sqlalchemy import BigInteger, CheckConstraint, Date, Float, ForeignKey, Index, Integer, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
from fleetapp.findings.rules import Severity
from fleetapp.findings.workflow import ClearReason, FindingState
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

__all__ = [
    "CaseEvent",
    "Finding",
    "FindingCase",
    "FindingEvent",
    "FindingState",
    "SampleItem",
    "SampleRun",
    "Severity",
    "Suppression",
]


class FindingCase(Base):
    """What people work on: the clues of one vehicle that belong together. Its clues that are not aside share its state.

    ``concerned_id`` is asked to explain, ``handler_id`` looks after it at the desk, ``escalated_to_id`` was told when it
    was overdue, at ``escalation`` levels above. ``outcome`` stays when the state goes on to RECTIFIED and CLOSED.
    """

    __tablename__ = "finding_case"
    __table_args__ = (
        one_of("severity", Severity),
        one_of("state", FindingState),
        CheckConstraint("outcome IN ('CLEARED', 'PROCEDURAL', 'DEVICE', 'CONFIRMED', 'REFERRED')", name="outcome"),
        one_of("reason_code", ClearReason),
        CheckConstraint("outcome IS DISTINCT FROM 'CLEARED' OR reason_code IS NOT NULL", name="cleared_reason"),
        CheckConstraint("escalation BETWEEN 0 AND 9", name="escalation"),
        Index("ix_finding_case_state", "state"),
        Index("ix_finding_case_start_at", "start_at"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    number: Mapped[Str] = mapped_column(unique=True)
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    severity: Mapped[Str]
    state: Mapped[Str]
    outcome: Mapped[OptionalStr]
    reason_code: Mapped[OptionalStr]
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    detected_at: Mapped[Moment]
    notified_at: Mapped[OptionalMoment]
    due_at: Mapped[Moment]
    concerned_id: Mapped[OptionalUserId]
    handler_id: Mapped[OptionalUserId]
    escalation: Mapped[int] = mapped_column(Integer, default=0)
    escalated_at: Mapped[OptionalMoment]
    escalated_to_id: Mapped[OptionalUserId]
    verifier_id: Mapped[OptionalUserId]
    reviewer_id: Mapped[OptionalUserId]
    decided_at: Mapped[OptionalMoment]
    closed_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    concerned: Mapped[UserAccount | None] = relationship(foreign_keys="FindingCase.concerned_id")
    handler: Mapped[UserAccount | None] = relationship(foreign_keys="FindingCase.handler_id")
    escalated_to: Mapped[UserAccount | None] = relationship(foreign_keys="FindingCase.escalated_to_id")
    reviewer: Mapped[UserAccount | None] = relationship(foreign_keys="FindingCase.reviewer_id")
    findings: Mapped[list["Finding"]] = relationship(order_by="Finding.start_at, Finding.id", back_populates="case")
    events: Mapped[list["CaseEvent"]] = relationship(order_by="CaseEvent.id")


class CaseEvent(StateStep, Base):
    """One step of a case, append-only; papers that came with it belong to subject ``case_event``."""

    __tablename__ = "case_event"

    case_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("finding_case.id"), index=True)


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
        CheckConstraint("(state = 'SUPPRESSED') <= (suppression_id IS NOT NULL)", name="suppressed"),
        CheckConstraint("(state = 'MERGED') <= (merged_into_id IS NOT NULL)", name="merged"),
        CheckConstraint("merged_into_id <> id", name="merged_other"),
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
    case_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("finding_case.id"), index=True)
    merged_into_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("finding.id"))
    suppression_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("suppression.id"))
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

    case: Mapped[FindingCase | None] = relationship(back_populates="findings")
    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    trip: Mapped[Trip | None] = relationship()
    order: Mapped[TravelOrder | None] = relationship()
    concerned: Mapped[UserAccount | None] = relationship(foreign_keys="Finding.concerned_id")
    explainer: Mapped[UserAccount | None] = relationship(foreign_keys="Finding.explainer_id")
    reviewer: Mapped[UserAccount | None] = relationship(foreign_keys="Finding.reviewer_id")
    events: Mapped[list["FindingEvent"]] = relationship(order_by="FindingEvent.id")


class FindingEvent(StateStep, Base):
    """One step of a finding's workflow, append-only."""

    __tablename__ = "finding_event"

    finding_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("finding.id"), index=True)


class Suppression(Base):
    """A proposal to keep a rule quiet about one vehicle over ``[start_on, end_on)``; a second person approves it."""

    __tablename__ = "suppression"
    __table_args__ = (
        CheckConstraint("start_on < end_on", name="window"),
        CheckConstraint("state IN ('PROPOSED', 'APPROVED', 'DECLINED', 'ENDED')", name="state"),
        CheckConstraint("decided_by <> proposed_by", name="second_person"),
        CheckConstraint("(state = 'PROPOSED') = (decided_by IS NULL)", name="decided"),
        one_of("reason_code", ClearReason),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    rule: Mapped[Str]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    start_on: Mapped[date] = mapped_column(Date)
    end_on: Mapped[date] = mapped_column(Date)
    reason_code: Mapped[Str]
    note: Mapped[Str]
    state: Mapped[Str]
    case_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("finding_case.id"))
    proposed_by: Mapped[OptionalUserId]
    proposed_at: Mapped[Moment]
    decided_by: Mapped[OptionalUserId]
    decided_at: Mapped[OptionalMoment]
    decision_note: Mapped[OptionalStr]

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    proposer: Mapped[UserAccount | None] = relationship(foreign_keys="Suppression.proposed_by")
    decider: Mapped[UserAccount | None] = relationship(foreign_keys="Suppression.decided_by")

    @property
    def last_on(self) -> date:
        """The last day it holds, as pages say it."""
        return self.end_on - timedelta(days=1)


class SampleRun(Base):
    """A month's random sample of matched trips; ``seed`` is the period and the head of the audit chain it was drawn at."""

    __tablename__ = "sample_run"

    id: Mapped[Id]
    month: Mapped[date] = mapped_column(Date, unique=True)
    seed: Mapped[Str]
    share: Mapped[float] = mapped_column(Float)
    population: Mapped[int] = mapped_column(Integer)
    population_sha256: Mapped[Str]
    drawn_at: Mapped[Moment]


class SampleItem(Base):
    """A trip drawn for review, and what was found."""

    __tablename__ = "sample_item"
    __table_args__ = (
        UniqueConstraint("run_id", "trip_id"),
        CheckConstraint("verdict IN ('in_order', 'clue')", name="verdict"),
        CheckConstraint("(verdict IS NULL) = (reviewer_id IS NULL)", name="reviewed"),
        CheckConstraint("(verdict IS NOT DISTINCT FROM 'clue') = (finding_id IS NOT NULL)", name="clue"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    run_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("sample_run.id"), index=True)
    trip_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("trip.id"))
    verdict: Mapped[str | None] = mapped_column(Text)
    note: Mapped[OptionalStr]
    reviewer_id: Mapped[OptionalUserId]
    reviewed_at: Mapped[OptionalMoment]
    finding_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("finding.id"))

    run: Mapped[SampleRun] = relationship()
    trip: Mapped[Trip] = relationship()
    finding: Mapped[Finding | None] = relationship()
    reviewer: Mapped[UserAccount | None] = relationship()
