"""Policy figures by code, scope and period."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, Date, ForeignKey, Numeric, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation
from fleetapp.kit.columns import Id, OptionalStr, Str
from fleetapp.kit.db import Base


class PolicyValue(Base):
    """``value`` in ``unit`` for ``code``, in force over ``[valid_from, valid_to)``; ``org_id`` null: everywhere."""

    __tablename__ = "policy_value"
    __table_args__ = (
        ExcludeConstraint(
            ("code", "="),
            (text("coalesce(org_id, 0)"), "="),
            (text("daterange(valid_from, valid_to)"), "&&"),
            name="ex_policy_value_one_in_force",
            using="gist",
        ),
    )

    id: Mapped[Id]
    code: Mapped[Str]
    org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    value: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    unit: Mapped[Str]
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    source: Mapped[Str]
    article: Mapped[OptionalStr]

    org: Mapped[Organisation | None] = relationship()
