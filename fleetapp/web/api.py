"""What every API of the application shares."""

from collections.abc import Callable
from typing import Any

from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls
from flask import Flask
from flask.views import MethodView
from flask_smorest import Api, Blueprint
from webargs.flaskparser import FlaskParser

from fleetapp.kit.paging import Page
from fleetapp.web.request import actor, now, transaction

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


def step_maker(blueprint: Blueprint, rule: str, out: type, name: str) -> Callable[..., None]:
    """Return a function that adds the endpoint of one step of what stands at ``rule``: ``POST rule/path``.

    It calls ``function`` with the variables of the rule, the loaded body and what is ``fixed`` for the step, as the actor, now.
    """

    def add(
        path: str, schema: type, function: Callable[..., Any], words: str, *, out: type = out, status: int = 200, **fixed: Any
    ) -> None:  # fmt: skip
        class Step(MethodView):
            @blueprint.arguments(schema)
            @blueprint.response(status, out)
            def post(self, data: dict[str, Any], **subject: int) -> Any:
                with transaction() as session:
                    return function(session, **subject, **data, **fixed, actor=actor(), now=now())

        Step.__name__ = Step.__qualname__ = f"{name}{path.title().replace('-', '')}"
        Step.post.__doc__ = words
        blueprint.route(f"{rule}/{path}")(Step)

    return add


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
