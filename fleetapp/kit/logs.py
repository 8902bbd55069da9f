"""Log lines of the programs: one JSON object a line, with the request's id, and without anybody's data.

Values of fields and messages of errors are scrubbed, whoever wrote them: quoted text, Chinese words, long numbers and addresses
of mail become an ellipsis. What is left says what happened, where, and in which request; who and which vehicle stand in the
audit log, which is for those who may read it.
"""

import logging
import os
import re
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

REQUEST_ID = "request_id"
PLAIN = frozenset(["event", "level", "timestamp", "logger", REQUEST_ID, "job", "error", "where"])
"""Fields that only the programs themselves write."""
PRIVATE = re.compile(
    r"""'[^']*'|"[^"]*"|\([^()]*\)=\([^()]*\)"""  # quoted values, and (column)=(value) of PostgreSQL
    r"""|[\w.+-]+@[\w-]+\.[\w.-]+"""
    r"""|[⺀-鿿豈-﫿][⺀-鿿豈-﫿·A-Z0-9]*"""  # names, and plates, which begin with a Chinese character
    r"""|\d[\d -]{5,}[\dXx]"""
)
DEEPEST = 12


def scrubbed(words: str) -> str:
    """Return the first line of some words without what may be somebody's data."""
    first = next((line.strip() for line in words.splitlines() if line.strip()), "")
    while (left := PRIVATE.sub("…", first)) != first:  # what was left out may have brought two halves together
        first = left
    return first[:300].strip()


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, dict):
        return {key: _scrub(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return [_scrub(one) for one in value]
    return value if isinstance(value, int | float | bool | None) else scrubbed(str(value))


def scrub(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Scrub the values of a line that are not the program's own."""
    return {key: value if key in PLAIN else _scrub(value) for key, value in event.items()}


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename.rpartition('/site-packages/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(trace)[-DEEPEST:]]  # fmt: skip


def name_error(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Turn an exception into its kind, its scrubbed first line and its places in the source: no values of variables."""
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given is True else given[1] if given else None  # fmt: skip
    if error is not None:
        event["error"] = type(error).__name__
        event["message"] = str(error)
        event["where"] = _frames(error.__traceback__)
        state = getattr(getattr(error, "orig", error), "sqlstate", None)
        if state:
            event["sqlstate"] = state
    return event


def _to_text(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Fill in the arguments of a line of the standard library, and scrub it: its words are not ours."""
    record = event.get("_record")
    if isinstance(record, logging.LogRecord) and record.name.split(".")[0] != "gunicorn":
        event["event"] = scrubbed(str(event["event"]))
    return event


class Stderr:
    """Standard error as it is at the moment of writing."""

    def write(self, words: str) -> int:
        """Write as a file does."""
        return sys.stderr.write(words)

    def flush(self) -> None:
        """Flush as a file does."""
        sys.stderr.flush()


def configure() -> None:
    """Write lines to standard error: JSON with ``FLEET_LOG=json``, else for a person's eyes."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_error,
    ]
    as_json = os.environ.get("FLEET_LOG") == "json"
    last = structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else structlog.dev.ConsoleRenderer(colors=False)  # fmt: skip
    structlog.configure(
        processors=[*shared, scrub, last],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", Stderr())),
    )
    handler = logging.StreamHandler(Stderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _to_text, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, scrub, last],
        )
    )
    server = logging.getLogger("gunicorn.error")
    if as_json and server.handlers:
        server.handlers[:] = [handler]
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
