"""Clues outside: the same for the API and the forms."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from fleetapp.findings import rules
from fleetapp.findings.rules import FindingState, Severity
from fleetapp.kit.schema import Moment, StrictSchema, Text

STATES = [state.value for state in FindingState]
SEVERITIES = [severity.value for severity in reversed(Severity)]


class FindingQuery(StrictSchema):
    """Which part of the queue; dates are local days on which the incident began, both included."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    group = fields.String(load_default="all", validate=validate.OneOf([*rules.GROUPS, "all"]))
    state = fields.String(load_default=None, validate=validate.OneOf(STATES))
    rule = fields.String(load_default=None, validate=validate.OneOf(list(rules.CATALOGUE)))
    severity = fields.String(load_default=None, validate=validate.OneOf(SEVERITIES))
    org_id = fields.Integer(load_default=None)
    q = Text(load_default="", validate=validate.Length(max=40))
    start_on = fields.Date(load_default=None)
    end_on = fields.Date(load_default=None)
    overdue = fields.Boolean(load_default=False)

    @validates_schema
    def in_order(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse a reversed period."""
        if data.get("start_on") and data.get("end_on") and data["start_on"] > data["end_on"]:
            raise ValidationError("Must not be before start_on.", "end_on")


class ExplainIn(StrictSchema):
    """An explanation."""

    text = Text(required=True, validate=validate.Length(max=rules.TEXT_MAX))


class ReviewIn(StrictSchema):
    """A decision with its reasons."""

    outcome = fields.String(required=True, validate=validate.OneOf([outcome.value for outcome in rules.OUTCOMES]))
    note = Text(required=True, validate=validate.Length(max=rules.TEXT_MAX))


class ReopenIn(StrictSchema):
    """Why a decided clue is taken up again."""

    note = Text(required=True, validate=validate.Length(max=rules.TEXT_MAX))


class FindingOut(StrictSchema):
    """A clue (疑似线索): never a verdict by the machine."""

    id = fields.Integer()
    number = fields.String()
    rule = fields.String()
    rule_version = fields.String()
    rule_name_zh = fields.Function(lambda finding: rules.CATALOGUE[finding.rule].name_zh)
    rule_name_en = fields.Function(lambda finding: rules.CATALOGUE[finding.rule].name_en)
    severity = fields.String()
    state = fields.String()
    confidence = fields.Float()
    org_id = fields.Integer()
    vehicle_id = fields.Integer()
    plate = fields.String(attribute="vehicle.plate")
    trip_id = fields.Integer(allow_none=True)
    order_id = fields.Integer(allow_none=True)
    concerned_id = fields.Integer(allow_none=True)
    start_at = Moment()
    end_at = Moment()
    detected_at = Moment()
    due_at = Moment()
    closed_at = Moment(allow_none=True)


class FindingEventOut(StrictSchema):
    """One step of the workflow."""

    action = fields.String()
    from_state = fields.String(allow_none=True)
    to_state = fields.String()
    actor_id = fields.Integer(allow_none=True)
    at = Moment()
    text = fields.String(allow_none=True)


class FindingDetailOut(FindingOut):
    """A clue with its facts, figures, both kinds of evidence, explanation, decision and history."""

    facts = fields.Dict()
    params = fields.Dict()
    evidence_for = fields.List(fields.Dict())
    evidence_against = fields.List(fields.Dict())
    explanation = fields.String(allow_none=True)
    explainer_id = fields.Integer(allow_none=True)
    reviewer_id = fields.Integer(allow_none=True)
    review_note = fields.String(allow_none=True)
    events = fields.List(fields.Nested(FindingEventOut))
