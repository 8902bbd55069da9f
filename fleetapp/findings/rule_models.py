"""Tables of the rules: what was seen of a day, records of others, runs over the past."""

from datetime import date
from enum import StrEnum

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.kit.columns import Id, Json, Moment, OptionalUserId, OrgId, Str, one_of
from fleetapp.kit.db import Base


class VehicleDay(Base):
    """Stays, pauses, signals, silences and coverage of a vehicle's local day; made anew whenever the day is looked at."""

    __tablename__ = "vehicle_day"
    __table_args__ = (UniqueConstraint("vehicle_id", "on"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    on: Mapped[date] = mapped_column(Date)
    facts: Mapped[Json]
    made_at: Mapped[Moment]


class RecordKind(StrEnum):
    """Who saw the plate; of a complaint only plate, time and place are kept, nothing of who made it."""

    PARKING = "parking"
    TOLL = "toll"
    COMPLAINT = "complaint"


class ExternalRecord(Base):
    """A plate seen by a car park, a toll station or somebody who complained; ``digest`` makes an import that is repeated add nothing."""

    __tablename__ = "external_record"
    __table_args__ = (one_of("kind", RecordKind), Index("ix_external_record_plate_at", "plate", "at"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    kind: Mapped[Str]
    plate: Mapped[Str]
    at: Mapped[Moment]
    place: Mapped[Str]
    point: Mapped[WKBElement] = mapped_column(Geometry("POINT", srid=4326))
    digest: Mapped[Str] = mapped_column(unique=True)
    imported_at: Mapped[Moment]
    imported_by: Mapped[OptionalUserId]


class RuleRun(Base):
    """One run over the local days ``[start_on, end_on)`` of an organisation's vehicles; ``asked`` are figures and rules."""

    __tablename__ = "rule_run"
    __table_args__ = (
        CheckConstraint("start_on < end_on", name="period"),
        CheckConstraint("vehicles >= 0", name="vehicles"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    asked_by: Mapped[OptionalUserId]
    asked_at: Mapped[Moment]
    start_on: Mapped[date] = mapped_column(Date)
    end_on: Mapped[date] = mapped_column(Date)
    version: Mapped[Str]
    asked: Mapped[Json]
    vehicles: Mapped[int] = mapped_column(Integer)
    result: Mapped[Json]

    org: Mapped[Organisation] = relationship()
    asker: Mapped[UserAccount | None] = relationship()
