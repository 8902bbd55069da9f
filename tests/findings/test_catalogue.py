"""The catalogue against the policy, the functions and its own words."""

import string
import tomllib
from pathlib import Path

import pytest

from fleetapp.findings import catalogue, rules
from fleetapp.findings.families import JUDGES
from fleetapp.findings.rules import Figure, FigureRow, Severity

POLICY = tomllib.loads((Path(__file__).parents[2] / "config" / "policy.toml").read_text(encoding="utf-8"))
INCIDENTS = {"A-01", "A-02", "A-03", "B-01", "B-02", "E-01", "E-02"}
"""Rules asked about incidents put together before; ``S`` is what people find."""


def test_every_active_rule_has_one_function_and_no_other_has():
    active = {code for code, rule in catalogue.CATALOGUE.items() if rule.active and rule.family != "S"}
    assert set(JUDGES) | INCIDENTS == active
    assert not set(JUDGES) & INCIDENTS


def test_every_figure_is_a_policy_row_with_its_source():
    for code in rules.FIGURES:
        row = POLICY[code][-1] if isinstance(POLICY[code], list) else POLICY[code]
        assert row["source"], code


@pytest.mark.parametrize("rule", [rule for rule in catalogue.CATALOGUE.values() if rule.saw], ids=lambda rule: rule.id)
def test_both_languages_of_a_sentence_use_the_same_facts(rule):
    def names(text):
        return {
            name.removesuffix("_zh").removesuffix("_en") for _, name, _, _ in string.Formatter().parse(text) if name
        }

    assert names(rule.saw.zh) == names(rule.saw.en)


def test_colours_and_needs():
    for rule in catalogue.CATALOGUE.values():
        assert rule.severity in set(Severity)
        assert rule.clears.zh
        assert rule.clears.en
        assert rule.active or rule.needs.zh


def test_a_rule_with_an_unknown_key_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('["A-01"]\nname = {zh = "a", en = "b"}\ncolour = "red"\n', encoding="utf-8")
    with pytest.raises(ValueError, match="A-01"):
        catalogue.read(path)


def test_a_category_of_vehicles_has_its_own_figure():
    rows = [
        FigureRow(
            code,
            "/",
            None,
            Figure(float((row[-1] if isinstance(row, list) else row)["value"]), "", rules.date.min, "x", None),
        )
        for code, row in POLICY.items()
    ]
    on = rules.date(2026, 11, 1)
    everybody = rules.figures_on(rows, on=on, org_path="/1/")
    emergency = rules.figures_on(rows, on=on, org_path="/1/", category="YJBZ")
    assert (everybody["B-03.min_km"].value, emergency["B-03.min_km"].value) == (2, 10)
    assert rules.figures_on(rows, on=on, org_path="/1/", category="QT")["B-03.min_km"].value == 2
