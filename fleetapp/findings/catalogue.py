"""The catalogue of rules as read from ``catalogue.toml``: what each says, compares and needs."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CATALOGUE_FILE = Path(__file__).with_name("catalogue.toml")
FAMILIES = "ABCDEFGHIJKS"
"""Letters of the families; S is what people find in the random sample: no function raises it."""
SPANS = ("key", "time", "period")
KEYS = frozenset(["name", "severity", "span", "definition", "saw", "figures", "inputs", "clears", "needs"])


@dataclass(frozen=True, slots=True)
class Words:
    """A text in both languages."""

    zh: str
    en: str

    def of(self, language: str) -> str:
        """Return the one of a language, ``zh`` or ``en``."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the catalogue; ``figures`` are the codes of the policy figures it compares with.

    ``span`` says how an incident is named: by what it is about (``key``), by its time, or once a month (``period``).
    ``saw`` is the sentence a clue states first. ``needs`` is the input that keeps the rule from being active.
    """

    id: str
    name: Words
    severity: str
    span: str
    definition: Words
    figures: tuple[str, ...]
    inputs: tuple[str, ...]
    clears: Words
    saw: Words | None = None
    needs: Words | None = None

    @property
    def family(self) -> str:
        """Letter of the catalogue's family."""
        return self.id[0]

    @property
    def active(self) -> bool:
        """Whether the system has every input the rule compares."""
        return self.needs is None

    @property
    def name_zh(self) -> str:
        """Chinese name."""
        return self.name.zh

    @property
    def name_en(self) -> str:
        """English name."""
        return self.name.en


def read(path: Path = CATALOGUE_FILE) -> dict[str, Rule]:
    """Return the rules by id in the file's order.

    :raises ValueError: a rule lacks a key, has an unknown one, or an unknown span.
    """
    rows: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {code: _rule(code, row) for code, row in rows.items()}


def _rule(code: str, row: Mapping[str, Any]) -> Rule:
    missing = KEYS - {"saw", "needs"} - row.keys()
    if missing or row.keys() - KEYS or row["span"] not in SPANS or code[0] not in FAMILIES:
        raise ValueError(
            f"{code}: missing {sorted(missing)}, unknown {sorted(row.keys() - KEYS)} or no span of {SPANS}"
        )

    def words(key: str) -> Words | None:
        return Words(row[key]["zh"], row[key]["en"]) if key in row else None

    name, definition, clears = words("name"), words("definition"), words("clears")
    if name is None or definition is None or clears is None:
        raise ValueError(f"{code}: name, definition and clears need words")
    return Rule(
        id=code, name=name, severity=row["severity"], span=row["span"], definition=definition,
        figures=tuple(row["figures"]), inputs=tuple(row["inputs"]), clears=clears, saw=words("saw"), needs=words("needs"),
    )  # fmt: skip


CATALOGUE: Mapping[str, Rule] = read()
