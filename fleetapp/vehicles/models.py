"""Vehicles and the terminals they carry."""

from datetime import date, datetime

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, text
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation
from fleetapp.kit.columns import Id, Moment, OrgId, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.places.models import ParkingArea
from fleetapp.vehicles.rules import Body, Category, Energy, Secrecy, VehicleState

ACTIVE = text("state <> 'RETIRED'")


class Vehicle(Base):
    """One official vehicle; ``org_id`` is the holding unit. ``range_km`` is the full electric range of an EV."""

    __tablename__ = "vehicle"
    __table_args__ = (
        one_of("category", Category),
        one_of("body", Body),
        one_of("energy", Energy),
        one_of("state", VehicleState),
        one_of("secrecy", Secrecy),
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
    registered_on: Mapped[date] = mapped_column(Date)
    parking_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("parking_area.id"))
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
