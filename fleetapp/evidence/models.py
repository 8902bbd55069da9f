"""Requests for packages that a second person must consent to."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import UserAccount
from fleetapp.evidence.rules import RequestState
from fleetapp.findings.models import Finding
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base


class EvidenceRequest(Base):
    """One person asks for the package of a restricted vehicle, another decides; a consent holds until ``expires_at``."""

    __tablename__ = "evidence_request"
    __table_args__ = (
        one_of("state", RequestState),
        CheckConstraint("length(trim(reason)) >= 4", name="reason"),
        CheckConstraint("decided_by <> requested_by", name="second_person"),
        CheckConstraint("(state = 'REQUESTED') = (decided_by IS NULL) AND (decided_by IS NULL) = (decided_at IS NULL)", name="decided"),
        CheckConstraint("(state = 'CONSENTED') = (expires_at IS NOT NULL)", name="expires"),
        CheckConstraint("expires_at > decided_at", name="expires_later"),
        Index("uq_evidence_request_open", "finding_id", "requested_by", unique=True, postgresql_where=text("state = 'REQUESTED'")),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    finding_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("finding.id"), index=True)
    reason: Mapped[Str]
    requested_by: Mapped[UserId]
    requested_at: Mapped[Moment]
    state: Mapped[Str]
    decided_by: Mapped[OptionalUserId]
    decided_at: Mapped[OptionalMoment]
    note: Mapped[OptionalStr]
    expires_at: Mapped[OptionalMoment]

    finding: Mapped[Finding] = relationship()
    requester: Mapped[UserAccount] = relationship(foreign_keys="EvidenceRequest.requested_by")
    decider: Mapped[UserAccount | None] = relationship(foreign_keys="EvidenceRequest.decided_by")
