"""One platform's names for our fields, codes and envelopes, as a file: a new edition of a standard is a new file, no new code.

Values are turned by what the file says of a field, in this order: ``codes`` (a table of code lists), ``scale`` (a number times it),
``time`` (``strftime`` in office time), ``number`` (a JSON number instead of text). Pure but for the reading of the file.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from fleetapp.exchange.checking import Fault, form
from fleetapp.exchange.interfaces import SENT
from fleetapp.exchange.rules import Outcome

OWN = Path(__file__).parent / "mappings" / "db32t3826.toml"
FIELD_KEYS = frozenset({"name", "codes", "scale", "time", "number"})
PARTS: Mapping[str, frozenset[str]] = {
    "login": frozenset({"path", "user", "password", "token"}),
    "request": frozenset({"header", "prefix", "interface", "batch", "records", "key", "record", "revision", "values"}),
    "answer": frozenset({"code", "ok", "expired", "results", "key", "status", "accepted", "duplicate", "rejected", "receipt",
                         "faults", "field", "message"}),
}  # fmt: skip


class MappingError(Exception):
    """What is wrong with a mapping file, in one sentence."""


class Unclear(Exception):
    """An answer that says nothing usable: whether the records arrived is not known."""


class TokenExpired(Exception):
    """The answer says that the token is no longer good."""


class BatchRefused(Exception):
    """The answer refuses the request as a whole, in its own words."""


@dataclass(frozen=True, slots=True)
class Sending:
    """One version of a record on its way."""

    key: str
    record: str
    version: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What the platform says of one key."""

    outcome: Outcome
    receipt_no: str | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Mapped:
    """A mapping as read from its file."""

    standard: str
    version: str
    login: Mapping[str, Any]
    request: Mapping[str, Any]
    answer: Mapping[str, Any]
    paths: Mapping[str, str]
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Standard and version, as receipts keep it."""
        return f"{self.standard} {self.version}"

    def body(self, interface: str, batch: str, sendings: Sequence[Sending]) -> dict[str, Any]:
        """Return the request of a batch."""
        names, out = self.request, []
        for one in sendings:
            values = self.values(interface, one.values)
            about = {names["key"]: one.key, names["record"]: one.record, names["revision"]: one.version}
            out.append(about | ({names["values"]: values} if names["values"] else values))
        return {names["interface"]: interface, names["batch"]: batch, names["records"]: out}

    def values(self, interface: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a record's values under the platform's names."""
        out = {}
        for name, value in values.items():
            rule = self._rule(interface, name)
            out[str(rule.get("name", name))] = self._turned(rule, value)
        return out

    def _rule(self, interface: str, name: str) -> Mapping[str, Any]:
        rule = {**self.fields.get("*", {}), **self.fields.get(interface, {})}.get(name, {})
        return {"name": rule} if isinstance(rule, str) else rule

    def _turned(self, rule: Mapping[str, Any], value: Any) -> Any:
        if "codes" in rule:
            value = self.codes[rule["codes"]].get(str(value), value)
        if "scale" in rule:
            value = f"{(Decimal(str(value)) * Decimal(str(rule['scale']))).normalize():f}"
        if "time" in rule:
            value = datetime.fromisoformat(str(value)).strftime(rule["time"])
        if rule.get("number"):
            number = Decimal(str(value))
            value = int(number) if number == number.to_integral_value() else float(number)
        return value

    def ours(self, interface: str, name: str) -> str:
        """Return our name of a platform's field, or its own where it is none of ours."""
        for known in form(interface)["properties"]:
            if self._rule(interface, known).get("name", known) == name:
                return str(known)
        return name

    def read(self, interface: str, answer: Any) -> dict[str, Said]:
        """Return what an answer says by key; contradictions about one key, and statuses nobody knows, are left out.

        :raises TokenExpired: it says so.
        :raises BatchRefused: the request was refused as a whole.
        :raises Unclear: no such answer.
        """
        self.check_code(answer)
        names = self.answer
        results = at(answer, names["results"])
        if not isinstance(results, list):
            raise Unclear("no results")
        found: dict[str, Said] = {}
        doubtful: set[str] = set()
        for row in results:
            key = str(row.get(names["key"])) if isinstance(row, dict) else ""
            said = self._said(interface, row) if isinstance(row, dict) else None
            if said is None:
                continue
            if key in found and (found[key].outcome is Outcome.REJECTED) != (said.outcome is Outcome.REJECTED):
                doubtful.add(key)
            found.setdefault(key, said)
        return {key: said for key, said in found.items() if key not in doubtful}

    def check_code(self, answer: Any) -> None:
        """Refuse an answer whose code is not one of success.

        :raises TokenExpired: it says so.
        :raises BatchRefused: another code.
        :raises Unclear: no code.
        """
        code = at(answer, self.answer["code"])
        if code is None:
            raise Unclear("no code")
        if str(code) in self.answer["expired"]:
            raise TokenExpired
        if str(code) not in self.answer["ok"]:
            raise BatchRefused(f"{code} {at(answer, self.answer['message']) or ''}".strip()[:300])

    def _said(self, interface: str, row: Mapping[str, Any]) -> Said | None:
        names, status = self.answer, str(row.get(self.answer["status"]))
        receipt = row.get(names["receipt"])
        receipt_no = None if receipt is None else str(receipt)[:120]
        if status in names["accepted"]:
            return Said(Outcome.ACCEPTED, receipt_no)
        if status in names["duplicate"]:
            return Said(Outcome.DUPLICATE, receipt_no)
        if status not in names["rejected"]:
            return None
        told = row.get(names["faults"])
        faults = [
            Fault(self.ours(interface, str(one.get(names["field"], ""))), "platform", str(one.get(names["message"], ""))[:300])
            for one in (told if isinstance(told, list) else []) if isinstance(one, dict)
        ]  # fmt: skip
        return Said(
            Outcome.REJECTED,
            receipt_no,
            tuple(faults) or (Fault("", "platform", str(row.get(names["message"]) or "")[:300]),),
        )


