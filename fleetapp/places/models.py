"""Known places and designated parking areas, WGS-84."""

from geoalchemy2 import Geometry, WKBElement
from sqlalchemy import CheckConstraint, Integer
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation
from fleetapp.kit.columns import Id, OptionalStr, OrgId, Str
from fleetapp.kit.db import Base


class Place(Base):
    """A named point of the gazetteer; ``pinyin`` serves the search; ``accuracy_m`` widens matching."""

    __tablename__ = "place"

    id: Mapped[Id]
    name_zh: Mapped[Str] = mapped_column(unique=True)
    name_en: Mapped[Str]
    pinyin: Mapped[Str]
    category: Mapped[Str]
    adcode: Mapped[OptionalStr]
    point: Mapped[WKBElement] = mapped_column(Geometry("POINT", srid=4326))
    accuracy_m: Mapped[int] = mapped_column(Integer)
    source: Mapped[Str]


class ParkingArea(Base):
    """Designated parking (定点停放) of a unit."""

    __tablename__ = "parking_area"
    __table_args__ = (CheckConstraint("ST_IsValid(area)", name="area_valid"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    name_zh: Mapped[Str]
    name_en: Mapped[Str]
    area: Mapped[WKBElement] = mapped_column(Geometry("POLYGON", srid=4326))

    org: Mapped[Organisation] = relationship()
