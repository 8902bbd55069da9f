"""Waiting, completeness, lights; forms and mappings as files."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fleetapp.exchange import checking, interfaces, mapping, rules
from fleetapp.exchange.checking import Fault
from fleetapp.exchange.interfaces import ALL, SENT
from fleetapp.exchange.mapping import BatchRefused, Sending, TokenExpired, Unclear
from fleetapp.exchange.rules import Completeness, Light, Outcome, Standing
from fleetapp.kit.errors import RuleBroken
from fleetapp.web import texts
from tests.exchange import other_platform

NOW = datetime(2026, 11, 18, 1, tzinfo=UTC)
WELL = {"held": True, "configured": True, "paused": False, "link_trouble": False, "complete": True, "failures": 0,
        "oldest_at": None, "to_mend": 0}  # fmt: skip


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_waits_double_up_to_a_quarter_of_an_hour(failures, jitter):
    waited = rules.wait(failures, jitter).total_seconds()
    assert 15 <= waited <= 900
    assert waited <= rules.wait(failures + 1, jitter).total_seconds()


@given(st.integers(0, 10_000))
def test_batches_shrink_to_one_record_and_no_further(failures):
    assert 1 <= rules.batch_size(failures + 1) <= rules.batch_size(failures) <= rules.BATCH
    assert rules.batch_size(7) == 1


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_share_itself_is_enough_and_one_field_less_is_not(filled, more):
    one = Completeness(filled, filled + more)
    assert one.enough(Decimal("0.95")) == (20 * filled >= 19 * (filled + more))
    assert 0 <= one.percent <= 100


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.booleans())))
def test_the_same_content_is_the_same_version_in_any_order(values):
    assert rules.digest(values) == rules.digest(dict(reversed(values.items())))


@pytest.mark.parametrize(
    ("changes", "light"),
    [({}, Light.GREEN), ({"held": False}, Light.NONE), ({"configured": False}, Light.OFF), ({"paused": True, "configured": False}, Light.PAUSED),
     ({"link_trouble": True}, Light.RED), ({"complete": False}, Light.RED), ({"failures": 1}, Light.YELLOW), ({"to_mend": 1}, Light.YELLOW),
     ({"oldest_at": NOW - timedelta(minutes=59)}, Light.GREEN), ({"oldest_at": NOW - timedelta(hours=1)}, Light.YELLOW),
     ({"oldest_at": NOW - timedelta(hours=24)}, Light.RED)],
)  # fmt: skip
def test_lights(changes, light):
    assert rules.light(Standing(**(WELL | changes)), NOW) is light


def test_a_reason_says_something():
    assert rules.check_reason("  平台数据丢失 ") == "平台数据丢失"
    with pytest.raises(RuleBroken, match="reason_needed"):
        rules.check_reason("  补 ")


# ---- forms --------------------------------------------------------------------------------------------------------------


def test_the_table_is_the_list_of_the_standard():
    assert len(ALL) == 18
    assert [one.code for one in ALL if not one.held] == ["login", "hotline"]


@pytest.mark.parametrize("code", [one.code for one in SENT])
def test_every_form_is_of_the_draft_and_names_its_fields_in_both_languages(code):
    form = checking.form(code)
    Draft202012Validator.check_schema(form)
    assert form["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert form["title"] == texts.t(f"exchange.interface.{code}", "zh")
    assert form["x-title-en"] == texts.t(f"exchange.interface.{code}", "en")
    assert all(field["title"] and field["x-title-en"] for field in form["properties"].values())
    assert set(form["required"]) <= form["properties"].keys()
    assert not form["additionalProperties"]
    for language in ("zh", "en"):
        assert texts.t(f"exchange.carries.{code}", language)


def test_every_rule_and_trouble_has_words():
    for rule in [*checking.RULES, "other"]:
        assert texts.t(f"exchange.rule.{rule}", "zh", limit="1")
    for trouble in rules.Trouble:
        assert texts.t(f"exchange.trouble.{trouble}", "en")
        assert texts.t(f"exchange.remedy.{trouble}", "zh")


GOOD = {"plate": "浙A10001", "unit_code": "330106-EDU", "kind": "toll", "spent_on": "2026-11-18", "amount_cny": "35.00", "task_no": "YC-1",
        "record_status": "valid"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "fault"),
    [({"plate": None}, Fault("plate", "required", "")), ({"plate": "浙A1"}, "pattern"), ({"amount_cny": "35"}, "pattern"),
     ({"amount_cny": 35}, "type"), ({"spent_on": "2026-02-30"}, "format"), ({"record_status": "gone"}, "enum"),
     ({"task_no": None}, Fault("task_no", "anyOf", "")), ({"surprise": "1"}, "other")],
)  # fmt: skip
def test_faults_name_the_field_and_the_rule(change, fault):
    assert checking.faults("tolls", GOOD) == []
    values = {name: value for name, value in (GOOD | change).items() if value is not None}
    [found] = checking.faults("tolls", values)
    assert found == fault or found.rule == fault
    assert found.field in {*change, ""}


def test_two_missing_fields_are_two_faults_in_the_order_of_the_form():
    found = checking.faults("tolls", {"record_status": "valid", "task_no": "YC-1"})
    assert [fault.field for fault in found] == ["plate", "unit_code", "kind", "spent_on", "amount_cny"]


def test_a_task_or_why_there_is_none_counts_as_one_mandatory_field():
    assert checking.completeness("tolls", GOOD) == Completeness(6, 6)
    without = {name: value for name, value in GOOD.items() if name not in {"task_no", "plate"}}
    assert checking.completeness("tolls", without) == Completeness(4, 6)
    assert checking.completeness("tolls", without | {"no_task_reason": "未关联单次任务"}) == Completeness(5, 6)


def test_units_stand_beside_the_names_of_fields():
    assert checking.titles("energy", "zh")["odometer_km"] == "当时里程 (km)"
    assert checking.titles("energy", "en")["amount_cny"] == "Amount (CNY)"


# ---- mappings -----------------------------------------------------------------------------------------------------------


def test_our_own_mapping_keeps_our_names():
    body = mapping.load().body("tolls", "tolls-1-1", [Sending("tolls:duty-1:1", "duty-1", 1, GOOD)])
    assert body == {"interface": "tolls", "batch_no": "tolls-1-1", "records": [
        {"record_key": "tolls:duty-1:1", "record_id": "duty-1", "record_version": 1, "data": GOOD}]}  # fmt: skip


def test_another_platform_has_its_names_codes_numbers_and_times(tmp_path):
    mapped = mapping.load(other_platform.write(tmp_path))
    values = {"plate": "浙A10001", "kind": "fuel", "at": "2026-11-18T09:00:00+08:00", "amount_cny": "300.00", "odometer_km": "10000.5",
              "quantity": "40", "record_status": "valid"}  # fmt: skip
    [record] = mapped.body("energy", "energy-1-1", [Sending("energy:main-1:1", "main-1", 1, values)])["rows"]
    assert record == {
        "uuid": "energy:main-1:1", "id": "main-1", "ver": 1, "hphm": "浙A10001", "nylx": "01", "jysj": "20261118090000", "je": 300,
        "lc": "10000500", "quantity": "40", "zt": "1",
    }  # fmt: skip
    assert mapped.ours("energy", "jysj") == "at"
    assert mapped.ours("energy", "nobody") == "nobody"


def test_answers_are_read_by_their_names(tmp_path):
    mapped = mapping.load(other_platform.write(tmp_path))
    told = [{"uuid": "a", "res": 1, "no": 7}, {"uuid": "b", "res": 2}, {"uuid": "c", "res": 0, "errs": [{"col": "jysj", "txt": "时间在将来"}]},
            {"uuid": "d", "res": 0, "txt": "重复"}, {"uuid": "e", "res": 99}, "nonsense", {"uuid": "f", "res": 1}, {"uuid": "f", "res": 0}]  # fmt: skip
    found = mapped.read("energy", {"status": 200, "result": told})
    assert set(found) == {"a", "b", "c", "d"}  # e says nothing known, f contradicts itself
    assert (found["a"].outcome, found["a"].receipt_no, found["b"].outcome) == (Outcome.ACCEPTED, "7", Outcome.DUPLICATE)
    assert found["c"].faults == (Fault("at", "platform", "时间在将来"),)
    assert found["d"].faults == (Fault("", "platform", "重复"),)


@pytest.mark.parametrize(
    ("answer", "error"),
    [({"status": 401}, TokenExpired), ({"status": 500, "msg": "x"}, BatchRefused), ({}, Unclear), ([], Unclear), (None, Unclear), ("ok", Unclear),
     ({"status": 200}, Unclear), ({"status": 200, "result": {}}, Unclear)],
)  # fmt: skip
def test_other_answers_are_told_apart(tmp_path, answer, error):
    mapped = mapping.load(other_platform.write(tmp_path))
    with pytest.raises(error):
        mapped.read("energy", answer)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["code", "data", "results", "record_key", "status", "errors"]) | st.text(), inner)))  # fmt: skip
def test_no_answer_breaks_the_reader(answer):
    try:
        found = mapping.load().read("energy", json.loads(json.dumps(answer)))
    except (TokenExpired, BatchRefused, Unclear):
        found = {}
    assert all(said.outcome in Outcome for said in found.values())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [('standard = "X"', "", "standard"), ('rows"', "", "TOML|toml|Expected|Unterminated|newline|Illegal"), ("[paths]", "[somewhere]", "paths"),
     ('user = "u"', "", "user"), ("[fields.energy]", "[fields.boats]", "boats"), ('at = {name = "jysj"', 'when = {name = "jysj"', "when"),
     ('codes = "fuel"', 'codes = "tea"', "codes"), ("scale = 1000", "weight = 1000", "scale")],
)  # fmt: skip
def test_a_faulty_mapping_says_what_is_wrong(tmp_path, old, new, told):
    path = other_platform.write(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(mapping.MappingError, match=told):
        mapping.load(path)


def test_feeds_know_the_page_that_mends_them(app):
    endpoints = app.view_functions
    assert all(feed.mend in endpoints for one in interfaces.SENT for feed in one.feeds)
