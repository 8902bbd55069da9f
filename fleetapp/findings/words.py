"""Words for clues and cases in the page's language."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleetapp.findings import rules, workflow
from fleetapp.findings.models import Finding, FindingCase
from fleetapp.findings.rulewords import told
from fleetapp.web.display import km, moment, percent
from fleetapp.web.request import now
from fleetapp.web.texts import language, t, t_or


def rule_name(code: str) -> str:
    """Return a rule's name; one that is no longer in the catalogue is called by its code."""
    rule = rules.CATALOGUE.get(code)
    if rule is None:
        return code
    return rule.name_zh if language() == "zh" else rule.name_en


def evidence(line: Mapping[str, Any]) -> str:
    """Return a line of evidence in words."""
    if line["code"] in {"saw", "clears"} and line.get("rule") in rules.CATALOGUE:
        return told(line)
    return t_or(f"findings.ev.{line['code']}", line["code"], **{k: v for k, v in line.items() if k != "code"})


def exemptions(finding: Finding) -> str:
    """Return which exemptions were looked at before the clue was raised."""
    between = "、" if language() == "zh" else ", "
    return between.join(t_or(f"findings.exempt.{code}", code) for code in finding.facts.get("exemptions", []))


def facts(finding: Finding) -> list[tuple[str, str]]:
    """Return the facts of a clue as pairs of words, in the catalogue's order."""
    return [
        (t_or(f"findings.fact.{name}", name), fact_words(kind, finding.facts[name]))
        for name, kind in rules.FACTS.items()
        if finding.facts.get(name) is not None
    ]


def fact_words(kind: str, value: Any) -> str:
    """Return a fact's value in words by its kind."""
    match kind:
        case "km":
            return f"{km(value)} km"
        case "m":
            return f"{value} m"
        case "min":
            return t("findings.minutes", n=value)
        case "moment":
            return moment(datetime.fromisoformat(value))
        case "share":
            return percent(value)
        case "score":
            return f"{value:.2f}"
        case "kind":
            return t_or(f"trips.kind.{value}", value)
        case "flag":
            return t("web.yes") if value else t("web.no")
        case "day":
            words = value["name"] if value["name"] and language() == "zh" else t(f"findings.day.{value['kind']}")
            known = "" if value["known"] else f"（{t('findings.day_unknown')}）"
            return f"{value['on']} {words}{known}"
    return str(value)


def is_overdue(case: FindingCase) -> bool:
    """Tell whether a case's explanation is overdue now."""
    return workflow.is_overdue(case.state, case.due_at, now())
