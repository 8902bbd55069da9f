"""What floors look like outside; shared by the API and the pages."""

from typing import Any

from marshmallow import fields, validate

from fleetapp.kit.schema import StrictSchema, Text
from fleetapp.reserves.rules import ANY_BODY, DAY_MIN, Level
from fleetapp.vehicles.rules import Body

BODIES = [*(body.value for body in Body), ANY_BODY]


def _standing(reserve: Any) -> str:
    return str(reserve.standing)


class FloorIn(StrictSchema):
    """A floor; ``from_min`` and ``until_min`` are minutes of the local day, ``end_on`` the first day without it."""

    org_id = fields.Integer(required=True)
    body = fields.String(required=True, validate=validate.OneOf(BODIES))
    level = fields.Enum(Level, by_value=True, load_default=Level.USUAL)
    from_min = fields.Integer(load_default=0, validate=validate.Range(0, DAY_MIN))
    until_min = fields.Integer(load_default=DAY_MIN, validate=validate.Range(0, DAY_MIN))
    start_on = fields.Date(required=True)
    end_on = fields.Date(load_default=None, allow_none=True)
    vehicles = fields.Integer(required=True, validate=validate.Range(0, 999))
    reason = Text(required=True, validate=validate.Length(2, 300))


class EndIn(StrictSchema):
    """Why a floor ends."""

    reason = Text(required=True, validate=validate.Length(2, 300))


class FloorOut(StrictSchema):
    """A floor."""

    id = fields.Integer()
    org_id = fields.Integer()
    body = fields.String()
    level = fields.String()
    from_min = fields.Integer(attribute="minutes.lower")
    until_min = fields.Integer(attribute="minutes.upper")
    start_on = fields.Date(attribute="during.lower", allow_none=True)
    end_on = fields.Date(attribute="during.upper", allow_none=True)
    vehicles = fields.Integer()
    reason = fields.String()


class ReserveOut(StrictSchema):
    """How a reserve stands: ``standing`` is ok, at_risk (free equals the floor) or short."""

    org_id = fields.Integer(attribute="org.id")
    name_zh = fields.String(attribute="org.name_zh")
    name_en = fields.String(attribute="org.name_en")
    body = fields.String()
    floor = fields.Integer()
    free = fields.Integer()
    total = fields.Integer()
    standing = fields.Function(_standing)
