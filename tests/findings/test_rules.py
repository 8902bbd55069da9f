"""Colours, nights, and which figure stands."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from fleetapp.findings import rules
from fleetapp.findings.rules import Severity
from fleetapp.kit.errors import RuleBroken


@pytest.mark.parametrize(
    ("severity", "confidence", "expected"),
    [
        (Severity.RED, 0.5, Severity.RED), (Severity.RED, 0.49, Severity.YELLOW), (Severity.ORANGE, 0.2, Severity.YELLOW),
        (Severity.YELLOW, 0.1, Severity.YELLOW), (Severity.GREEN, 0.1, Severity.GREEN),
    ],
)  # fmt: skip
def test_an_unsure_clue_is_at_most_yellow(severity, confidence, expected):
    assert rules.settle(severity, confidence) is expected


def test_margins_become_confidence():
    assert [rules.margin_confidence(m) for m in (-0.2, 0.0, 0.05, 0.1, 0.7)] == [0.5, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize(
    ("start_h", "end_h", "expected"),
    [
        (21, 22, False),
        (21, 22.1, True),
        (23, 23.5, True),
        (6, 7, False),
        (5.9, 7, True),
        (22, 30, True),
        (10, 12, False),
    ],
)
def test_night_is_half_open_at_both_ends(start_h, end_h, expected):
    midnight = datetime(2026, 11, 17, 16, 0, tzinfo=UTC)
    start, end = midnight + timedelta(hours=start_h), midnight + timedelta(hours=end_h)
    assert rules.touches_night(start, end, from_h=22, to_h=6) is expected


def test_figures_come_from_the_strictest_scope_in_force_and_a_missing_one_is_named():
    def row(code, value, path="/", since=date(2026, 1, 1), until=None):
        return rules.FigureRow(code, path, until, rules.Figure(value, "x", since, "s", None), stricter="higher")

    everywhere = [row(code, 1.0) for code in (*rules.FIGURES, *rules.SLA.values())]
    local = [row("A-01.min_km", 2.0, "/1/4/"), row("A-01.min_km", 3.0, "/1/", until=date(2026, 6, 1))]
    on = date(2026, 11, 18)
    assert rules.figures_on([*local, *everywhere], on=on, org_path="/1/4/9/")["A-01.min_km"].value == 2.0
    assert rules.figures_on([*everywhere, *local], on=on, org_path="/1/5/")["A-01.min_km"].value == 1.0
    assert rules.figures_on([*everywhere, *local], on=date(2026, 5, 31), org_path="/1/5/")["A-01.min_km"].value == 3.0
    looser = row("A-01.min_km", 0.5, "/1/5/")
    assert rules.figures_on([looser, *everywhere], on=on, org_path="/1/5/")["A-01.min_km"].value == 1.0
    relaxed = replace(looser, may_relax=True)
    assert rules.figures_on([relaxed, *everywhere], on=on, org_path="/1/5/")["A-01.min_km"].value == 0.5
    with pytest.raises(RuleBroken) as broken:
        rules.figures_on(everywhere[1:], on=on, org_path="/1/")
    assert broken.value.params["figure"] == rules.FIGURES[0]
