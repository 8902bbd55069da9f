"""HTML forms through the same schemas as the API."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flask import request
from marshmallow import Schema, ValidationError
from marshmallow.fields import List

from fleetapp.kit.errors import FleetError, Invalid
from fleetapp.web.texts import t


def load_form(schema: Schema) -> dict[str, Any]:
    """Load ``request.form`` with a schema; empty inputs count as not given, repeated ones as a list.

    :raises Invalid: with the messages of each field.
    """
    data: dict[str, Any] = {}
    for name in request.form:
        if name == "csrf_token":
            continue
        values = [value for value in request.form.getlist(name) if value != ""]
        if isinstance(schema.fields.get(name), List):
            data[name] = values
        elif values:
            data[name] = values[-1]
    return load(schema, data)


def errors_of(error: FleetError, field_of: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
    """Return the messages of a failure by input; ``field_of`` says by code next to which input a broken rule stands."""
    if isinstance(error, Invalid) and error.fields:
        return error.fields
    return {field_of.get(error.code, ""): [t(error.code, **error.params)]}


def load_query(schema: Schema) -> dict[str, Any]:
    """Load the query string with a schema; empty inputs count as not given.

    :raises Invalid: with the messages of each field.
    """
    return load(schema, {name: value for name, value in request.args.items() if value})


def load(schema: Schema, data: Any) -> dict[str, Any]:
    """Load any mapping with a schema.

    :raises Invalid: with the messages of each field.
    """
    try:
        loaded: dict[str, Any] = schema.load(data)
    except ValidationError as error:
        raise Invalid(fields=dict(error.messages_dict)) from error
    return loaded


def sent_file(field: str) -> tuple[str, bytes] | None:
    """Return a file that may come with a form as (name, bytes), None if none came."""
    file = request.files.get(field)
    return (file.filename, file.read()) if file and file.filename else None


@contextmanager
def received_file(field: str) -> Iterator[tuple[Path, str]]:
    """Yield an uploaded file as a path that is gone afterwards, and the name its sender gave it.

    :raises Invalid: no file came.
    """
    file = request.files.get(field)
    if file is None or not file.filename:
        raise Invalid("web.file_missing")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "upload"
        file.save(path)
        yield path, Path(file.filename).name[:120]
