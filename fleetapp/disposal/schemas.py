"""What disposal cases look like outside; shared by the API and the pages."""

from decimal import Decimal

from marshmallow import fields, validate

from fleetapp.disposal.rules import DisposalState, Mode
from fleetapp.kit.schema import Moment, StrictSchema, Text

NOT_NEGATIVE = validate.Range(Decimal(0), Decimal("9999999.99"))


class CaseIn(StrictSchema):
    """A request."""

    vehicle_id = fields.Integer(required=True)
    mode = fields.Enum(Mode, by_value=True, required=True)
    reason = Text(required=True, validate=validate.Length(4, 500))
    special_approval = Text(load_default=None, allow_none=True, validate=validate.Length(max=200))
    receiver_org_id = fields.Integer(load_default=None, allow_none=True)


class NoteIn(StrictSchema):
    """A step that says why."""

    note = Text(required=True, validate=validate.Length(2, 500))


class AppraisalIn(StrictSchema):
    """What the vehicle is worth."""

    appraised_value = fields.Decimal(required=True, places=2, validate=NOT_NEGATIVE)
    appraiser = Text(required=True, validate=validate.Length(2, 100))
    reserve_price = fields.Decimal(load_default=None, allow_none=True, places=2, validate=NOT_NEGATIVE)


class ApprovalIn(NoteIn):
    """The approval with its number."""

    approval_no = Text(required=True, validate=validate.Length(2, 100))


class DealIn(StrictSchema):
    """The sale, or the scrapping."""

    deal_on = fields.Date(required=True)
    deal_price = fields.Decimal(required=True, places=2, validate=NOT_NEGATIVE)
    buyer = Text(required=True, validate=validate.Length(2, 100))
    licence_no = Text(load_default=None, allow_none=True, validate=validate.Length(max=100))


class EmptyIn(StrictSchema):
    """A step with nothing to say."""


class RemittanceIn(StrictSchema):
    """What went to the treasury."""

    allowed_fees = fields.Decimal(required=True, places=2, validate=NOT_NEGATIVE)
    remitted_on = fields.Date(required=True)
    receipt_no = Text(required=True, validate=validate.Length(2, 100))


class DeregistrationIn(StrictSchema):
    """The cancelled registration and what belongs to it."""

    certificate_no = Text(required=True, validate=validate.Length(2, 100))
    deregistered_on = fields.Date(required=True)
    marking_removed = fields.Boolean(load_default=False)
    cards_cancelled = fields.Boolean(load_default=False)
    insurance_ended = fields.Boolean(load_default=False)


class CaseQuery(StrictSchema):
    """Filters and page of the list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))
    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in DisposalState]))


class CaseOut(StrictSchema):
    """A case."""

    id = fields.Integer()
    org_id = fields.Integer()
    number = fields.String()
    vehicle_id = fields.Integer()
    mode = fields.String()
    receiver_org_id = fields.Integer(allow_none=True)
    state = fields.String()
    reason = fields.String()
    appraised_value = fields.Decimal(as_string=True, allow_none=True)
    deal_price = fields.Decimal(as_string=True, allow_none=True)
    remitted = fields.Decimal(as_string=True, allow_none=True)
    receipt_no = fields.String(allow_none=True)
    certificate_no = fields.String(allow_none=True)
    archive_sha256 = fields.String(allow_none=True)
    created_at = Moment()
