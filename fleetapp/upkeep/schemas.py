"""What upkeep looks like outside; shared by the API and the pages."""

from decimal import Decimal
from typing import Any

from marshmallow import fields, post_load, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.upkeep.rules import (
    IncidentKind,
    IncidentState,
    Item,
    Liability,
    LineKind,
    SupplierKind,
    WorkKind,
    WorkState,
)
from fleetapp.vehicles.rules import Energy

MONEY = validate.Range(Decimal(0), Decimal("9999999.99"))
METRES = validate.Range(0, 5_000_000_000)
KILOMETRES = validate.Range(Decimal(0), Decimal(5_000_000))


class ReportIn(StrictSchema):
    """A fault, or maintenance that is due."""

    vehicle_id = fields.Integer(required=True)
    kind = fields.Enum(WorkKind, by_value=True, load_default=WorkKind.REPAIR)
    fault = Text(required=True, validate=validate.Length(4, 1000))
    items = fields.List(fields.Enum(Item, by_value=True), load_default=list)


class QuoteIn(StrictSchema):
    """What a supplier asks."""

    supplier_id = fields.Integer(required=True)
    amount = fields.Decimal(required=True, places=2, validate=validate.Range(Decimal("0.01"), Decimal("9999999.99")))
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))


class SubmitIn(StrictSchema):
    """The chosen quote."""

    supplier_id = fields.Integer(required=True)
    single_reason = Text(load_default=None, allow_none=True, validate=validate.Length(4, 300))


class NoteIn(StrictSchema):
    """A step that says why."""

    note = Text(required=True, validate=validate.Length(2, 500))


class EmptyIn(StrictSchema):
    """A step with nothing to say."""


class StartIn(StrictSchema):
    """The reading at the shop's door."""

    entry_m = fields.Integer(required=True, validate=METRES)


class StartForm(StrictSchema):
    """As ``StartIn``, in kilometres."""

    entry_km = fields.Decimal(required=True, validate=KILOMETRES)

    @post_load
    def metres(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Turn kilometres into metres."""
        return {"entry_m": int(data["entry_km"] * 1000)}


class LineIn(StrictSchema):
    """Labour, a part or a tyre."""

    kind = fields.Enum(LineKind, by_value=True, required=True)
    name = Text(required=True, validate=validate.Length(1, 100))
    quantity = fields.Decimal(required=True, places=2, validate=validate.Range(Decimal(-9999), Decimal(9999)))
    unit_price = fields.Decimal(required=True, places=2, validate=MONEY)
    serial = Text(load_default=None, allow_none=True, validate=validate.Length(max=60))


class ListQuery(StrictSchema):
    """Text and page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(min=1, max=200))
    q = Text(load_default="", validate=validate.Length(max=100))


class WorkQuery(ListQuery):
    """Filters of the work orders."""

    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in WorkState]))


class QuoteOut(StrictSchema):
    """A quote."""

    id = fields.Integer()
    order_id = fields.Integer()
    supplier_id = fields.Integer()
    amount = fields.Decimal(as_string=True)
    note = fields.String(allow_none=True)


class LineOut(StrictSchema):
    """A line."""

    id = fields.Integer()
    kind = fields.String()
    name = fields.String()
    quantity = fields.Decimal(as_string=True)
    unit_price = fields.Decimal(as_string=True)
    amount = fields.Decimal(as_string=True)
    serial = fields.String(allow_none=True)


class WorkOut(StrictSchema):
    """A work order."""

    id = fields.Integer()
    org_id = fields.Integer()
    number = fields.String()
    vehicle_id = fields.Integer()
    kind = fields.String()
    state = fields.String()
    fault = fields.String()
    items = fields.List(fields.String())
    requester_id = fields.Integer()
    supplier_id = fields.Integer(allow_none=True)
    approved_limit = fields.Decimal(as_string=True, allow_none=True)
    final_cost = fields.Decimal(as_string=True, allow_none=True)
    entry_m = fields.Integer(allow_none=True)
    created_at = Moment()
    accepted_at = Moment(allow_none=True)


class WorkDetailOut(WorkOut):
    """A work order with its quotes and lines."""

    quotes = fields.List(fields.Nested(QuoteOut))
    lines = fields.List(fields.Nested(LineOut))


class SupplierIn(StrictSchema):
    """A designated supplier."""

    org_id = fields.Integer(required=True)
    name = Text(required=True, validate=validate.Length(2, 100))
    kind = fields.Enum(SupplierKind, by_value=True, required=True)
    contract_no = Text(required=True, validate=validate.Length(2, 80))
    contract_from = fields.Date(required=True)
    contract_to = fields.Date(required=True)
    phone = Text(load_default=None, allow_none=True, validate=validate.Length(max=40))


class ContractIn(StrictSchema):
    """Another end of a contract."""

    contract_to = fields.Date(required=True)
    reason = Text(required=True, validate=validate.Length(2, 200))


class SupplierOut(StrictSchema):
    """A designated supplier."""

    id = fields.Integer()
    org_id = fields.Integer()
    name = fields.String()
    kind = fields.String()
    contract_no = fields.String()
    contract_from = fields.Date()
    contract_to = fields.Date()
    phone = fields.String(allow_none=True)


class PlanIn(StrictSchema):
    """How often an item is maintained, and for which vehicles."""

    org_id = fields.Integer(required=True)
    item = fields.Enum(Item, by_value=True, required=True)
    vehicle_id = fields.Integer(load_default=None, allow_none=True)
    model = Text(load_default=None, allow_none=True, validate=validate.Length(max=80))
    energy = fields.Enum(Energy, by_value=True, load_default=None, allow_none=True)
    every_km = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(100, 400_000))
    every_months = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 120))
    every_hours = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(10, 20_000))


