"""Log lines of the gateway's programs: text, or with ``FLEET_LOG=json`` one JSON object a line. They name terminals, never people."""

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime


class JsonLines(logging.Formatter):
    """One object a line; an exception is its kind and its places in the source, without values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat()
        line = {"event": record.getMessage(), "level": record.levelname.lower(), "logger": record.name, "timestamp": at}
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])
            places = [
                f"{frame.filename.rpartition('/site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames
            ]
            return json.dumps(line | {"error": record.exc_info[0].__name__, "where": places}, ensure_ascii=False)
        return json.dumps(line, ensure_ascii=False)


def configure() -> None:
    """Write lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = os.environ.get("FLEET_LOG") == "json"
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
