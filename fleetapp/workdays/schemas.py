"""What the calendar looks like outside."""

from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from fleetapp.kit.schema import StrictSchema

LONGEST = timedelta(days=800)


class DaysQuery(StrictSchema):
    """Days of ``[start_on, end_on)``."""

    start_on = fields.Date(required=True)
    end_on = fields.Date(required=True)

    @validates_schema
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """Refuse an empty or endless period."""
        if not timedelta(0) < data["end_on"] - data["start_on"] <= LONGEST:
            raise ValidationError("Must be after start_on, at most 800 days.", "end_on")


class DayOut(StrictSchema):
    """One day; ``known`` false: no official notice loaded for its year."""

    on = fields.Date()
    kind = fields.String()
    name = fields.String()
    known = fields.Boolean()
