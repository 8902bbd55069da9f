"""What policy figures look like outside; shared by the API and the pages."""

from decimal import Decimal

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.policies.rules import SUBJECTS, Scope

WORDS = validate.Length(2, 300)


class PolicyQuery(StrictSchema):
    """Text in code or source, the day of interest (today when not given), the organisation figures apply to, the subject."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=100, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))
    on = fields.Date(load_default=None, allow_none=True)
    org_id = fields.Integer(load_default=None, allow_none=True)
    subject = fields.String(load_default=None, validate=validate.OneOf([*SUBJECTS, "other"]))


class RowIn(StrictSchema):
    """A new value of a code."""

    scope = fields.Enum(Scope, by_value=True, required=True)
    org_id = fields.Integer(load_default=None, allow_none=True)
    value = fields.Decimal(required=True, places=4, validate=validate.Range(Decimal(0), Decimal(999999999)))
    unit = Text(required=True, validate=validate.Length(1, 20))
    valid_from = fields.Date(required=True)
    valid_to = fields.Date(load_default=None, allow_none=True)
    may_relax = fields.Boolean(load_default=False)
    source = Text(required=True, validate=WORDS)
    article = Text(required=True, validate=WORDS)
    correction = fields.Boolean(load_default=False)
    reason = Text(required=True, validate=validate.Length(4, 500))


class PolicyIn(RowIn):
    """The same with its code."""

    code = Text(required=True, validate=validate.Length(1, 100))


class WithdrawalIn(StrictSchema):
    """Why a row not in force yet is withdrawn."""

    reason = Text(required=True, validate=validate.Length(4, 500))


class PolicyOut(StrictSchema):
    """A row; ``org_id`` null: nation, province or city."""

    id = fields.Integer()
    code = fields.String()
    scope = fields.String()
    org_id = fields.Integer(allow_none=True)
    value = fields.Decimal(as_string=True)
    unit = fields.String()
    stricter = fields.String()
    may_relax = fields.Boolean()
    valid_from = fields.Date()
    valid_to = fields.Date(allow_none=True)
    source = fields.String()
    article = fields.String(allow_none=True)
    correction = fields.Boolean()
    reason = fields.String(allow_none=True)
    created_at = Moment()
    created_by = fields.Integer(allow_none=True)
    replaces_id = fields.Integer(allow_none=True)
    withdrawn_at = Moment(allow_none=True)
    withdrawn_reason = fields.String(allow_none=True)


class BelowOut(StrictSchema):
    """A row of a scope below, and the value that stands in its place before and after."""

    row = fields.Nested(PolicyOut)
    before = fields.Decimal(as_string=True)
    after = fields.Decimal(as_string=True)


class UnitOut(StrictSchema):
    """Counts of one organisation."""

    org_id = fields.Integer(attribute="org.id")
    before = fields.Integer()
    after = fields.Integer()


class ChangeOut(StrictSchema):
    """What one count becomes; ``gained`` and ``lost`` are ids of the rows counted."""

    effect = fields.String(attribute="measure.text")
    before = fields.Integer()
    after = fields.Integer()
    gained = fields.List(fields.Integer())
    lost = fields.List(fields.Integer())
    units = fields.List(fields.Nested(UnitOut))
    only_on_record = fields.Boolean(attribute="measure.blind")


class PreviewOut(StrictSchema):
    """What a row would replace and change; without ``changes`` no immediate effect is computed for this figure."""

    on = fields.Date()
    valid_from = fields.Date(attribute="row.valid_from")
    valid_to = fields.Date(attribute="row.valid_to", allow_none=True)
    replaces = fields.Nested(PolicyOut, allow_none=True)
    above = fields.Nested(PolicyOut, allow_none=True)
    below = fields.List(fields.Nested(BelowOut))
    changes = fields.List(fields.Nested(ChangeOut))
