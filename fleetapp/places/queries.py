"""Reading of the gazetteer and of parking areas. Distances in metres, coordinates WGS-84 degrees."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from geoalchemy2 import Geography
from geoalchemy2.shape import to_shape
from shapely.geometry import mapping
from sqlalchemy import ARRAY, BigInteger, ColumnElement, Float, Select, and_, case, cast, func, literal, or_, select
from sqlalchemy.orm import Session, contains_eager

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.places import rules
from fleetapp.places.models import ParkingArea, Place

SEARCH_LIMIT = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A place of the gazetteer as plain values; ``distance_m`` only from ``nearest``."""

    id: int
    name_zh: str
    name_en: str
    category: str
    lat: float
    lon: float
    accuracy_m: int
    distance_m: float | None = None


def _columns() -> tuple[Any, ...]:
    return (Place.id, Place.name_zh, Place.name_en, Place.category, func.ST_Y(Place.point).label("lat"),
            func.ST_X(Place.point).label("lon"), Place.accuracy_m)  # fmt: skip


def _point(lat: float, lon: float) -> ColumnElement[Any]:
    return cast(func.ST_SetSRID(func.ST_MakePoint(lon, lat), 4326), Geography)


def _rank(token: str) -> ColumnElement[int]:
    """Return 0 where the word starts a name or a pinyin, 1 where it is in one, 2 where its letters come in order, else 9."""
    starts, contains, ordered = rules.like_parts(token)
    initials = func.split_part(Place.pinyin, " ", 2)
    names = (func.lower(Place.name_zh), func.lower(Place.name_en))
    whole = (*names, Place.pinyin, initials)

    def any_like(columns: Sequence[ColumnElement[Any] | Any], pattern: str) -> ColumnElement[bool]:
        return or_(*(column.like(pattern, escape="/") for column in columns))

    return case(
        (any_like(whole, starts), 0),
        (any_like(whole, contains), 1),
        (any_like((func.lower(Place.name_zh), initials), ordered), 2),
        else_=9,
    )


def search(
    session: Session, text: str, limit: int = SEARCH_LIMIT, *, first: Collection[str] = (), adcode: str | None = None
) -> list[Found]:
    """Return places by Chinese name, pinyin, pinyin initials or English name, the best first.

    Letters may be left out ("浙大紫金港" finds 浙江大学紫金港校区); several words must all fit. Where nothing fits, what
    sounds or is spelt nearly so is offered ("紫金岗", "zijngang"). Of equally good ones those named ``first`` (used
    lately) come before those of the district ``adcode``, and these before the rest.
    """
    tokens = [token[:40] for token in text.split()[:5]]
    if not tokens:
        return []
    ranks = [_rank(token) for token in tokens]
    total = sum(ranks[1:], start=ranks[0])
    near = case((Place.name_zh.in_(first), 0), (Place.adcode == adcode, 1), else_=2)
    query = (
        select(*_columns())
        .where(and_(*(rank < 9 for rank in ranks)))
        .order_by(total, near, func.length(Place.name_zh), Place.name_zh)
        .limit(limit)
    )
    found = [Found(*row) for row in session.execute(query)]
    return found or _alike(session, "".join(tokens), limit, near)


def _alike(session: Session, text: str, limit: int, near: ColumnElement[int]) -> list[Found]:
    """Return places whose pinyin or English name is nearly the text, misheard or misspelt, the most alike first."""
    key = rules.sound(text)
    if len(key) < rules.SHORTEST_ALIKE:
        return []
    alike = func.greatest(func.word_similarity(key, Place.pinyin), func.word_similarity(key, func.lower(Place.name_en)))
    query = select(*_columns()).where(alike >= rules.ALIKE).order_by(alike.desc(), near, Place.name_zh).limit(limit)
    return [Found(*row) for row in session.execute(query)]


def around(session: Session, lat: float, lon: float, *, within_m: float, limit: int) -> list[Found]:
    """Return the places not farther than ``within_m``, the nearest first."""
    here, there = _point(lat, lon), cast(Place.point, Geography)
    distance_m = func.ST_Distance(there, here)
    query: Select[Any] = (
        select(*_columns(), distance_m)
        .where(func.ST_DWithin(there, here, within_m))
        .order_by(distance_m, Place.id)
        .limit(limit)
    )
    return [Found(*row) for row in session.execute(query)]


