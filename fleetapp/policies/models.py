"""Policy figures by code, scope and period."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, ForeignKey, Numeric, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.policies.rules import Scope, Stricter

ENTERED_ON = "(created_at AT TIME ZONE 'Asia/Shanghai')::date"


class PolicyValue(Base):
    """``value`` in ``unit`` for ``code``, in force over ``[valid_from, valid_to)`` in ``scope``.

    ``org_id`` is the top of the sub-tree of the scope ``org`` and null for nation, province and city. ``created_by`` null: read
    from the file. ``replaces_id`` is the row whose period this one ended, which had ended on ``replaced_to`` before. Periods are
    kept by the database: see ``migrations/sql/slices/policies.sql``.
    """

    __tablename__ = "policy_value"
    __table_args__ = (
        one_of("scope", Scope),
        one_of("stricter", Stricter),
        CheckConstraint("(scope = 'org') = (org_id IS NOT NULL)", name="org"),
        CheckConstraint("valid_to > valid_from", name="period"),
        CheckConstraint("value >= 0 AND (value <= 1 OR unit NOT IN ('share', 'flag'))", name="value"),
        CheckConstraint("scope <> 'national' OR NOT may_relax", name="may_relax"),
        CheckConstraint(f"created_by IS NULL OR correction OR valid_from >= {ENTERED_ON}", name="past"),
        CheckConstraint(f"NOT correction OR valid_from <= {ENTERED_ON}", name="correction"),
        CheckConstraint("created_by IS NULL OR length(trim(reason)) >= 4", name="reason"),
        CheckConstraint("(withdrawn_at IS NULL) = (withdrawn_reason IS NULL)", name="withdrawn"),
        ExcludeConstraint(
            ("code", "="),
            ("scope", "="),
            (text("coalesce(org_id, 0)"), "="),
            (text("daterange(valid_from, valid_to)"), "&&"),
            name="ex_policy_value_one_in_force",
            using="gist",
            where=text("withdrawn_at IS NULL"),
        ),
    )

    id: Mapped[Id]
    code: Mapped[Str]
    scope: Mapped[Str] = mapped_column(server_default=Scope.CITY, default=Scope.CITY)
    org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    value: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    unit: Mapped[Str]
    stricter: Mapped[Str] = mapped_column(server_default=Stricter.NONE, default=Stricter.NONE)
    may_relax: Mapped[bool] = mapped_column(Boolean, server_default=text("false"), default=False)
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    source: Mapped[Str]
    article: Mapped[OptionalStr]
    correction: Mapped[bool] = mapped_column(Boolean, server_default=text("false"), default=False)
    reason: Mapped[OptionalStr]
    created_at: Mapped[Moment] = mapped_column(server_default=text("now()"))
    created_by: Mapped[OptionalUserId]
    replaces_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("policy_value.id"))
    replaced_to: Mapped[date | None] = mapped_column(Date)
    withdrawn_at: Mapped[OptionalMoment]
    withdrawn_by: Mapped[OptionalUserId]
    withdrawn_reason: Mapped[OptionalStr]

    org: Mapped[Organisation | None] = relationship()
    author: Mapped[UserAccount | None] = relationship(foreign_keys="PolicyValue.created_by")
    withdrawer: Mapped[UserAccount | None] = relationship(foreign_keys="PolicyValue.withdrawn_by")
