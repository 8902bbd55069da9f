"""Writing of the gazetteer and of parking areas."""

import csv
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from geoalchemy2.shape import from_shape
from shapely.geometry import Polygon
from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.places import queries, rules
from fleetapp.places.models import ParkingArea, Place

PLACES_FILE = Path(__file__).parents[2] / "config" / "places" / "hangzhou.csv"


def _values(row: Mapping[str, Any], line: int) -> dict[str, Any]:
    # A late import: the pronunciation tables are large and needed at set-up only.
    from pypinyin import lazy_pinyin

    try:
        name, lon, lat = str(row["name"]).strip(), float(row["lon"]), float(row["lat"])
        values = {
            "name_zh": name, "name_en": str(row["name_en"]).strip(), "category": row["category"], "adcode": row["adcode"] or None,
            "accuracy_m": int(row["accuracy_m"]), "source": row["source"], "pinyin": rules.search_key(lazy_pinyin(name)),
        }  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise RuleBroken("places.row", line=line) from error
    if not name or not rules.inside_china(lon, lat):
        raise RuleBroken("places.row", line=line)
    return values | {"point": func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326)}


def load_places(session: Session, *, rows: Iterable[Mapping[str, Any]], actor: Actor, now: datetime) -> int:
    """Add places or bring them up to date by their Chinese name; returns how many rows were given.

    Rows have the fields of ``config/places/README.md``; loading the same rows again changes nothing.

    :raises RuleBroken: ``places.row``, naming the faulty line (the first row is line 2).
    """
    permits.require("places.load", actor, org_path="/")
    values = [_values(row, line) for line, row in enumerate(rows, start=2)]
    for value in values:
        statement = insert(Place).values(value)
        fresh = {name: statement.excluded[name] for name in value if name != "name_zh"}
        session.execute(statement.on_conflict_do_update(index_elements=[Place.name_zh], set_=fresh))
    audit.record(session, actor=actor, now=now, action="places.loaded", subject_type="place", subject_id=None,
                 org_id=None, rows=len(values))  # fmt: skip
    return len(values)


def load_file(session: Session, *, actor: Actor, now: datetime, path: Path = PLACES_FILE) -> int:
    """Load a gazetteer file; returns the number of its places.

    :raises RuleBroken: see ``load_places``.
    """
    with path.open(encoding="utf-8", newline="") as file:
        return load_places(session, rows=list(csv.DictReader(file)), actor=actor, now=now)


def create_parking(
    session: Session, *, org_id: int, name_zh: str, name_en: str, area: Mapping[str, Any], actor: Actor, now: datetime
) -> ParkingArea:
    """Add a designated parking area of a unit; ``area`` is a GeoJSON polygon, WGS-84.

    :raises NotAllowed: the unit is outside the actor's reach.
    :raises RuleBroken: ``places.area_*``, the polygon is not sound.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("places.edit", actor, org_path=org.path)
    polygon = Polygon(rules.ring_of(area))
    if not polygon.is_valid:
        raise RuleBroken("places.area_form")
    parking = ParkingArea(org_id=org_id, name_zh=name_zh, name_en=name_en, area=from_shape(polygon, srid=4326))
    session.add(parking)
    session.flush()
    audit.record(session, actor=actor, now=now, action="places.parking_created", subject_type="parking_area",
                 subject_id=parking.id, org_id=org_id, name_zh=name_zh, area=queries.area_geojson(parking))  # fmt: skip
    return parking
