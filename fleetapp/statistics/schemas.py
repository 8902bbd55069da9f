"""Forms and queries of statistics, and what indicators and tables look like outside."""

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.statistics.rules import ReportState

PERIOD = validate.Length(min=4, max=7)


class ListQuery(StrictSchema):
    """Filters and page of the list of reports."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    period = Text(load_default=None, validate=PERIOD)
    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in ReportState]))


class ScopeQuery(StrictSchema):
    """A unit with all below it, and a period; without them the actor's own unit and the year."""

    org_id = fields.Integer(load_default=None)
    period = Text(load_default=None, validate=PERIOD)
    table = fields.String(load_default="t02", validate=validate.Length(max=8))


class RowsQuery(ScopeQuery):
    """A cell by table, row and column, or a part (``up`` or ``down``) of an indicator."""

    row = Text(load_default="*", validate=validate.Length(max=200))
    column = fields.String(load_default=None, validate=validate.Length(max=40))
    indicator = fields.String(load_default=None, validate=validate.Length(max=8))
    part = fields.String(load_default="up", validate=validate.OneOf(["up", "down"]))
    top_id = fields.Integer(load_default=None)
    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))


class OpenIn(StrictSchema):
    """A report to be opened."""

    org_id = fields.Integer(required=True)
    period = Text(required=True, validate=PERIOD)


class ReasonIn(StrictSchema):
    """Why something is done."""

    reason = Text(required=True, validate=validate.Length(min=4, max=500))


class ExplainIn(StrictSchema):
    """An explanation of a difference."""

    subject = Text(required=True, validate=validate.Length(max=200))
    text = Text(required=True, validate=validate.Length(min=4, max=500))


class IndicatorQuery(ScopeQuery):
    """Indicators over a part of the tree; ``codes`` separated by commas, all without."""

    codes = Text(load_default=None, validate=validate.Length(max=400))


class IndicatorOut(StrictSchema):
    """An indicator with what it was reckoned from."""

    code = fields.String()
    value = fields.Decimal(as_string=True, allow_none=True)
    numerator = fields.Decimal(as_string=True)
    denominator = fields.Decimal(as_string=True, allow_none=True)
    unit = fields.String()
    as_of = Moment()


class ReportOut(StrictSchema):
    """A report and where it stands."""

    id = fields.Integer()
    org_id = fields.Integer()
    number = fields.String()
    period = fields.String()
    first_on = fields.Date()
    until_on = fields.Date()
    state = fields.String()
    edition = fields.Integer()
    submitted_at = Moment(allow_none=True)


class VersionOut(StrictSchema):
    """A frozen version with its figures."""

    edition = fields.Integer()
    number = fields.String()
    content = fields.Dict()
    sha256 = fields.String()
    reason = fields.String(allow_none=True)
    made_at = Moment()
