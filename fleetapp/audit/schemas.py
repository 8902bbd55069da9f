"""What is asked of the audit log, and what it answers."""

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text


class AuditQuery(StrictSchema):
    """Page, text, subject."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=1_000_000))
    q = Text(load_default="")
    subject_type = Text(load_default="")
    subject_id = Text(load_default="")


NUMBER = validate.Range(0, 2**62)


class RangeQuery(StrictSchema):
    """Local days, both included; none: from the beginning, to the end."""

    start_on = fields.Date(load_default=None, allow_none=True)
    end_on = fields.Date(load_default=None, allow_none=True)


class PieceQuery(StrictSchema):
    """The next entry to check, the range it belongs to, and how many broken places there were before it."""

    first = fields.Integer(required=True, validate=NUMBER)
    last = fields.Integer(required=True, validate=NUMBER)
    at = fields.Integer(required=True, validate=NUMBER)
    found = fields.Integer(load_default=0, validate=NUMBER)


class HeadsQuery(StrictSchema):
    """Page, or the day of one head."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    day = fields.Date(load_default=None)


class VerifyQuery(StrictSchema):
    """Entries to check, both included; at most as many as one answer may take time for."""

    first = fields.Integer(load_default=1, validate=validate.Range(1, 2**62))
    last = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 2**62))


class FaultOut(StrictSchema):
    """A broken place: number of the entry, what is wrong, and the number it was written under if it was moved."""

    seq = fields.Integer()
    fault = fields.String()
    was = fields.Integer(allow_none=True)


class VerifiedOut(StrictSchema):
    """What was checked; ``next`` is where to go on, none at the end."""

    first = fields.Integer()
    last = fields.Integer()
    next = fields.Integer(allow_none=True)
    faults = fields.List(fields.Nested(FaultOut))


class HeadOut(StrictSchema):
    """A published head; ``document`` is the signed file, word for word."""

    day = fields.Date()
    seq = fields.Integer()
    hash = fields.String()
    at = Moment()
    document = fields.String()
