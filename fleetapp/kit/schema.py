"""Base of every marshmallow schema: unknown fields are an error, times are aware, spans are checked."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields

from fleetapp.kit.clock import OFFICE_ZONE


class StrictSchema(Schema):
    """Refuses unknown fields, so that a misspelt one is never silently dropped."""

    class Meta:
        """Marshmallow's options."""

        unknown = RAISE


class Moment(fields.DateTime):
    """ISO 8601; without a zone it is taken as office time (what HTML date inputs send); loads to UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        at: datetime = super()._deserialize(value, attr, data, **kwargs)
        if at.tzinfo is None:
            at = at.replace(tzinfo=OFFICE_ZONE)
        try:
            return at.astimezone(UTC)
        except OverflowError as error:  # the first or last day of the calendar, moved over its edge
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from error

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is not None and value.tzinfo is None:
            raise ValidationError("naive datetime")
        return super()._serialize(value, attr, obj, **kwargs)


class Text(fields.String):
    """A string with the blanks at both ends removed; NUL refused because PostgreSQL cannot store it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if "\x00" in text:
            raise ValidationError("Must not contain a NUL character.")
        return text.strip()
