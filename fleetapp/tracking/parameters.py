"""Parameters of a terminal that people may set by name, with unit and bounds, and what an answer says in words.

Source: JT/T 808-2013 and -2019, table 12 (0x8103, 0x0104). Values are whole numbers but for the text ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fleetapp.kit.errors import RuleBroken

WORD = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; ``low`` and ``high`` are inclusive, for a text its least and greatest number of characters."""

    number: str
    name: str
    unit: str
    low: int
    high: int
    text: bool = False


SETTABLE = {
    one.number: one
    for one in (
        Parameter("0001", "heartbeat", "s", 10, 600),
        Parameter("0029", "report_interval", "s", 1, 3600),
        Parameter("0027", "sleep_interval", "s", 30, 86_400),
        Parameter("0028", "alarm_interval", "s", 1, 600),
        Parameter("0055", "most_speed", "km/h", 20, 200),
        Parameter("0056", "speeding_for", "s", 1, 3600),
        Parameter("0057", "driving_for", "s", 3600, 86_400),
        Parameter("0059", "least_rest", "s", 60, 86_400),
        Parameter("0080", "odometer", "0.1 km", 0, WORD),
        Parameter("0083", "plate", "", 1, 12, text=True),
        Parameter("0013", "server", "", 3, 64, text=True),
        Parameter("0018", "port", "", 1, 65_535),
    )
}
READABLE = {**{number: one.name for number, one in SETTABLE.items()}, "0010": "apn", "0017": "spare_server", "0081": "province",
            "0082": "city", "0084": "colour", "0020": "strategy", "0058": "driving_day", "005a": "most_parking"}  # fmt: skip


def settings(given: Mapping[str, str]) -> dict[str, int | str]:
    """Return the parameters of a form by number, those left empty left out.

    :raises RuleBroken: ``tracking.parameter_unknown``, ``tracking.parameter_bounds`` or ``tracking.parameter_none``.
    """
    found: dict[str, int | str] = {}
    for number, raw in given.items():
        text = raw.strip()
        if not text:
            continue
        known = SETTABLE.get(number)
        if known is None:
            raise RuleBroken("tracking.parameter_unknown", number=number)
        size = len(text) if known.text else int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
        if not known.low <= size <= known.high or "\x00" in text:
            raise RuleBroken(
                "tracking.parameter_bounds",
                parameter={"text": f"tracking.parameter.{known.name}"},
                low=known.low,
                high=known.high,
                unit=known.unit,
            )
        found[number] = text if known.text else int(text)
    if not found:
        raise RuleBroken("tracking.parameter_none")
    return found


def listed(answer: Mapping[str, Any]) -> list[tuple[str, str | None, str, str]]:
    """Return the parameters of an answer as (number, name or None, value, unit), the known ones first."""
    found = []
    for number, value in answer.get("parameters", {}).items():
        known = SETTABLE.get(number)
        shown = value["hex"] if isinstance(value, Mapping) else str(value)
        found.append((number, READABLE.get(number), shown, known.unit if known else ""))
    return sorted(found, key=lambda one: (one[1] is None, one[0]))
