"""What the pages of upkeep share: choices, uploads, and a form that is acted on or shown again."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import flash, redirect, request
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.web.forms import errors_of, load_form
from fleetapp.web.request import transaction
from fleetapp.web.texts import t

Answer = Response | tuple[str, int]


def choices(values: Any, prefix: str) -> list[tuple[str, str]]:
    """Return the values of an enum with their words."""
    return [(value.value, t(f"{prefix}.{value.value}")) for value in values]


def uploads(field: str) -> list[tuple[str, bytes]]:
    """Return the files of an input as (name, bytes)."""
    return [(file.filename, file.read()) for file in request.files.getlist(field) if file.filename]


def submitted(schema: Any, act: Callable[[Session, dict[str, Any]], Any], again: Callable[[Mapping[str, Any]], str], told: str,
              target: Callable[[Any], str]) -> Answer:  # fmt: skip
    """Load a form and act on it; what is refused is shown on the page again, else the target follows."""
    try:
        data = load_form(schema)
        with transaction() as s:
            made = act(s, data)
    except (Invalid, RuleBroken, Conflict) as error:
        return again(errors_of(error)), 422
    flash(t(told))
    return redirect(target(made))
