"""Vehicles and the terminals they carry."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation
from fleetapp.attachments.models import Attachment
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.places.models import ParkingArea
from fleetapp.vehicles.rules import (
    Acquired,
    Body,
    Category,
    DocumentKind,
    Energy,
    ManagementMode,
    ReadingSource,
    Secrecy,
    VehicleState,
)

ACTIVE = text("state <> 'RETIRED'")


class Vehicle(Base):
    """One official vehicle; ``org_id`` is the holding unit. ``range_km`` is the full electric range of an EV.

    ``odometer_m`` is the last reading of its ``meter``, counted from 1; all readings are in ``odometer_reading``.

    ``price_ex_tax`` is the purchase price in CNY without purchase tax, which the caps are compared with.
    """

    __tablename__ = "vehicle"
    __table_args__ = (
        one_of("category", Category),
        one_of("body", Body),
        one_of("energy", Energy),
        one_of("state", VehicleState),
        one_of("secrecy", Secrecy),
        one_of("management_mode", ManagementMode),
        one_of("acquired_by", Acquired),
        CheckConstraint("displacement_ml BETWEEN 1 AND 20000", name="displacement_ml"),
        CheckConstraint("price_ex_tax >= 0 AND purchase_tax >= 0", name="price"),
        CheckConstraint("battery_kwh > 0 AND tank_l > 0", name="stores"),
        CheckConstraint("seats BETWEEN 1 AND 60", name="seats"),
        CheckConstraint("odometer_m >= 0", name="odometer"),
        Index("uq_vehicle_plate_active", "plate", unique=True, postgresql_where=ACTIVE),
        Index("uq_vehicle_vin_active", "vin", unique=True, postgresql_where=ACTIVE),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    plate: Mapped[Str]
    vin: Mapped[Str]
    category: Mapped[Str]
    body: Mapped[Str]
    energy: Mapped[Str]
    seats: Mapped[int] = mapped_column(Integer)
    model: Mapped[Str]
    state: Mapped[Str]
    secrecy: Mapped[Str] = mapped_column(server_default="normal", default=Secrecy.NORMAL)
    range_km: Mapped[int | None] = mapped_column(Integer)
    odometer_m: Mapped[int] = mapped_column(BigInteger, server_default=text("0"), default=0)
    meter: Mapped[int] = mapped_column(Integer, server_default=text("1"), default=1)
    registered_on: Mapped[date] = mapped_column(Date)
    parking_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("parking_area.id"), index=True)
    management_mode: Mapped[Str] = mapped_column(server_default="retained", default=ManagementMode.RETAINED)
    acquired_by: Mapped[Str] = mapped_column(server_default="purchase", default=Acquired.PURCHASE)
    acquired_on: Mapped[date | None] = mapped_column(Date)
    made_on: Mapped[date | None] = mapped_column(Date)
    domestic: Mapped[bool] = mapped_column(Boolean, server_default=text("true"), default=True)
    engine_no: Mapped[OptionalStr]
    displacement_ml: Mapped[int | None] = mapped_column(Integer)
    price_ex_tax: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    purchase_tax: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    battery_kwh: Mapped[Decimal | None] = mapped_column(Numeric(6, 1))
    tank_l: Mapped[Decimal | None] = mapped_column(Numeric(6, 1))
    fuel_grade: Mapped[OptionalStr]
    colour: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    parking: Mapped[ParkingArea | None] = relationship()
    bindings: Mapped[list["TerminalBinding"]] = relationship(order_by="TerminalBinding.id")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class TerminalBinding(Base):
    """A GPS terminal in a vehicle over ``during``; ``terminal_id`` is ``gps_terminal.id``."""

    __tablename__ = "terminal_binding"
    __table_args__ = (
        ExcludeConstraint(("vehicle_id", "="), ("during", "&&"), name="ex_terminal_binding_vehicle", using="gist"),
        ExcludeConstraint(("terminal_id", "="), ("during", "&&"), name="ex_terminal_binding_terminal", using="gist"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    terminal_id: Mapped[int] = mapped_column(BigInteger)
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class VehicleDocument(Base):
    """A paper of a vehicle in force over ``[valid_from, valid_to)``, or with ``exempt_reason`` why it needs none.

    ``fee`` is the premium or charge paid for it in CNY. Never changed: a wrong one is made void with its reason, a new one is added.
    """

    __tablename__ = "vehicle_document"
    __table_args__ = (
        one_of("kind", DocumentKind),
        CheckConstraint("valid_to > valid_from", name="period"),
        CheckConstraint("(number IS NULL) <> (exempt_reason IS NULL)", name="number_or_exemption"),
        CheckConstraint("length(trim(exempt_reason)) >= 4", name="exempt_reason"),
        CheckConstraint("(void_at IS NULL) = (void_reason IS NULL)", name="void"),
        CheckConstraint("fee >= 0", name="fee"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    kind: Mapped[Str]
    number: Mapped[OptionalStr]
    issuer: Mapped[OptionalStr]
    holder_name: Mapped[OptionalStr]
    valid_from: Mapped[date] = mapped_column(Date)
    valid_to: Mapped[date | None] = mapped_column(Date)
    exempt_reason: Mapped[OptionalStr]
    fee: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    attachment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("attachment.id"))
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
    void_at: Mapped[OptionalMoment]
    void_reason: Mapped[OptionalStr]

    attachment: Mapped[Attachment | None] = relationship()


class OdometerReading(Base):
    """One reading of a vehicle's ``meter``, append-only; within one meter readings never go down in time."""

    __tablename__ = "odometer_reading"
    __table_args__ = (
        one_of("source", ReadingSource),
        CheckConstraint("reading_m >= 0", name="reading"),
        CheckConstraint("engine_h >= 0", name="engine_h"),
        CheckConstraint("meter >= 1", name="meter"),
        Index("ix_odometer_reading_vehicle_id_at", "vehicle_id", "at"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    meter: Mapped[int] = mapped_column(Integer)
    at: Mapped[Moment]
    reading_m: Mapped[int] = mapped_column(BigInteger)
    engine_h: Mapped[Decimal | None] = mapped_column(Numeric(9, 1))
    source: Mapped[Str]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]


class MeterChange(Base):
    """The change to ``meter`` (2 or more): what the old one showed last and the new one first; append-only."""

    __tablename__ = "meter_change"
    __table_args__ = (
        UniqueConstraint("vehicle_id", "meter"),
        CheckConstraint("meter >= 2", name="meter"),
        CheckConstraint("end_m >= 0 AND start_m >= 0", name="readings"),
        CheckConstraint("length(trim(reason)) >= 4", name="reason"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    meter: Mapped[int] = mapped_column(Integer)
    at: Mapped[Moment]
    end_m: Mapped[int] = mapped_column(BigInteger)
    start_m: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[Str]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
