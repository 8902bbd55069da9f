"""Trips outside."""

from typing import Any

from geoalchemy2.shape import to_shape
from marshmallow import ValidationError, fields, validate, validates_schema

from fleetapp.kit.schema import Moment, StrictSchema, Text

KINDS = ("matched", "weak", "ambiguous", "unmatched")


class TripQuery(StrictSchema):
    """Which part of the list; ``start_on`` and ``end_on`` are local dates of the trip's start, both included."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    plate = Text(load_default="", validate=validate.Length(max=20))
    kind = fields.String(load_default="", validate=validate.OneOf(["", *KINDS]))
    start_on = fields.Date(load_default=None)
    end_on = fields.Date(load_default=None)
    org_id = fields.Integer(load_default=None)
    vehicle_id = fields.Integer(load_default=None)
    order_id = fields.Integer(load_default=None)

    @validates_schema
    def in_order(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a reversed period."""
        if data.get("start_on") and data.get("end_on") and data["start_on"] > data["end_on"]:
            raise ValidationError("Must not be before start_on.", "end_on")


class PurposeQuery(StrictSchema):
    """Why a track is read; it is logged."""

    purpose = Text(load_default="", validate=validate.Length(max=200))


class TakeQuery(StrictSchema):
    """Why a track is taken out; it is logged and written into the file."""

    purpose = Text(required=True, validate=validate.Length(2, 200))


class PartOut(StrictSchema):
    """Part of a trip and the order it belongs to, with every part of the score."""

    start_at = Moment()
    end_at = Moment()
    order_id = fields.Integer(allow_none=True)
    kind = fields.String()
    distance_m = fields.Float()
    score_time = fields.Float(allow_none=True)
    score_dest = fields.Float(allow_none=True)
    score_orig = fields.Float(allow_none=True)
    score_driver = fields.Float(allow_none=True)
    score_events = fields.Float(allow_none=True)
    score = fields.Float(allow_none=True)
    margin = fields.Float()
    candidates = fields.List(fields.Dict())


class TripOut(StrictSchema):
    """A trip with its distance by every method, in metres."""

    id = fields.Integer()
    org_id = fields.Integer()
    vehicle_id = fields.Integer()
    plate = fields.String(attribute="vehicle.plate")
    start_at = Moment()
    end_at = Moment()
    start_place = fields.String(allow_none=True)
    end_place = fields.String(allow_none=True)
    gps_m = fields.Float()
    odometer_m = fields.Float(allow_none=True)
    speed_m = fields.Float(allow_none=True)
    matched_m = fields.Float(allow_none=True)
    matched_source = fields.String(allow_none=True)
    best_m = fields.Float()
    best_source = fields.String()
    error_m = fields.Float()
    coverage = fields.Float()
    points = fields.Integer()
    max_speed_kmh = fields.Float()
    superseded_at = Moment(allow_none=True)
    matches = fields.List(fields.Nested(PartOut))


class TripDetailOut(TripOut):
    """A trip with its stays, gaps and path ``[[lon, lat], ...]``."""

    stops = fields.List(fields.Dict())
    gaps = fields.List(fields.Dict())
    path = fields.Function(lambda trip: [[round(lon, 6), round(lat, 6)] for lon, lat in to_shape(trip.path).coords])