class PlanOut(StrictSchema):
    """A plan."""

    id = fields.Integer()
    org_id = fields.Integer()
    item = fields.String()
    vehicle_id = fields.Integer(allow_none=True)
    model = fields.String(allow_none=True)
    energy = fields.String(allow_none=True)
    every_km = fields.Integer(allow_none=True)
    every_months = fields.Integer(allow_none=True)
    every_hours = fields.Integer(allow_none=True)


class ReadingIn(StrictSchema):
    """A reading of the odometer, and of the engine's hours where they are counted."""

    reading_m = fields.Integer(required=True, validate=METRES)
    at = Moment(required=True)
    engine_h = fields.Decimal(
        load_default=None, allow_none=True, places=1, validate=validate.Range(Decimal(0), Decimal(999_999))
    )


class ReadingForm(StrictSchema):
    """As ``ReadingIn``, in kilometres."""

    reading_km = fields.Decimal(required=True, validate=KILOMETRES)
    at = Moment(required=True)
    engine_h = fields.Decimal(
        load_default=None, allow_none=True, places=1, validate=validate.Range(Decimal(0), Decimal(999_999))
    )

    @post_load
    def metres(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Turn kilometres into metres."""
        data["reading_m"] = int(data.pop("reading_km") * 1000)
        return data


class ReadingOut(StrictSchema):
    """A reading on record."""

    id = fields.Integer()
    vehicle_id = fields.Integer()
    meter = fields.Integer()
    at = Moment()
    reading_m = fields.Integer()
    engine_h = fields.Decimal(as_string=True, allow_none=True)
    source = fields.String()


class MeterIn(StrictSchema):
    """A change of meter."""

    at = Moment(required=True)
    end_m = fields.Integer(required=True, validate=METRES)
    start_m = fields.Integer(required=True, validate=METRES)
    reason = Text(required=True, validate=validate.Length(4, 200))


class MeterForm(StrictSchema):
    """As ``MeterIn``, in kilometres."""

    at = Moment(required=True)
    end_km = fields.Decimal(required=True, validate=KILOMETRES)
    start_km = fields.Decimal(required=True, validate=KILOMETRES)
    reason = Text(required=True, validate=validate.Length(4, 200))

    @post_load
    def metres(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Turn kilometres into metres."""
        return data | {name: int(data.pop(f"{name[:-2]}_km") * 1000) for name in ("end_m", "start_m")}


class MeterOut(StrictSchema):
    """A change of meter on record."""

    id = fields.Integer()
    vehicle_id = fields.Integer()
    meter = fields.Integer()
    at = Moment()
    end_m = fields.Integer()
    start_m = fields.Integer()
    reason = fields.String()


class DoneIn(StrictSchema):
    """Maintenance of former records."""

    items = fields.List(fields.Enum(Item, by_value=True), required=True, validate=validate.Length(1, 20))
    done_on = fields.Date(required=True)
    odometer_km = fields.Decimal(required=True, validate=KILOMETRES)
    note = Text(load_default=None, allow_none=True, validate=validate.Length(max=300))

    @post_load
    def metres(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Turn kilometres into metres."""
        return data | {"odometer_m": int(data.pop("odometer_km") * 1000)}


class IncidentIn(StrictSchema):
    """An accident or a violation."""

    vehicle_id = fields.Integer(required=True)
    kind = fields.Enum(IncidentKind, by_value=True, required=True)
    happened_at = Moment(required=True)
    place = Text(required=True, validate=validate.Length(2, 200))
    account = Text(required=True, validate=validate.Length(4, 2000))
    driver_id = fields.Integer(load_default=None, allow_none=True)
    liability = fields.Enum(Liability, by_value=True, load_default=None, allow_none=True)
    loss = fields.Decimal(load_default=None, allow_none=True, places=2, validate=MONEY)
    fine = fields.Decimal(load_default=None, allow_none=True, places=2, validate=MONEY)
    points = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 12))


class ClosingIn(StrictSchema):
    """How an incident was handled."""

    handling = Text(required=True, validate=validate.Length(4, 1000))
    loss = fields.Decimal(load_default=None, allow_none=True, places=2, validate=MONEY)
    liability = fields.Enum(Liability, by_value=True, load_default=None, allow_none=True)
    fine = fields.Decimal(load_default=None, allow_none=True, places=2, validate=MONEY)
    points = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 12))


class IncidentQuery(ListQuery):
    """Filters of the incidents."""

    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in IncidentState]))


class IncidentOut(StrictSchema):
    """An incident."""

    id = fields.Integer()
    org_id = fields.Integer()
    vehicle_id = fields.Integer()
    driver_id = fields.Integer(allow_none=True)
    kind = fields.String()
    state = fields.String()
    happened_at = Moment()
    place = fields.String()
    account = fields.String()
    liability = fields.String(allow_none=True)
    loss = fields.Decimal(as_string=True, allow_none=True)
    fine = fields.Decimal(as_string=True, allow_none=True)
    points = fields.Integer(allow_none=True)
    handling = fields.String(allow_none=True)


class DueQuery(StrictSchema):
    """Filters of what comes due."""

    org_id = fields.Integer(load_default=None)
    month = fields.String(load_default=None, validate=validate.Regexp(r"\d{4}-(0[1-9]|1[0-2])\Z"))
    group = fields.String(load_default=None, validate=validate.OneOf(["maintenance", "inspection", "insurance"]))


class DueOut(StrictSchema):
    """Something that comes due."""

    vehicle_id = fields.Integer()
    plate = fields.String()
    kind = fields.String()
    item = fields.String()
    due_on = fields.Date()
    left_days = fields.Integer()
    by = fields.String()
    reminded = fields.Boolean()
