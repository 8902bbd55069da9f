"""A clock that several processes share: real time plus an offset that stands in a file. It only ever goes forward."""

import struct
import time
from datetime import UTC, datetime
from pathlib import Path


class Clock:
    """Reads the offset at every question, so that who sets it sets it for all."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def now(self) -> datetime:
        """Return the moment of the day that is lived, aware, UTC."""
        return datetime.fromtimestamp(time.time() + self._offset_s(), UTC)

    def reach(self, at: datetime) -> None:
        """Go forward to a moment; one that is past already changes nothing."""
        if at > self.now():
            self._set(at.timestamp() - time.time())

    def begin(self, at: datetime) -> None:
        """Set the clock before the day begins."""
        self._set(at.timestamp() - time.time())

    def _offset_s(self) -> float:
        found: float = struct.unpack("d", self.file.read_bytes())[0]
        return found

    def _set(self, offset_s: float) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_bytes(struct.pack("d", offset_s))
        draft.replace(self.file)  # a reader finds the old one or the new one, never half of it
