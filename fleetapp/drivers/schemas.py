"""What drivers look like outside."""

from marshmallow import fields, validate

from fleetapp.drivers.rules import Licence
from fleetapp.kit.schema import Moment, StrictSchema, Text


class LicenceIn(StrictSchema):
    """A licence: its class and the last day that counts."""

    licence = fields.Enum(Licence, by_value=True, required=True)
    licence_valid_to = fields.Date(required=True)


class DriverIn(LicenceIn):
    """A new driver: an account that has the role, and its licence."""

    user_id = fields.Integer(required=True)


class DriverOut(StrictSchema):
    """A driver; the name is the account's."""

    id = fields.Integer()
    org_id = fields.Integer()
    user_id = fields.Integer()
    name_zh = fields.String(attribute="user.name_zh")
    name_en = fields.String(attribute="user.name_en")
    licence = fields.String()
    licence_valid_to = fields.Date()
    left_at = Moment(allow_none=True)


class DriverQuery(StrictSchema):
    """Text, licence and page of the list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))
    licence = fields.String(load_default=None, validate=validate.OneOf([licence.value for licence in Licence]))
