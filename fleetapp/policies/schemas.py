"""What policy figures look like outside."""

from marshmallow import fields, validate

from fleetapp.kit.schema import StrictSchema, Text


class PolicyQuery(StrictSchema):
    """Text in code or source, and the day of interest (today when not given)."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=100, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))
    on = fields.Date(load_default=None, allow_none=True)


class PolicyOut(StrictSchema):
    """A figure in force; ``org_id`` null: everywhere."""

    code = fields.String()
    org_id = fields.Integer(allow_none=True)
    value = fields.Decimal(as_string=True)
    unit = fields.String()
    valid_from = fields.Date()
    valid_to = fields.Date(allow_none=True)
    source = fields.String()
    article = fields.String(allow_none=True)