def nearest(session: Session, lat: float, lon: float, within_m: float) -> Found | None:
    """Return the nearest place not farther than ``within_m``, or None."""
    return next(iter(around(session, lat, lon, within_m=within_m, limit=1)), None)


def all_points(session: Session) -> list[tuple[str, float, float]]:
    """Return (Chinese name, lat, lon) of every place of the gazetteer."""
    query = select(Place.name_zh, func.ST_Y(Place.point), func.ST_X(Place.point)).order_by(Place.id)
    return [(name, lat, lon) for name, lat, lon in session.execute(query)]


def visible_to(actor: Actor) -> Select[ParkingArea]:
    """Return the parking areas of the organisations within the actor's reach, by name."""
    inside = or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in actor.paths()))
    return (
        select(ParkingArea)
        .join(ParkingArea.org)
        .where(inside)
        .options(contains_eager(ParkingArea.org))
        .order_by(Organisation.path, ParkingArea.name_zh)
    )


def get_parking(session: Session, *, parking_id: int, actor: Actor) -> ParkingArea:
    """Return one parking area within the actor's reach.

    :raises NotFound: no such area, or out of reach.
    """
    area = session.scalar(visible_to(actor).where(ParkingArea.id == parking_id))
    if area is None:
        raise NotFound("kit.not_found")
    return area


def inside(session: Session, parking_id: int, lat: float, lon: float, buffer_m: float = 0) -> bool:
    """Tell whether a position lies in a parking area or not farther than ``buffer_m`` from it."""
    query = select(func.ST_DWithin(cast(ParkingArea.area, Geography), _point(lat, lon), literal(buffer_m)))
    return bool(session.scalar(query.where(ParkingArea.id == parking_id)))


def distances_m(session: Session, rows: Sequence[tuple[int, int, float, float]]) -> dict[int, float]:
    """Return for (key, parking area, lat, lon) how far each position is from its area by key; 0 inside."""
    if not rows:
        return {}
    keys, parking_ids, lats, lons = (list(column) for column in zip(*rows, strict=True))
    given = (
        func.unnest(cast(keys, ARRAY(BigInteger)), cast(parking_ids, ARRAY(BigInteger)), cast(lats, ARRAY(Float)), cast(lons, ARRAY(Float)))
        .table_valued("key", "parking_id", "lat", "lon", name="given")
        .render_derived()
    )  # fmt: skip
    there = cast(func.ST_SetSRID(func.ST_MakePoint(given.c.lon, given.c.lat), 4326), Geography)
    query = select(given.c.key, func.ST_Distance(cast(ParkingArea.area, Geography), there))
    found = session.execute(query.join(ParkingArea, ParkingArea.id == given.c.parking_id))
    return {key: float(metres) for key, metres in found}


def seats(session: Session) -> dict[str, tuple[float, float]]:
    """Return the (lat, lon) of the seat of government by district code; that of the city by the code of the whole (``330100``)."""
    kinds = {"gov_city": 0, "gov_district": 1, "gov_county": 1}
    rows = session.execute(
        select(Place.adcode, Place.category, func.ST_Y(Place.point), func.ST_X(Place.point))
        .where(Place.category.in_(kinds)).order_by(Place.id.desc())
    )  # fmt: skip
    return {f"{code[:4]}00" if kinds[kind] == 0 else code: (lat, lon) for code, kind, lat, lon in rows}


def area_geojson(parking: ParkingArea) -> dict[str, Any]:
    """Return the polygon of a parking area as a GeoJSON geometry."""
    shape: dict[str, Any] = mapping(to_shape(parking.area))
    return shape


def area_feature(parking: ParkingArea, label: str) -> dict[str, Any]:
    """Return a parking area as a GeoJSON feature for the map."""
    return {"type": "Feature", "geometry": area_geojson(parking), "properties": {"kind": "parking", "label": label}}
