"""The catalogue's sentences in the page's language."""

from collections.abc import Mapping
from typing import Any

from fleetapp.findings.catalogue import CATALOGUE
from fleetapp.web.texts import language, t


def told(line: Mapping[str, Any]) -> str:
    """Return the line ``saw`` or ``clears`` of a clue in words."""
    rule = CATALOGUE[line["rule"]]
    if line["code"] == "clears":
        return t("findings.ev.clears", what=rule.clears.of(language()))
    if rule.saw is None:
        return rule.definition.of(language())
    return rule.saw.of(language()).format_map({**line})
