"""Derived trips and matches; a recomputation supersedes rows, it never edits them."""

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.kit.columns import Id, JsonList, Moment, OptionalMoment, OptionalStr, OrgId, Str
from fleetapp.kit.db import Base
from fleetapp.orders.models import TravelOrder
from fleetapp.vehicles.models import Vehicle

IS_CURRENT = text("superseded_at IS NULL")


class Trip(Base):
    """One trip ``[start_at, end_at)``; distances in metres by method, ``best_source`` says which is the best.

    ``matched_m`` follows the road network; ``matched_source`` names the engine or says "estimate".
    ``stops`` and ``gaps`` are lists of ``{"start", "end", ...}``; ``content_digest`` tells whether a recomputation
    changed anything.
    """

    __tablename__ = "trip"
    __table_args__ = (
        CheckConstraint("start_at < end_at", name="window"),
        CheckConstraint("coverage BETWEEN 0 AND 1", name="coverage"),
        ExcludeConstraint(
            ("vehicle_id", "="),
            (text("tstzrange(start_at, end_at)"), "&&"),
            where=IS_CURRENT,
            name="ex_trip_vehicle",
            using="gist",
        ),
        Index("ix_trip_start_at", "start_at"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    terminal_id: Mapped[int] = mapped_column(BigInteger)
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    path: Mapped[WKBElement] = mapped_column(Geometry("LINESTRING", srid=4326))
    start_place: Mapped[OptionalStr]
    end_place: Mapped[OptionalStr]
    gps_m: Mapped[float] = mapped_column(Float)
    odometer_m: Mapped[float | None] = mapped_column(Float)
    speed_m: Mapped[float | None] = mapped_column(Float)
    matched_m: Mapped[float | None] = mapped_column(Float)
    matched_source: Mapped[OptionalStr]
    best_m: Mapped[float] = mapped_column(Float)
    best_source: Mapped[Str]
    error_m: Mapped[float] = mapped_column(Float)
    coverage: Mapped[float] = mapped_column(Float)
    points: Mapped[int] = mapped_column(Integer)
    max_speed_kmh: Mapped[float] = mapped_column(Float)
    stops: Mapped[JsonList]
    gaps: Mapped[JsonList]
    content_digest: Mapped[Str]
    derived_at: Mapped[Moment]
    superseded_at: Mapped[OptionalMoment]

    vehicle: Mapped[Vehicle] = relationship()
    matches: Mapped[list["TripMatch"]] = relationship(
        order_by="TripMatch.start_at", primaryjoin="and_(Trip.id == TripMatch.trip_id, TripMatch.superseded_at == None)"
    )


class TripMatch(Base):
    """Part of a trip and the order it belongs to, or none, with every part of the score."""

    __tablename__ = "trip_match"
    __table_args__ = (CheckConstraint("kind IN ('matched', 'weak', 'ambiguous', 'unmatched')", name="kind"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    trip_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("trip.id"), index=True)
    order_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("travel_order.id"), index=True)
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    distance_m: Mapped[float] = mapped_column(Float)
    kind: Mapped[Str]
    score_time: Mapped[float | None] = mapped_column(Float)
    score_dest: Mapped[float | None] = mapped_column(Float)
    score_orig: Mapped[float | None] = mapped_column(Float)
    score_driver: Mapped[float | None] = mapped_column(Float)
    score_events: Mapped[float | None] = mapped_column(Float)
    score: Mapped[float | None] = mapped_column(Float)
    margin: Mapped[float] = mapped_column(Float)
    candidates: Mapped[JsonList]
    derived_at: Mapped[Moment]
    superseded_at: Mapped[OptionalMoment]

    trip: Mapped[Trip] = relationship(viewonly=True)
    order: Mapped[TravelOrder | None] = relationship()


class DeriveCursor(Base):
    """Up to when changes of assignments and duties have been taken into the matches."""

    __tablename__ = "derive_cursor"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    at: Mapped[Moment]
