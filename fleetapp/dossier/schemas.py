"""What a vehicle's file looks like outside."""

from marshmallow import fields, validate

from fleetapp.dossier.rules import ATTRIBUTES
from fleetapp.kit.schema import Moment, StrictSchema

TABS = ("basics", "acquisition", "papers", "upkeep", "energy", "costs", "travel", "seals", "disposal", "log", "all")


class FileQuery(StrictSchema):
    """Which part is shown; "all" is for printing."""

    tab = fields.String(load_default="basics", validate=validate.OneOf(TABS))


class FactsIn(StrictSchema):
    """Values by attribute."""

    values = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 60)), values=fields.String(validate=validate.Length(1, 500)),
        required=True, validate=validate.Length(1, len(ATTRIBUTES)),
    )  # fmt: skip


class HappeningOut(StrictSchema):
    """Something in the vehicle's life."""

    at = Moment()
    part = fields.String()
    text = fields.String()
    detail = fields.String()
    who = fields.String()


class StretchOut(StrictSchema):
    """A time in one state."""

    state = fields.String()
    start = Moment()
    end = Moment()


class FileOut(StrictSchema):
    """One vehicle's file: values as texts, completeness, states and life."""

    vehicle_id = fields.Integer()
    values = fields.Dict(keys=fields.String(), values=fields.String(allow_none=True))
    filled = fields.Integer()
    wanted = fields.Integer()
    share = fields.Float()
    missing = fields.List(fields.String())
    states = fields.List(fields.Nested(StretchOut))
    life = fields.List(fields.Nested(HappeningOut))
