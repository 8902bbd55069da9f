"""A result as people read it: the conclusion in plain words, the table, what the chart draws."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fleetapp.lab.models import LabStudy
from fleetapp.lab.rules import StudyKind
from fleetapp.web.texts import language, t

WAN = 10_000


@dataclass(frozen=True, slots=True)
class Table:
    """Heads and rows; the first cell names the row, numbers are numbers so that a workbook can reckon with them."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str | float | None]]


def group_name(group: dict[str, Any]) -> str:
    """Return the name of a pool with its class."""
    return f"{group[language()]} · {t('lab.class.' + group['body'])}"


def conclusion(study: LabStudy) -> str:
    """Return what the study says, with how sure that is."""
    result: dict[str, Any] = study.result or {}
    facts: dict[str, Any] = dict(result["facts"])
    kind = StudyKind(study.kind)
    match kind:
        case StudyKind.RIGHT_SIZE:
            spare = facts["now"] - facts["need"]
            key = "lab.says.right_size" if spare >= 0 else "lab.says.right_size_short"
            return t(
                key,
                **facts | {"share": f"{facts['share'] * 100:.0f}", "spare": abs(spare), "days": len(result["days"])},
            )
        case StudyKind.SHARING | StudyKind.POOLING:
            money: dict[str, Any] = {name: f"{facts[name]:,.0f}" for name in ("cost", "least", "most")}
            key = f"lab.says.{kind.value}" if facts["cost"] > 0 else f"lab.says.{kind.value}_none"
            return t(key, None, **facts | money | {"year": f"{facts['year'] / WAN:,.1f}", "days": len(result["days"])})
        case StudyKind.RENT:
            return t("lab.says.rent", now=facts["now"], best=facts["best"], saved=f"{facts['saved'] / WAN:,.1f}",
                     own=f"{facts['own_year'] / WAN:,.2f}", even="–" if facts["even_days"] is None else f"{facts['even_days']:,.0f}",
                     days=len(result["days"]))  # fmt: skip
    key = "lab.says.nev" if facts["cheapest"] else "lab.says.nev_none"
    budget = f"{float(facts['cheapest'] or 0) / WAN:,.0f}"
    return t(
        key,
        target=f"{facts['target'] * 100:.0f}",
        last=facts["last"],
        share=f"{facts['share'] * 100:.1f}",
        budget=budget,
    )


def table(study: LabStudy) -> Table:
    """Return the table of the result."""
    rows: list[dict[str, Any]] = (study.result or {})["rows"]
    names: tuple[str, ...]
    match StudyKind(study.kind):
        case StudyKind.RIGHT_SIZE:
            names = ("group", "orders", "now", "share_now", "need", "low", "high", "share_need")
        case StudyKind.RENT:
            names = ("group", "orders", "km_order", "now", "cost_now", "best", "cost_best", "cost_rent")
        case StudyKind.NEV:
            return Table(
                [t("lab.col.budget"), *(str(one["year"]) for one in rows[0]["path"]), t("lab.col.cost_cny"), t("lab.col.cars"), t("lab.col.short")],
                [[f"{float(row['budget']) / WAN:,.0f}", *(round(one["share"], 4) for one in row["path"]), row["cost_cny"], row["cars"],
                  "、".join(t(f"lab.short.{one}") for one in sorted(set(row["short"]))) or "–"] for row in rows],
            )  # fmt: skip
        case _:
            names = ("way", "served", "rented", "unserved", "vehicles", "shared", "cost")
    return Table(
        [t(f"lab.col.{name}") for name in names], [[_cell(row, name, study.kind) for name in names] for row in rows]
    )


def _cell(row: dict[str, Any], name: str, kind: str) -> str | float | None:
    value = row[name]
    if name == "group":
        return group_name(value)
    if name == "way":
        return t(f"lab.way.{kind}.{value}")
    if isinstance(value, str):
        return round(float(value), 2)
    return round(value, 4) if isinstance(value, float) else value


def shown(value: str | float | None, head: str) -> str:
    """Return a number of the table as a page writes it."""
    if value is None:
        return t("lab.never")
    if isinstance(value, str):
        return value
    if head in {t("lab.col.share_now"), t("lab.col.share_need")} or (head.isdigit() and value <= 1):
        return f"{value * 100:.1f}%"
    return f"{value:,.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:,.1f}"


def charts(study: LabStudy) -> list[dict[str, Any]]:
    """Return what is drawn: the answer by group, and the curve behind it where there is one."""
    result = study.result or {}
    rows = result["rows"]
    match StudyKind(study.kind):
        case StudyKind.RIGHT_SIZE:
            found = [_bars(rows, ("now", "need"))]
            if curve := result["curve"]:
                found.append({"kind": "lines", "unit": "share", "title": t("lab.chart.curve", group=group_name(curve["group"])),
                              "names": [str(n) for n in range(len(curve["shares"]))], "axis": t("lab.axis.vehicles"),
                              "lines": [{"name": t("lab.col.share_need"), "data": curve["shares"]},
                                        {"name": t("lab.wanted"), "data": [result["facts"]["share"]] * len(curve["shares"]), "dashed": True}]})  # fmt: skip
            return found
        case StudyKind.RENT:
            found = [_bars(rows, ("now", "best"))]
            if curve := result["curve"]:
                found.append({"kind": "lines", "unit": "cny", "title": t("lab.chart.costs", group=group_name(curve["group"])),
                              "names": [str(n) for n in range(len(curve["costs"]))], "axis": t("lab.axis.vehicles"),
                              "lines": [{"name": t("lab.col.cost_best"), "data": curve["costs"]}]})  # fmt: skip
            return found
        case StudyKind.NEV:
            years = [str(one["year"]) for one in rows[0]["path"]]
            lines: list[dict[str, Any]] = [
                {
                    "name": t("lab.budget_line", n=f"{float(row['budget']) / WAN:,.0f}"),
                    "data": [one["share"] for one in row["path"]],
                }
                for row in rows
            ]
            lines.append({"name": t("lab.target"), "data": [result["facts"]["target"]] * len(years), "dashed": True})
            return [
                {
                    "kind": "lines",
                    "unit": "share",
                    "title": t("lab.chart.paths"),
                    "names": years,
                    "axis": "",
                    "lines": lines,
                }
            ]
    per_day = result["per_day"]
    return [{"kind": "lines", "unit": "cny", "title": t("lab.chart.per_day"), "names": [one["on"] for one in per_day], "axis": "",
             "lines": [{"name": t(f"lab.way.{study.kind}.{way}"), "data": [one[way] for one in per_day]} for way in ("without", "with")]}]  # fmt: skip


def _bars(rows: list[dict[str, Any]], names: tuple[str, str]) -> dict[str, Any]:
    rows = sorted(rows, key=lambda row: -(row[names[0]] or 0) - (row["orders"] or 0) / 1e6)[:16]
    return {"kind": "units", "title": t("lab.chart.groups"), "names": [group_name(row["group"]) for row in rows],
            "heads": [t(f"lab.col.{name}") for name in names], "series": [[row[name] or 0 for row in rows] for name in names], "links": []}  # fmt: skip
