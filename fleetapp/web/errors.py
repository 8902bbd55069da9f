"""Failures as answers: one table from error class to status, words from the catalogue in both languages."""

from errno import EDQUOT, ENOSPC
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, jsonify, make_response, redirect, render_template, request, url_for
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import HTTPException

from fleetapp.kit import errors
from fleetapp.web.texts import catalogue, t

log = structlog.get_logger()

DISK_FULL = {"53100", "58030"}
"""disk_full and io_error of PostgreSQL's appendix A: the transaction was rolled back, nothing of it is there."""
TOO_LARGE = "22003"
"""numeric_value_out_of_range: a number that no column holds, so there is no such row and none can be made."""
STATUS: dict[type[errors.FleetError], int] = {
    errors.NotSignedIn: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.RuleBroken: 422,
    errors.Invalid: 422,
}


def is_api() -> bool:
    """Tell whether the caller is a program."""
    return request.path.startswith("/api/")


def words(code: str, params: dict[str, Any]) -> dict[str, str]:
    """Return a code's words in both languages; an unknown code stands for itself."""
    if code not in catalogue():
        return {"zh": code, "en": code}
    return {lang: t(code, lang=lang, **params) for lang in ("zh", "en")}


def translated(fields: Any) -> Any:
    """Put a library's field messages into the page's language; the API keeps them as they are."""
    if isinstance(fields, dict):
        return {name: translated(messages) for name, messages in fields.items()}
    if isinstance(fields, list):
        return [translated(message) for message in fields]
    key = f"web.field.{fields}"
    return t(key) if key in catalogue() else fields


def answer(status: int, code: str, params: dict[str, Any], fields: dict[str, Any] | None = None) -> Response:
    """Return a failure as JSON for programs, as a fragment for htmx, as a page for people."""
    message = words(code, params)
    if is_api():
        body = {"code": code, "message": message, "status": status}
        if fields:
            body["fields"] = fields
        return make_response(jsonify(body), status)
    if status == HTTPStatus.UNAUTHORIZED:
        target = url_for("accounts.sign_in", next=request.full_path.rstrip("?") if request.method == "GET" else "/")
        if request.headers.get("HX-Request"):
            return make_response("", 401, {"HX-Redirect": target})
        if (
            request.headers.get("Sec-Fetch-Dest") == "empty"
        ):  # a script would take the page of signing in for its answer
            return make_response(jsonify(code=code, message=message), 401)
        return make_response(redirect(target))
    template = "error_fragment.html" if request.headers.get("HX-Request") else "error.html"
    return make_response(
        render_template(template, status=status, code=code, message=message, fields=translated(fields or {})), status
    )


def init_app(app: Flask) -> None:
    """Register the handlers."""

    @app.errorhandler(errors.FleetError)
    def fleet_error(error: errors.FleetError) -> Response:
        status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
        return answer(status, error.code, error.params, getattr(error, "fields", None))

    @app.errorhandler(CSRFError)
    def csrf_error(_error: CSRFError) -> Response:
        return answer(400, "kit.csrf", {})

    @app.errorhandler(StaleDataError)
    def stale(_error: StaleDataError) -> Response:
        return answer(409, "kit.changed_meanwhile", {})

    @app.errorhandler(DataError)
    def too_large(error: DataError) -> Response:
        return (
            answer(422, "kit.too_large", {})
            if getattr(error.orig, "sqlstate", None) == TOO_LARGE
            else unexpected(error)
        )

    @app.errorhandler(OperationalError)
    def database_gone(error: OperationalError) -> Response:
        if getattr(error.orig, "sqlstate", None) in DISK_FULL:
            return disk_full(error)
        log.error("database_unavailable", exc_info=error)
        return answer(503, "kit.database_down", {})

    def disk_full(error: Exception) -> Response:
        log.error("disk_full", exc_info=error)
        return answer(507, "kit.disk_full", {})

    @app.errorhandler(OSError)
    def no_room(error: OSError) -> Response:
        return disk_full(error) if error.errno in {ENOSPC, EDQUOT} else unexpected(error)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = error.code or 500
        fields = getattr(error, "data", {}).get("messages") if hasattr(error, "data") else None
        response = answer(
            status, f"kit.http_{status}" if f"kit.http_{status}" in catalogue() else "kit.http_other", {}, fields
        )
        for name, value in error.get_headers():
            if name == "Allow":
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        if app.testing:
            raise error
        log.error("unexpected", endpoint=request.endpoint, exc_info=error)
        return answer(500, "kit.http_500", {})
