"""What places and parking areas look like outside."""

from typing import Any

from marshmallow import fields, validate

from fleetapp.kit.schema import StrictSchema, Text
from fleetapp.places import queries


class SearchQuery(StrictSchema):
    """A search text: Chinese, pinyin, initials or English."""

    q = Text(load_default="", validate=validate.Length(max=100))
    limit = fields.Integer(load_default=queries.SEARCH_LIMIT, validate=validate.Range(min=1, max=50))


class PlaceOut(StrictSchema):
    """A place, WGS-84 degrees; ``accuracy_m`` is how far the point may be from the entrance."""

    id = fields.Integer()
    name = fields.String(attribute="name_zh")
    name_en = fields.String()
    category = fields.String()
    lat = fields.Float()
    lon = fields.Float()
    accuracy_m = fields.Integer()


class PageQuery(StrictSchema):
    """Which page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))


class ParkingIn(StrictSchema):
    """A new parking area; ``area`` is a GeoJSON polygon, WGS-84, longitude first."""

    org_id = fields.Integer(required=True)
    name_zh = Text(required=True, validate=validate.Length(1, 60))
    name_en = Text(required=True, validate=validate.Length(1, 60))
    area = fields.Dict(required=True)


class ParkingForm(StrictSchema):
    """The page's form: corners as lines of ``latitude, longitude``."""

    org_id = fields.Integer(required=True)
    name_zh = Text(required=True, validate=validate.Length(1, 60))
    name_en = Text(required=True, validate=validate.Length(1, 60))
    corners = Text(required=True, validate=validate.Length(1, 10_000))


class ParkingOut(StrictSchema):
    """A parking area with its polygon as GeoJSON."""

    id = fields.Integer()
    org_id = fields.Integer()
    name_zh = fields.String()
    name_en = fields.String()
    area = fields.Method("geometry")

    def geometry(self, parking: Any) -> dict[str, Any]:
        """Return the polygon as GeoJSON."""
        return queries.area_geojson(parking)
