"""What every API of the application shares."""

from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls
from flask import Flask
from flask_smorest import Api
from webargs.flaskparser import FlaskParser

from fleetapp.kit.paging import Page

FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION = {  # an unknown query parameter is an error, like an unknown field
    **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
    "query": None,
    "form": None,
    "files": None,
}


def schema_name(schema: Any) -> str:
    """Return a schema's name in the API document with its slice, so that two slices may both have a ``StopOut``."""
    kind = resolve_schema_cls(schema)
    if isinstance(kind, list):
        kind = kind[0]
    return f"{kind.__module__.split('.')[1].capitalize()}{kind.__name__}"


def page_headers(page: Page[Any]) -> dict[str, str]:
    """Return how many rows and pages there are, as headers, so that the body is just the list."""
    return {"X-Total-Count": str(page.total), "X-Page": str(page.number), "X-Pages": str(page.pages)}


def init_app(app: Flask) -> Api:
    """Make the API with its OpenAPI document at ``/api/v1/openapi.json``."""
    app.config.update(
        API_TITLE="Official vehicle fleet",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api/v1",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
            "security": [{"bearer": []}],
        },
    )
    return Api(app, spec_kwargs={"marshmallow_plugin": MarshmallowPlugin(schema_name_resolver=schema_name)})
