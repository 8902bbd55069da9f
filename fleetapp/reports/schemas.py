"""What exports look like outside."""

from datetime import date
from typing import Any

from marshmallow import fields, post_load, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.reports.rules import ExportFormat, Period

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)


class PeriodIn(StrictSchema):
    """Local days, both included; ``org_id`` the top of the part of the tree, by default the highest allowed."""

    start_on = fields.Date(required=True, validate=validate.Range(EARLIEST, LATEST))
    end_on = fields.Date(required=True, validate=validate.Range(EARLIEST, LATEST))
    org_id = fields.Integer(load_default=None, allow_none=True)

    @post_load
    def period(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Make the value that the rules know."""
        return {"period": Period(data.pop("start_on"), data.pop("end_on")), **data}


class ExportIn(PeriodIn):
    """An export; the reason goes into the audit log. ``language`` of heads and words: zh or en."""

    format = fields.Enum(ExportFormat, by_value=True, load_default=ExportFormat.XLSX)
    reason = Text(required=True, validate=validate.Length(max=200))
    language = fields.String(load_default=None, validate=validate.OneOf(["zh", "en"]))


class TaskOut(StrictSchema):
    """A report made in the background; ``failure`` is the code of what went wrong, ``sha256`` of the file when it is done."""

    id = fields.Integer()
    state = fields.String()
    format = fields.String()
    org_id = fields.Integer()
    start_on = fields.Date()
    end_on = fields.Date()
    reason = fields.String()
    requested_at = Moment()
    ended_at = Moment(allow_none=True)
    done_rows = fields.Integer()
    total_rows = fields.Integer()
    failure = fields.String(attribute="failure.code", allow_none=True)
    file_name = fields.String(attribute="export.file_name")
    sha256 = fields.String(attribute="export.sha256")


class ReasonIn(StrictSchema):
    """Why an evidence file is made."""

    reason = Text(required=True, validate=validate.Length(max=200))


class PageQuery(StrictSchema):
    """Which page of a list."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))


class ExportOut(StrictSchema):
    """A file that left the system."""

    id = fields.Integer()
    at = Moment()
    kind = fields.String()
    org = fields.String()
    actor = fields.String()
    reason = fields.String()
    filters = fields.Dict()
    rows = fields.Integer()
    file_name = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()


class SummaryOut(StrictSchema):
    """The first screen's numbers by code, as far as the caller may read the lists behind them."""

    as_of = Moment()
    figures = fields.Dict(keys=fields.String(), values=fields.Float())
