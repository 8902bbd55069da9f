"""What notices and records look like outside; shared by the API and the pages."""

from decimal import Decimal

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.seals.rules import KeyHolder, RecordState


class CampaignIn(StrictSchema):
    """A draft; ``end_on`` is the first day after the period."""

    org_id = fields.Integer(required=True)
    holiday = Text(required=True, validate=validate.Length(2, 40))
    start_on = fields.Date(required=True)
    end_on = fields.Date(required=True)


class PublishIn(StrictSchema):
    """The publishing."""

    notice_no = Text(required=True, validate=validate.Length(2, 100))


class NoteIn(StrictSchema):
    """A step that says why."""

    note = Text(required=True, validate=validate.Length(2, 500))


class EmptyIn(StrictSchema):
    """A step with nothing to say."""


class OdometerIn(StrictSchema):
    """A reading of the odometer."""

    odometer_km = fields.Decimal(required=True, places=1, validate=validate.Range(Decimal(0), Decimal(3_000_000)))


class ProofIn(OdometerIn):
    """Where the vehicle is parked and who keeps its key; the photograph comes beside it as a file ``photo``."""

    parking_id = fields.Integer(required=True)
    keys_with = fields.Enum(KeyHolder, by_value=True, required=True)


class ExceptionIn(StrictSchema):
    """A request to keep a vehicle for duty; ``end_on`` is the first day after it."""

    purpose = Text(required=True, validate=validate.Length(4, 300))
    start_on = fields.Date(required=True)
    end_on = fields.Date(required=True)


class PageQuery(StrictSchema):
    """Page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))


class RecordQuery(PageQuery):
    """Filters and page of a notice's vehicles."""

    q = Text(load_default="", validate=validate.Length(max=100))
    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in RecordState]))
    org_id = fields.Integer(load_default=None)
    asked = fields.Boolean(load_default=False)


class CampaignOut(StrictSchema):
    """A notice."""

    id = fields.Integer()
    org_id = fields.Integer()
    number = fields.String()
    holiday = fields.String()
    start_on = fields.Date()
    end_on = fields.Date()
    state = fields.String()
    notice_no = fields.String(allow_none=True)
    published_at = Moment(allow_none=True)
    closed_at = Moment(allow_none=True)


class RecordOut(StrictSchema):
    """One vehicle under a notice; ``moved_m`` is the odometer's difference at unsealing."""

    id = fields.Integer()
    org_id = fields.Integer()
    campaign_id = fields.Integer()
    vehicle_id = fields.Integer()
    plate = fields.String(attribute="vehicle.plate")
    state = fields.String()
    parking_id = fields.Integer(allow_none=True)
    keys_with = fields.String(allow_none=True)
    attachment_id = fields.Integer(allow_none=True)
    sealed_odometer_m = fields.Integer(allow_none=True)
    sealed_at = Moment(allow_none=True)
    unsealed_odometer_m = fields.Integer(allow_none=True)
    unsealed_at = Moment(allow_none=True)
    moved_m = fields.Integer(allow_none=True)
    exempt_from = fields.Date(allow_none=True)
    exempt_until = fields.Date(allow_none=True)


class ExceptionOut(StrictSchema):
    """A request to keep a vehicle for duty."""

    id = fields.Integer()
    record_id = fields.Integer()
    purpose = fields.String()
    start_on = fields.Date()
    end_on = fields.Date()
    state = fields.String()
    note = fields.String(allow_none=True)


class CountOut(StrictSchema):
    """Numbers of a unit or of all of them."""

    total = fields.Integer()
    to_seal = fields.Integer()
    sealed = fields.Integer()
    unsealed = fields.Integer()
    exempt = fields.Integer()
    missed = fields.Integer()
    asked = fields.Integer()
    moved = fields.Integer()
    outside = fields.Integer()
    odd = fields.Integer()


class UnitOut(StrictSchema):
    """A unit with its light."""

    org_id = fields.Integer(attribute="org.id")
    name_zh = fields.String(attribute="org.name_zh")
    name_en = fields.String(attribute="org.name_en")
    light = fields.String()
    too_many_exempt = fields.Boolean()
    count = fields.Nested(CountOut)


class MovedOut(StrictSchema):
    """A trip made while sealed."""

    record_id = fields.Integer(attribute="record.id")
    vehicle_id = fields.Integer(attribute="record.vehicle_id")
    plate = fields.String(attribute="record.vehicle.plate")
    start_at = Moment()
    end_at = Moment()
    distance_m = fields.Float()


class OutsideOut(StrictSchema):
    """A sealed vehicle outside its place; where it is, is said to whoever may watch positions."""

    record_id = fields.Integer(attribute="record.id")
    vehicle_id = fields.Integer(attribute="record.vehicle_id")
    plate = fields.String(attribute="record.vehicle.plate")
    at = Moment()
    away_m = fields.Float()


class LightOut(StrictSchema):
    """The live light of a notice."""

    at = Moment()
    light = fields.String()
    late = fields.Boolean()
    total = fields.Nested(CountOut)
    units = fields.List(fields.Nested(UnitOut))
    moved = fields.List(fields.Nested(MovedOut))
    outside = fields.List(fields.Nested(OutsideOut))
