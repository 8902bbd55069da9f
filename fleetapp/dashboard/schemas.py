"""What the dashboard is asked and what it tells outside."""

from marshmallow import fields, validate

from fleetapp.dashboard.measures import MEASURES
from fleetapp.kit.paging import LARGEST_PAGE, PAGE_SIZE
from fleetapp.kit.schema import Moment, StrictSchema


class ScopeQuery(StrictSchema):
    """Whose figures: an organisation with what is below it, or with ``own`` only what no district below it holds."""

    org_id = fields.Integer(load_default=None, allow_none=True)
    own = fields.Boolean(load_default=False)


class RowsQuery(ScopeQuery):
    """One page of the rows behind a figure."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 1_000_000))
    size = fields.Integer(load_default=PAGE_SIZE, validate=validate.Range(1, LARGEST_PAGE))


class FigureOut(StrictSchema):
    """A figure; ``list`` is the code of its rows where they are open to the reader."""

    code = fields.String()
    value = fields.Float(allow_none=True)
    unit = fields.String(validate=validate.OneOf(["count", "share", "cny", "km"]))
    list_code = fields.String(allow_none=True, data_key="list", validate=validate.OneOf(sorted(MEASURES)))


class TileOut(StrictSchema):
    """A tile: filled, empty, closed to the reader, or without a policy figure that it needs."""

    code = fields.String()
    state = fields.String(validate=validate.OneOf(["filled", "empty", "denied", "failed"]))
    figures = fields.List(fields.Nested(FigureOut))


class DashboardOut(StrictSchema):
    """All tiles of an organisation at a moment."""

    org_id = fields.Integer()
    as_of = Moment()
    tiles = fields.List(fields.Nested(TileOut))


class RowOut(StrictSchema):
    """A row behind a figure; ``amount`` is what it adds."""

    id = fields.Integer()
    org_id = fields.Integer()
    label = fields.String(allow_none=True)
    note = fields.String(allow_none=True)
    at = Moment(allow_none=True)
    amount = fields.Decimal(as_string=True)
