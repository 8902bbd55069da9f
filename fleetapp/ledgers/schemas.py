"""What imports look like outside; shared by the API and the pages."""

from marshmallow import fields, validate

from fleetapp.kit.schema import Moment, StrictSchema, Text
from fleetapp.ledgers.rules import ImportState, LedgerKind


class ImportQuery(StrictSchema):
    """Filters and page of the list."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    kind = fields.String(load_default=None, validate=validate.OneOf([kind.value for kind in LedgerKind]))
    state = fields.String(load_default=None, validate=validate.OneOf([state.value for state in ImportState]))


class CommitIn(StrictSchema):
    """Whether the right rows are written though others are refused."""

    right_rows_only = fields.Boolean(load_default=False, attribute="partial")


class ExportIn(StrictSchema):
    """An export; the reason goes into the audit log. ``language`` of heads and words: zh or en."""

    org_id = fields.Integer(load_default=None, allow_none=True)
    reason = Text(required=True, validate=validate.Length(max=200))
    language = fields.String(load_default=None, validate=validate.OneOf(["zh", "en"]))


class FaultOut(StrictSchema):
    """A refused row: its cells, what is wrong with each in words."""

    cell = fields.String()
    column = fields.String()
    code = fields.String()
    message = fields.String()


class ImportOut(StrictSchema):
    """An import with its progress and result."""

    id = fields.Integer()
    org_id = fields.Integer()
    kind = fields.String()
    state = fields.String()
    file_name = fields.String()
    sha256 = fields.String()
    uploaded_at = Moment()
    total_rows = fields.Integer()
    done_rows = fields.Integer()
    new_rows = fields.Integer()
    changed_rows = fields.Integer()
    unchanged_rows = fields.Integer()
    rejected_rows = fields.Integer()
    right_rows_only = fields.Boolean(attribute="partial")
    committed_at = Moment(allow_none=True)
    failure = fields.Dict(allow_none=True)


class ImportDetailOut(ImportOut):
    """An import with what it would change, row by row."""

    changes = fields.List(fields.Dict())
