"""What quotas, indicators and purchases look like outside; shared by the API and the pages."""

from decimal import Decimal
from typing import Any

from marshmallow import fields, validate

from fleetapp.acquisitions.rules import IndicatorAction, IndicatorKind, IndicatorState, Step
from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.vehicles.rules import Body, Category, Energy

PRICE = validate.Range(Decimal("0.01"), Decimal("9999999.99"))


class Money(fields.Decimal):
    """CNY with at most two decimals, as a string outside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(as_string=True, allow_nan=False, validate=PRICE, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Decimal:
        amount: Decimal = super()._deserialize(value, attr, data, **kwargs)
        if amount != amount.quantize(Decimal("0.01")):
            raise self.make_error("invalid")
        return amount


class QuotaIn(StrictSchema):
    """A change of a unit's quota; with ``counterpart_org_id`` that many places come from (or go to) that unit."""

    org_id = fields.Integer(required=True)
    category = fields.Enum(Category, by_value=True, required=True)
    delta = fields.Integer(required=True, validate=validate.Range(-500, 500))
    effective_on = fields.Date(required=True)
    document_no = Text(required=True, validate=validate.Length(2, 100))


class QuotaMoveIn(StrictSchema):
    """Places given from one unit to another."""

    from_org_id = fields.Integer(required=True)
    to_org_id = fields.Integer(required=True)
    category = fields.Enum(Category, by_value=True, required=True)
    number = fields.Integer(required=True, validate=validate.Range(1, 500))
    effective_on = fields.Date(required=True)
    document_no = Text(required=True, validate=validate.Length(2, 100))


class QuotaQuery(StrictSchema):
    """The day of the matrix; today when not given."""

    on = fields.Date(load_default=None, allow_none=True)


class PlacesOut(StrictSchema):
    """A unit's places in one class."""

    org_id = fields.Integer()
    category = fields.String()
    quota = fields.Integer()
    in_service = fields.Integer()
    reserved = fields.Integer()
    committed = fields.Integer()
    free = fields.Integer()


class IndicatorFields(StrictSchema):
    """What is asked for; prices without purchase tax."""

    kind = fields.Enum(IndicatorKind, by_value=True, required=True)
    category = fields.Enum(Category, by_value=True, required=True)
    body = fields.Enum(Body, by_value=True, required=True)
    energy = fields.Enum(Energy, by_value=True, required=True)
    step = fields.Enum(Step, by_value=True, load_default=Step.NORMAL)
    max_price = Money(required=True)
    max_displacement_ml = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 20000))
    justification = Text(required=True, validate=validate.Length(4, 2000))
    fuel_reason = Text(load_default=None, allow_none=True, validate=validate.Length(max=500))
    leader_fixed = fields.Boolean(load_default=False)
    special_approval = Text(load_default=None, allow_none=True, validate=validate.Length(max=200))
    old_vehicle_id = fields.Integer(load_default=None, allow_none=True)


class IndicatorIn(IndicatorFields):
    """A new application of the own unit."""

    fiscal_year = fields.Integer(required=True, validate=validate.Range(2000, 2100))


class IndicatorStepIn(StrictSchema):
    """A step of an application with its note."""

    action = fields.Enum(IndicatorAction, by_value=True, required=True)
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=500))


class BudgetIn(StrictSchema):
    """Money for an indicator."""

    amount = Money(required=True)
    fiscal_year = fields.Integer(required=True, validate=validate.Range(2000, 2100))
    document_no = Text(required=True, validate=validate.Length(2, 100))


class PurchaseIn(StrictSchema):
    """A purchase to open."""

    model = Text(required=True, validate=validate.Length(1, 80))
    domestic = fields.Boolean(load_default=False)
    displacement_ml = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 20000))


class ContractIn(StrictSchema):
    """The contract; the price without purchase tax."""

    contract_no = Text(required=True, validate=validate.Length(2, 100))
    contract_on = fields.Date(required=True)
    price = Money(required=True)
    supplier = Text(required=True, validate=validate.Length(2, 100))


class DeliveryIn(StrictSchema):
    """What came."""

    vin = Text(required=True, validate=validate.Length(1, 40))
    engine_no = Text(load_default=None, allow_none=True, validate=validate.Length(max=40))


class AcceptanceIn(StrictSchema):
    """What two people saw: the number on the car, nothing luxurious added."""

    vin = Text(required=True, validate=validate.Length(1, 40))
    second_acceptor_id = fields.Integer(required=True)
    no_extras = fields.Boolean(load_default=False)


class RegistrationIn(StrictSchema):
    """The registration certificate."""

    plate = Text(required=True, validate=validate.Length(7, 12))
    registered_on = fields.Date(required=True)
    owner_name = Text(required=True, validate=validate.Length(2, 100))
    seats = fields.Integer(required=True, validate=validate.Range(1, 60))
    range_km = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 2000))
    parking_id = fields.Integer(load_default=None, allow_none=True)
    terminal_phone = Text(load_default=None, allow_none=True, validate=validate.Length(max=40))


class CancelIn(StrictSchema):
    """Why a purchase is given up."""

    note = Text(required=True, validate=validate.Length(4, 500))


class IndicatorQuery(StrictSchema):
    """Filters and page of the list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))
    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in IndicatorState]))
    year = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(2000, 2100))


class ProcurementOut(StrictSchema):
    """A purchase."""

    id = fields.Integer()
    indicator_id = fields.Integer()
    state = fields.String()
    model = fields.String()
    contract_no = fields.String(allow_none=True)
    contract_on = fields.Date(allow_none=True)
    price = fields.Decimal(as_string=True, allow_none=True)
    supplier = fields.String(allow_none=True)
    vin = fields.String(allow_none=True)
    vehicle_id = fields.Integer(allow_none=True)
    stage_since = Moment()


class IndicatorOut(StrictSchema):
    """An indicator with its purchases."""

    id = fields.Integer()
    org_id = fields.Integer()
    number = fields.String()
    kind = fields.String()
    category = fields.String()
    body = fields.String()
    energy = fields.String()
    step = fields.String()
    max_price = fields.Decimal(as_string=True)
    max_displacement_ml = fields.Integer(allow_none=True)
    fiscal_year = fields.Integer()
    expires_on = fields.Date()
    justification = fields.String()
    state = fields.String()
    old_vehicle_id = fields.Integer(allow_none=True)
    vehicle_id = fields.Integer(allow_none=True)
    decided_at = Moment(allow_none=True)
    procurements = fields.List(fields.Nested(ProcurementOut))


class CheckOut(StrictSchema):
    """A line of the rule check list."""

    code = fields.String()
    ok = fields.Boolean()
    blocks = fields.Boolean()
    source = fields.String()
    params = fields.Dict()


class BudgetOut(StrictSchema):
    """A budget line."""

    id = fields.Integer()
    indicator_id = fields.Integer()
    fiscal_year = fields.Integer()
    amount = fields.Decimal(as_string=True)
    document_no = fields.String()


class OwnRenewal(StrictSchema):
    """Query of the form: renew this vehicle."""

    old_vehicle_id = fields.Integer(load_default=None, allow_none=True)
