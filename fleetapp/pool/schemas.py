"""What the pages of the shared pool read of addresses and forms."""

from marshmallow import ValidationError, fields, validate, validates_schema

from fleetapp.kit.schema import StrictSchema, Text

MOST_DAYS = 366


class PeriodQuery(StrictSchema):
    """A day for the free vehicles and the days ``[start_on, last_on]`` of the figures."""

    on = fields.Date(load_default=None)
    start_on = fields.Date(load_default=None)
    last_on = fields.Date(load_default=None)

    @validates_schema
    def check_days(self, data: dict[str, object], **_: object) -> None:
        """Refuse days that are reversed or more than a year."""
        start, last = data.get("start_on"), data.get("last_on")
        if start and last and not 0 <= (last - start).days < MOST_DAYS:  # type: ignore[operator]
            raise ValidationError("Not a valid period.", "last_on")


class ExportIn(StrictSchema):
    """The figures of a time as a workbook, and what it is for."""

    start_on = fields.Date(required=True)
    last_on = fields.Date(required=True)
    reason = Text(required=True, validate=validate.Length(4, 500))


class NewQuery(StrictSchema):
    """What a form begins with."""

    order_id = fields.Integer(load_default=None)
    offer_id = fields.Integer(load_default=None)


class ListQuery(StrictSchema):
    """The page of a list and, for requests and loans, a state."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    state = fields.String(load_default=None, validate=validate.Length(max=20))
