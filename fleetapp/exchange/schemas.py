"""What pages and API of upward exchange read and show."""

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text


class RecordQuery(StrictSchema):
    """The page of an interface's rejections, by what a record is known by or by unit."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    q = Text(load_default="", validate=validate.Length(max=100))


class ReasonIn(StrictSchema):
    """Why."""

    reason = Text(required=True, validate=validate.Length(4, 500))


class ReplayIn(ReasonIn):
    """The local days ``[start_on, last_on]`` on which records were accepted."""

    start_on = fields.Date(required=True)
    last_on = fields.Date(required=True)


class InterfaceOut(StrictSchema):
    """How an interface does. ``light``: none, off, paused, red, yellow, green."""

    code = fields.String()
    light = fields.String()
    waiting = fields.Integer()
    oldest_at = Moment(allow_none=True)
    to_mend = fields.Integer()
    filled_percent = fields.Float()
    last_ok_at = Moment(allow_none=True)
    trouble = fields.String(allow_none=True)


class FaultOut(StrictSchema):
    """What is wrong with a field."""

    field = fields.String()
    rule = fields.String()
    message = fields.String()


class RecordOut(StrictSchema):
    """A version of a record in the queue of rejections."""

    id = fields.Integer()
    org_id = fields.Integer()
    key = fields.String()
    label = fields.String()
    state = fields.String()
    faults = fields.List(fields.Nested(FaultOut))
    created_at = Moment()
    settled_at = Moment(allow_none=True)
