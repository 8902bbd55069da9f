"""What every API of the application shares."""

from collections.abc import Callable
from typing import Any

from apispec import APISpec, BasePlugin
from apispec.ext.marshmallow import MarshmallowPlugin
from apispec.ext.marshmallow.common import resolve_schema_cls
from flask import Flask
from flask.views import MethodView
from flask_smorest import Api, Blueprint
from marshmallow import fields
from webargs.flaskparser import FlaskParser

from fleetapp.kit.paging import Page
from fleetapp.kit.schema import StrictSchema
from fleetapp.web.request import actor, now, transaction

FILE = {"type": "string", "format": "binary"}
"""What an answer is that is a file; its type is given beside it, one decorator a type."""
UPLOAD = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {"file": FILE}, "required": ["file"]}}
    },
}
"""The body of an upload: for ``doc`` of an endpoint that reads ``received_file("file")``."""

FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION = {  # an unknown query parameter is an error, like an unknown field
    **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
    "query": None,
    "form": None,
    "files": None,
}


class MessageOut(StrictSchema):
    """A sentence in both languages."""

    zh = fields.String(required=True)
    en = fields.String(required=True)


class ErrorOut(StrictSchema):
    """What every failure of the API looks like; made by ``web.errors.answer``.

    ``fields`` is there when input is at fault: messages by place (``json``, ``query``, ``form``, ``files``) and field.
    """

    code = fields.String(required=True, metadata={"description": "Stable name of the failure, for programs."})
    message = fields.Nested(MessageOut, required=True)
    status = fields.Integer(required=True)
    fields_ = fields.Dict(data_key="fields")


def decimals(_converter: Any, field: fields.Field[Any], ret: dict[str, Any]) -> dict[str, Any]:
    """Return how a decimal field stands in the document: bounds are JSON numbers, and answers have decimals as text.

    Text keeps every digit of an amount; a body may have a number instead.
    """
    if not isinstance(field, fields.Decimal):
        return {}
    changed: dict[str, Any] = {
        name: float(ret[name]) for name in ("minimum", "maximum", "default") if ret.get(name) is not None
    }
    if type(field.root).__name__.endswith("Out"):
        changed |= {"type": ["string", "null"] if field.allow_none else "string", "format": "decimal"}
    return changed


class OptionalBodies(BasePlugin):
    """Say of a body that may be empty that it may be left out: none is read like ``{}``."""

    def init_spec(self, spec: APISpec) -> None:
        """Keep the document, which knows the schemas by name."""
        self.spec = spec

    def operation_helper(self, path: Any = None, operations: Any = None, **kwargs: Any) -> None:  # noqa: ARG002 -- apispec's
        """Look at the bodies of one path; their schemas stand in the document by now."""
        for operation in (operations or {}).values():
            for kind in (body := operation.get("requestBody", {})).get("content", {}).values():
                name = kind["schema"].get("$ref", "").rpartition("/")[2]
                if not self.spec.components.schemas.get(name, kind["schema"]).get("required"):
                    body["required"] = False


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
    plugin = MarshmallowPlugin(schema_name_resolver=schema_name)
    api = Api(spec_kwargs={"marshmallow_plugin": plugin, "extra_plugins": [OptionalBodies()]})
    api.ERROR_SCHEMA = ErrorOut
    api.init_app(app)
    plugin.converter.add_attribute_function(decimals)  # type: ignore[union-attr]  # init_app has made it
    return api
