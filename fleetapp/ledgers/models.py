"""Imports of ledgers with their results."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.kit.columns import (
    Id,
    JsonList,
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
from fleetapp.ledgers.rules import ImportState, LedgerKind

COUNTED = "state NOT IN ('CHECKED', 'COMMITTING', 'DONE')"


class LedgerImport(Base):
    """One uploaded file on its way into a ledger; ``org_id`` is the unit of whoever uploaded it, ``sha256`` names the content.

    ``faults`` are the rows refused: ``{row, faults: [{column, code, params}]}``; ``changes`` what would change in rows that
    are there: ``{row, key, changed: {field: [before, after]}}``. ``digest`` is the hash of the whole result: a commit that
    finds another one was overtaken. ``partial`` commits the right rows of a file that has wrong ones.
    """

    __tablename__ = "ledger_import"
    __table_args__ = (
        one_of("kind", LedgerKind),
        one_of("state", ImportState),
        CheckConstraint("done_rows BETWEEN 0 AND total_rows", name="progress"),
        CheckConstraint(
            f"{COUNTED} OR new_rows + changed_rows + unchanged_rows + rejected_rows = total_rows", name="counts"
        ),
        CheckConstraint(f"{COUNTED} OR digest IS NOT NULL", name="checked"),
        CheckConstraint("state NOT IN ('COMMITTING', 'DONE') OR partial OR rejected_rows = 0", name="all_or_nothing"),
        CheckConstraint("state NOT IN ('COMMITTING', 'DONE') OR committed_by IS NOT NULL", name="committer"),
        CheckConstraint("(state = 'DONE') = (committed_at IS NOT NULL)", name="committed"),
        CheckConstraint("(state IN ('REFUSED', 'FAILED')) <= (failure IS NOT NULL)", name="failure"),
        Index("uq_ledger_import_content", "org_id", "kind", "sha256", unique=True,
              postgresql_where=text("state IN ('UPLOADED', 'CHECKING', 'CHECKED', 'COMMITTING')")),
        Index("ix_ledger_import_work", "id", postgresql_where=text("state IN ('UPLOADED', 'CHECKING', 'COMMITTING')")),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    kind: Mapped[Str]
    state: Mapped[Str]
    file_name: Mapped[Str]
    sha256: Mapped[Str]
    attachment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("attachment.id"))
    uploaded_by: Mapped[UserId]
    uploaded_at: Mapped[Moment]
    total_rows: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    done_rows: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    new_rows: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    changed_rows: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    unchanged_rows: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    rejected_rows: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    faults: Mapped[JsonList] = mapped_column(JSONB, default=list, server_default=text("'[]'"))
    changes: Mapped[JsonList] = mapped_column(JSONB, default=list, server_default=text("'[]'"))
    digest: Mapped[OptionalStr]
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    partial: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    committed_by: Mapped[OptionalUserId]
    committed_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    uploader: Mapped[UserAccount] = relationship(foreign_keys="LedgerImport.uploaded_by")
    committer: Mapped[UserAccount | None] = relationship(foreign_keys="LedgerImport.committed_by")
