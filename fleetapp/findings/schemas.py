"""Clues outside: the same for the API and the forms."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from fleetapp.findings import rules, workflow
from fleetapp.findings.rules import Severity
from fleetapp.findings.workflow import ClearReason, FindingState
from fleetapp.kit.schema import Moment, StrictSchema, Text

STATES = [state.value for state in FindingState]
SEVERITIES = [severity.value for severity in reversed(Severity)]


class FindingQuery(StrictSchema):
    """Which part of the queue; dates are local days on which the incident began, both included."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    size = fields.Integer(load_default=25, validate=validate.Range(1, 200))
    group = fields.String(load_default="all", validate=validate.OneOf([*workflow.GROUPS, "all"]))
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


class CaseQuery(FindingQuery):
    """Which part of the queue of cases; ``mine`` are those the caller handles, ``due_in_h`` those due within so many hours."""

    mine = fields.Boolean(load_default=False)
    due_in_h = fields.Integer(load_default=None, validate=validate.Range(1, 24 * 60))


class TextIn(StrictSchema):
    """Words of a step; ``agrees`` is the unit's opinion on an explanation."""

    text = Text(required=True, validate=validate.Length(max=workflow.TEXT_MAX))


class VerifyIn(TextIn):
    """The unit's opinion: it agrees, or the explanation goes back."""

    agrees = fields.Boolean(required=True)


class NoteIn(StrictSchema):
    """Reasons of a step."""

    note = Text(required=True, validate=validate.Length(max=workflow.TEXT_MAX))


class ReviewIn(NoteIn):
    """The bureau's opinion; with ``outcome`` it concludes the case, and clearing needs ``reason``."""

    outcome = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf([outcome.value for outcome in workflow.OUTCOMES])
    )
    reason = fields.String(
        load_default=None, allow_none=True, validate=validate.OneOf([reason.value for reason in ClearReason])
    )


class AssignIn(StrictSchema):
    """Cases to hand to a reviewer."""

    case_ids = fields.List(fields.Integer(), required=True, validate=validate.Length(1, 200))
    handler_id = fields.Integer(required=True)


class ProposeIn(NoteIn):
    """A proposal to keep a rule quiet about a vehicle; both days included."""

    rule = fields.String(required=True, validate=validate.OneOf(list(rules.CATALOGUE)))
    vehicle_id = fields.Integer(required=True)
    start_on = fields.Date(required=True)
    end_on = fields.Date(required=True)
    reason = fields.String(required=True, validate=validate.OneOf([reason.value for reason in ClearReason]))
    case_id = fields.Integer(load_default=None, allow_none=True)


class DecideIn(NoteIn):
    """A decision on a proposal."""

    approved = fields.Boolean(required=True)


class SampleIn(StrictSchema):
    """What was found of a drawn trip."""

    verdict = fields.String(required=True, validate=validate.OneOf(["in_order", "clue"]))
    note = Text(load_default="", validate=validate.Length(max=workflow.TEXT_MAX))


class NearQuery(StrictSchema):
    """A point in WGS-84 degrees, a radius in metres, a time, and why it is asked."""

    lat = fields.Float(required=True, validate=validate.Range(-90, 90))
    lon = fields.Float(required=True, validate=validate.Range(-180, 180))
    radius_m = fields.Float(load_default=300.0)
    start = Moment(required=True)
    end = Moment(required=True)
    purpose = Text(required=True, validate=validate.Length(max=200))


class PeriodQuery(StrictSchema):
    """A period of local days, both included."""

    start_on = fields.Date(load_default=None)
    end_on = fields.Date(load_default=None)


class LooksQuery(PeriodQuery):
    """Which part of the access log."""

    page = fields.Integer(load_default=1, validate=validate.Range(1, 100_000))
    q = Text(load_default="", validate=validate.Length(max=60))
    kind = fields.String(load_default="")


class ClueOut(StrictSchema):
    """A clue (疑似线索) as its case names it: never a verdict by the machine."""

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
    trip_id = fields.Integer(allow_none=True)
    order_id = fields.Integer(allow_none=True)
    case_id = fields.Integer(allow_none=True)
    merged_into_id = fields.Integer(allow_none=True)
    concerned_id = fields.Integer(allow_none=True)
    start_at = Moment()
    end_at = Moment()
    detected_at = Moment()
    due_at = Moment()
    closed_at = Moment(allow_none=True)


class FindingOut(ClueOut):
    """A clue with its vehicle's plate."""

    plate = fields.String(attribute="vehicle.plate")


class FindingEventOut(StrictSchema):
    """One step of the workflow."""

    action = fields.String()
    from_state = fields.String(allow_none=True)
    to_state = fields.String()
    actor_id = fields.Integer(allow_none=True)
    at = Moment()
    text = fields.String(attribute="note", allow_none=True)


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


class CaseOut(StrictSchema):
    """A case: clues of one vehicle that belong together."""

    id = fields.Integer()
    number = fields.String()
    severity = fields.String()
    state = fields.String()
    outcome = fields.String(allow_none=True)
    reason_code = fields.String(allow_none=True)
    org_id = fields.Integer()
    vehicle_id = fields.Integer()
    plate = fields.String(attribute="vehicle.plate")
    concerned_id = fields.Integer(allow_none=True)
    handler_id = fields.Integer(allow_none=True)
    escalation = fields.Integer()
    start_at = Moment()
    end_at = Moment()
    detected_at = Moment()
    notified_at = Moment(allow_none=True)
    due_at = Moment()
    decided_at = Moment(allow_none=True)
    closed_at = Moment(allow_none=True)
    findings = fields.List(fields.Nested(ClueOut))


class CaseDetailOut(CaseOut):
    """A case with its history."""

    verifier_id = fields.Integer(allow_none=True)
    reviewer_id = fields.Integer(allow_none=True)
    escalated_to_id = fields.Integer(allow_none=True)
    events = fields.List(fields.Nested(FindingEventOut))


class NearOut(StrictSchema):
    """A trip that passed a point: how near, and when."""

    trip_id = fields.Integer(attribute="trip.id")
    plate = fields.String(attribute="trip.vehicle.plate")
    start_at = Moment(attribute="trip.start_at")
    end_at = Moment(attribute="trip.end_at")
    distance_m = fields.Float()
    at = Moment()


class RuleOutcomeOut(StrictSchema):
    """What reviews of a rule's clues came to."""

    rule = fields.String()
    raised = fields.Integer()
    open = fields.Integer()
    outcomes = fields.Dict(keys=fields.String(), values=fields.Integer())
    reviewed = fields.Integer(attribute="precision.total")
    precision = fields.Float(attribute="precision.value", allow_none=True)
    flagged = fields.Boolean()