def at(value: Any, path: str) -> Any:
    """Return what lies at a dotted path of nested objects, None where there is nothing."""
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def load(path: Path = OWN) -> Mapped:
    """Read a mapping.

    :raises MappingError: a part or a path is missing, or it names what no form has.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"{path.name}: {error}") from error
    for part, keys in PARTS.items():
        if missing := sorted(keys - set(raw.get(part, {}))):
            raise MappingError(f"{path.name}: [{part}] needs {', '.join(missing)}.")
    known = {interface.code for interface in SENT}
    if set(raw.get("paths", {})) != known:
        raise MappingError(f"{path.name}: [paths] must name each of {', '.join(sorted(known))}, and nothing else.")
    codes = raw.get("codes", {})
    for interface, fields in raw.get("fields", {}).items():
        if interface != "*" and interface not in known:
            raise MappingError(f"{path.name}: [fields.{interface}] is no interface.")
        for name, rule in fields.items():
            if interface != "*" and name not in form(interface)["properties"]:
                raise MappingError(f"{path.name}: {interface} has no field {name}.")
            if isinstance(rule, dict) and (set(rule) - FIELD_KEYS or rule.get("codes", "") not in {"", *codes}):
                raise MappingError(
                    f"{path.name}: {interface}.{name}: use {', '.join(sorted(FIELD_KEYS))} and a list of [codes]."
                )
    for key in ("standard", "version"):
        if not isinstance(raw.get(key), str):
            raise MappingError(f"{path.name}: {key} is missing.")
    return Mapped(raw["standard"], raw["version"], raw["login"], raw["request"], raw["answer"], raw["paths"],
                  raw.get("fields", {}), codes)  # fmt: skip
