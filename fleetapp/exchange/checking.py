"""Records against the forms of their interfaces: JSON Schema, draft 2020-12. Nothing is sent that does not keep to its form."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from fleetapp.exchange.rules import Completeness

FORMS = Path(__file__).parent / "forms"
RULES = frozenset(
    {"required", "pattern", "enum", "type", "minimum", "maximum", "format", "minLength", "minItems", "anyOf"}
)
"""Keywords with words of their own on the page; any other is told as ``other``."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a field; ``rule`` is the keyword of the form, ``platform`` when it was said from above."""

    field: str
    rule: str
    message: str

    def stored(self) -> dict[str, str]:
        """Return it as it is kept."""
        return {"field": self.field, "rule": self.rule, "message": self.message}


@functools.cache
def form(code: str) -> Mapping[str, Any]:
    """Return the form of an interface."""
    found: Mapping[str, Any] = json.loads((FORMS / f"{code}.json").read_text(encoding="utf-8"))
    return found


@functools.cache
def _validator(code: str) -> Draft202012Validator:
    Draft202012Validator.check_schema(form(code))
    return Draft202012Validator(form(code), format_checker=FormatChecker())


def faults(code: str, values: Mapping[str, Any]) -> list[Fault]:
    """Return what a record does not keep to, in the order of the form's fields; values themselves are not repeated."""
    found = []
    for error in _validator(code).iter_errors(values):
        rule = str(error.validator)
        if rule == "required":
            missing = [name for name in error.validator_value if name not in values]
            found += [Fault(name, rule, "") for name in missing if f"'{name}'" in error.message]
        elif rule == "anyOf":
            found.append(Fault("task_no", rule, ""))
        else:
            field = str(error.absolute_path[0]) if error.absolute_path else ""
            found.append(Fault(field, rule if rule in RULES else "other", _limit(error.validator_value)))
    order = {name: place for place, name in enumerate(form(code)["properties"])}
    return sorted(set(found), key=lambda fault: (order.get(fault.field, len(order)), fault.rule))


def _limit(value: Any) -> str:
    """Return what a keyword asks for, short enough for a line."""
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:120]


def completeness(code: str, values: Mapping[str, Any]) -> Completeness:
    """Return how many of a record's mandatory fields are filled; its status, which is always there, is not counted.

    A cost's task, or why there is none, counts as one field.
    """
    names = [name for name in form(code)["required"] if name != "record_status"]
    filled, mandatory = sum(name in values for name in names), len(names)
    if "anyOf" in form(code):
        mandatory += 1
        filled += any(all(name in values for name in way["required"]) for way in form(code)["anyOf"])
    return Completeness(filled, mandatory)


def titles(code: str, language: str) -> dict[str, str]:
    """Return the names of a form's fields in a language, with their units."""
    key = "title" if language == "zh" else "x-title-en"
    found = {}
    for name, field in form(code)["properties"].items():
        found[name] = f"{field[key]} ({field['x-unit']})" if "x-unit" in field else field[key]
    return found
