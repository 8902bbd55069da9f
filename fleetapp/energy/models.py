"""Cards, fillings and chargings, files."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, ForeignKey, Index, Integer, Numeric, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.attachments.models import Attachment
from fleetapp.energy.rules import ROUNDING, Break, CardState, EntryKind, EntrySource, ImportState
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.vehicles.models import Vehicle

NOT_CANCELLED = text("state <> 'CANCELLED'")
NOT_VOID = text("void_at IS NULL")
PERIOD = text("daterange(valid_from, valid_to)")


class EnergyCard(Base):
    """A fuel or charging card, bound to one vehicle over ``[valid_from, valid_to)``."""

    __tablename__ = "energy_card"
    __table_args__ = (
        one_of("kind", EntryKind),
        one_of("state", CardState),
        CheckConstraint("valid_to > valid_from", name="period"),
        CheckConstraint("length(trim(number)) >= 4", name="number"),
        CheckConstraint("state <> 'CANCELLED' OR valid_to IS NOT NULL", name="cancelled"),
        ExcludeConstraint(("issuer", "="), ("number", "="), (PERIOD, "&&"), where=NOT_CANCELLED,
                          name="ex_energy_card_number", using="gist"),
        ExcludeConstraint(("vehicle_id", "="), ("kind", "="), (PERIOD, "&&"), where=NOT_CANCELLED,
                          name="ex_energy_card_vehicle", using="gist"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    kind: Mapped[Str]
    number: Mapped[Str]
    issuer: Mapped[Str]
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    state: Mapped[Str]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class EnergyImport(Base):
    """One file as it came, with what was found in it; committed once."""

    __tablename__ = "energy_import"
    __table_args__ = (
        one_of("state", ImportState),
        CheckConstraint("fresh >= 0 AND known >= 0 AND rejected >= 0", name="counts"),
        CheckConstraint("(state = 'COMMITTED') = (committed_at IS NOT NULL)", name="committed"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    attachment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("attachment.id"))
    file_name: Mapped[Str]
    state: Mapped[Str]
    fresh: Mapped[int] = mapped_column(Integer)
    known: Mapped[int] = mapped_column(Integer)
    rejected: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
    committed_at: Mapped[OptionalMoment]
    committed_by: Mapped[OptionalUserId]

    org: Mapped[Organisation] = relationship()
    attachment: Mapped[Attachment | None] = relationship()
    creator: Mapped[UserAccount | None] = relationship(foreign_keys="EnergyImport.created_by")


class EnergyEntry(Base):
    """One filling (litres) or charging (kWh) of a vehicle, CNY. ``digest`` names the row of a file it came from.

    ``org_id`` is the holder at that time. Never changed: a wrong one is made void with its reason.
    """

    __tablename__ = "energy_entry"
    __table_args__ = (
        one_of("kind", EntryKind),
        one_of("source", EntrySource),
        one_of("breaks", Break),
        CheckConstraint("quantity > 0 AND unit_price >= 0 AND amount >= 0", name="positive"),
        CheckConstraint(f"abs(amount - quantity * unit_price) <= {ROUNDING}", name="amount"),
        CheckConstraint("odometer_m >= 0", name="odometer"),
        CheckConstraint("soc_percent IS NULL OR (kind = 'charge' AND soc_percent BETWEEN 0 AND 100)", name="soc"),
        CheckConstraint("(source = 'import') = (digest IS NOT NULL) AND (digest IS NULL) = (import_id IS NULL)", name="digest"),
        CheckConstraint("(void_at IS NULL) = (void_reason IS NULL)", name="void"),
        CheckConstraint("length(trim(void_reason)) >= 2", name="void_reason"),
        Index("uq_energy_entry_digest", "digest", unique=True),
        Index("uq_energy_entry_card_moment", "card_id", "at", "amount", unique=True, postgresql_where=NOT_VOID),
        Index("uq_energy_entry_vehicle_moment", "vehicle_id", "kind", "at", "amount", unique=True, postgresql_where=NOT_VOID),
        Index("ix_energy_entry_at", "at"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    card_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("energy_card.id"))
    kind: Mapped[Str]
    at: Mapped[Moment]
    quantity: Mapped[Decimal] = mapped_column(Numeric(9, 3))
    unit_price: Mapped[Decimal] = mapped_column(Numeric(12, 6))
    amount: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    odometer_m: Mapped[int | None] = mapped_column(BigInteger)
    full: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    soc_percent: Mapped[int | None] = mapped_column(Integer)
    breaks: Mapped[OptionalStr]
    product: Mapped[OptionalStr]
    station: Mapped[OptionalStr]
    source: Mapped[Str]
    import_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("energy_import.id"), index=True)
    digest: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
    void_at: Mapped[OptionalMoment]
    void_by: Mapped[OptionalUserId]
    void_reason: Mapped[OptionalStr]

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    card: Mapped[EnergyCard | None] = relationship()
