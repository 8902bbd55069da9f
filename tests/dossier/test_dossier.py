"""One car, one file: values by kind, completeness over what applies, life from indicator to archive, facts never changed."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.disposal import service as disposal
from fleetapp.disposal.rules import Mode
from fleetapp.dossier import chart, queries, rules, service
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Invalid, NotAllowed, NotFound, RuleBroken
from fleetapp.vehicles import papers
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import DocumentKind, VehicleState
from tests import world
from tests.serving import furnish

PLATE, NEV_PLATE = "浙A10001", "浙AD00002"
T0 = datetime(2026, 1, 1, tzinfo=UTC)


# ---- rules --------------------------------------------------------------------------------------------------------------


def test_the_file_has_the_facts_that_statistics_ask_for():
    mandatory = [one for one in rules.ATTRIBUTES if one.mandatory]
    assert len(mandatory) >= 62
    assert len(rules.ATTRIBUTES) - len(mandatory) >= 16
    assert len(rules.BY_KEY) == len(rules.ATTRIBUTES)


@pytest.mark.parametrize(
    ("key", "typed", "canonical"),
    [
        ("length_mm", " ４７８０ ", "4780"), ("label_l_100km", "6.20", "6.20"), ("invoice_on", "2024年5月3日", "2024-05-03"),
        ("invoice_on", "2024/5/3", "2024-05-03"), ("dashcam", "有", "true"), ("dashcam", "no", "false"), ("brand", " 大众 ", "大众"),
        ("contract_no", "CG-1", "CG-1"),
    ],
)  # fmt: skip
def test_a_value_gets_one_form(key, typed, canonical):
    assert rules.parse(key, typed) == canonical
    assert rules.parse(key, canonical) == canonical


@pytest.mark.parametrize(
    ("key", "typed", "code"),
    [
        ("length_mm", "4.7 m", "dossier.number"), ("length_mm", "0", "dossier.number"), ("length_mm", "NaN", "dossier.number"),
        ("length_mm", "1e9", "dossier.number"), ("invoice_on", "2024-02-30", "dossier.date"), ("invoice_on", "昨天", "dossier.date"),
        ("dashcam", "maybe", "dossier.flag"), ("brand", "   ", "dossier.empty"), ("brand", "x" * 121, "dossier.long"),
        ("plate", "浙A99999", "dossier.not_by_hand"), ("compulsory_no", "1", "dossier.not_by_hand"), ("horsepower", "1", "dossier.unknown"),
    ],
)  # fmt: skip
def test_what_is_no_value_is_refused(key, typed, code):
    with pytest.raises(RuleBroken) as broken:
        rules.parse(key, typed)
    assert broken.value.code == code


@given(st.text(max_size=140), st.sampled_from(sorted(rules.BY_KEY)))
def test_whatever_is_typed_is_a_canonical_value_or_refused(typed, key):
    try:
        value = rules.parse(key, typed)
    except RuleBroken:
        return
    assert rules.parse(key, value) == value
    assert 1 <= len(value) <= rules.LONGEST


def test_completeness_counts_only_what_applies():
    nothing = {energy: rules.completeness({}, energy) for energy in ("petrol", "bev", "phev", "fcev")}
    assert {one.filled for one in nothing.values()} == {0}
    assert "battery_kwh" in nothing["bev"].missing
    assert "battery_kwh" not in nothing["petrol"].missing
    assert "displacement_ml" not in nothing["bev"].missing
    assert {"battery_kwh", "displacement_ml"} <= set(nothing["phev"].missing)
    whole = rules.completeness(dict.fromkeys(rules.BY_KEY, "x"), "petrol")
    assert (whole.share, whole.missing) == (1.0, ())
    less = rules.completeness(dict.fromkeys(rules.BY_KEY, "x") | {"brand": "", "domestic": False}, "petrol")
    assert less.missing == ("brand",)


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(list(VehicleState))), min_size=1, max_size=12))
def test_times_in_states_leave_no_gap_and_do_not_overlap(changes):
    until = T0 + timedelta(days=400)
    found = rules.stretches([(T0 + timedelta(days=day), state.value) for day, state in changes], until=until)
    assert found[0].start == T0 + timedelta(days=min(day for day, _ in changes))
    assert found[-1].end == until
    assert all(one.end == after.start for one, after in pairwise(found))


def test_the_life_line_puts_the_purchase_before_the_service_and_lifts_near_marks():
    life = [
        rules.Happening(T0 + timedelta(days=day), "acquisition", what)
        for day, what in ((0, "submitted"), (1, "approved"), (90, "contracted"))
    ]
    stretch = rules.Stretch("IN_SERVICE", T0 + timedelta(days=120), T0 + timedelta(days=700))
    drawn = chart.timeline([stretch], life, born=T0 + timedelta(days=110), until=T0 + timedelta(days=700))
    marks = [(mark["what"].text, mark["row"]) for mark in drawn["marks"]]
    assert marks == [("submitted", 0), ("approved", 1), ("contracted", 0)]
    assert drawn["marks"][-1]["x"] < drawn["before"][0]["x"] < drawn["bars"][0]["x"]
    assert [year for _, year in drawn["ticks"]] == [2027]


# ---- service and database -------------------------------------------------------------------------------------------------


@pytest.fixture
def car_id(database, now):
    furnish(database, now)
    with database.transaction(SYSTEM) as session:
        return session.scalars(select(Vehicle.id).where(Vehicle.plate == PLATE)).one()


@pytest.fixture
def complete(database, now):
    def done(username, vehicle_id, **values):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            return [
                fact.key for fact in service.complete(session, vehicle_id=vehicle_id, values=values, actor=who, now=now)
            ]

    return done


def values_of(database, vehicle_id, now):
    with database.transaction(SYSTEM) as session:
        return queries.values(session, session.get(Vehicle, vehicle_id), now=now)


def test_facts_supersede_each_other_and_the_same_again_is_nothing(database, car_id, complete, now):
    assert complete("unit_admin.xhedu", car_id, brand="大众", length_mm="4780") == ["brand", "length_mm"]
    assert complete("fleet_manager.xihu", car_id, brand="大众", length_mm="4790") == ["length_mm"]
    assert complete("vehicle_office.city", car_id, length_mm="4790") == []
    values = values_of(database, car_id, now)
    assert (values["brand"], values["length_mm"], values["plate"]) == ("大众", "4790", PLATE)
    with database.transaction(SYSTEM) as session:
        rows = session.scalars(text("SELECT value FROM vehicle_fact WHERE key = 'length_mm' ORDER BY id")).all()
        logged = session.scalars(
            text("SELECT data FROM audit_entry WHERE action = 'vehicles.facts_entered' ORDER BY seq")
        ).all()
    assert rows == ["4780", "4790"]
    assert logged[-1]["facts"] == [{"key": "length_mm", "before": "4780", "after": "4790"}]


def test_one_wrong_value_and_nothing_is_entered(database, car_id, complete, now):
    with pytest.raises(Invalid) as broken:
        complete("unit_admin.xhedu", car_id, brand="大众", length_mm="long")
    assert broken.value.fields == {"length_mm": ["dossier.number"]}
    assert values_of(database, car_id, now)["brand"] is None


def test_who_completes_a_file(car_id, complete):
    assert complete("unit_admin.xhedu", car_id, brand="大众") == ["brand"]
    for username in ("auditor.city", "leader.city", "finance.city", "dispatcher.xihu"):
        with pytest.raises(NotAllowed):
            complete(username, car_id, brand="红旗")
    with pytest.raises((NotAllowed, NotFound)):
        complete("unit_admin.bjwater", car_id, brand="红旗")


def test_the_database_keeps_facts_as_they_are(database, car_id, complete):
    complete("unit_admin.xhedu", car_id, brand="大众")
    who = world.actor(database, "unit_admin.xhedu")
    for statement in ("UPDATE vehicle_fact SET value = '红旗'", "DELETE FROM vehicle_fact", "TRUNCATE vehicle_fact"):
        with pytest.raises((IntegrityError, ProgrammingError)), database.transaction(who) as session:
            session.execute(text(statement))
    insert = text(
        "INSERT INTO vehicle_fact (org_id, vehicle_id, key, value, entered_at) SELECT org_id, id, 'brand', :value, now() FROM vehicle WHERE id = :id"
    )
    with pytest.raises(IntegrityError), database.transaction(who) as session:
        session.execute(insert, {"id": car_id, "value": "  "})
    with database.transaction(world.actor(database, "unit_admin.bjwater")) as session:
        assert session.scalar(text("SELECT count(*) FROM vehicle_fact")) == 0


def test_papers_and_terminal_fill_the_file_by_themselves(database, car_id, now):
    before = values_of(database, car_id, now)
    with database.transaction(SYSTEM) as session:
        for kind, given in (
            (DocumentKind.COMPULSORY_INSURANCE, {"number": "JQ-1", "issuer": "承保", "valid_from": date(2026, 1, 1), "valid_to": date(2027, 1, 1)}),
            (DocumentKind.MARKING, {"number": "BS-1", "valid_from": date(2020, 1, 1)}),
            (DocumentKind.ETC, {"number": "ETC-later", "valid_from": date(2027, 1, 1)}),
        ):  # fmt: skip
            papers.add(session, vehicle_id=car_id, kind=kind, actor=SYSTEM, now=now, **given)
        voided = papers.add(session, vehicle_id=car_id, kind=DocumentKind.INSPECTION, number="NJ-1", valid_from=date(2026, 1, 1),
                            valid_to=date(2028, 1, 1), actor=SYSTEM, now=now)  # fmt: skip
        papers.void(session, vehicle_id=car_id, document_id=voided.id, reason="编号抄错", actor=SYSTEM, now=now)
    after = values_of(database, car_id, now)
    assert (after["compulsory_no"], after["compulsory_until"], after["insurer"], after["marking_no"]) == (
        "JQ-1",
        date(2027, 1, 1),
        "承保",
        "BS-1",
    )
    assert (after["etc_no"], after["inspection_no"]) == (None, None)
    filled = [rules.completeness(values, "petrol").filled for values in (before, after)]
    assert filled[1] - filled[0] == 4


def test_the_life_of_a_car_goes_on_to_its_disposal_and_each_reads_their_part(database, car_id, now):
    with database.transaction(SYSTEM) as session:
        session.get(Vehicle, car_id).registered_on = date(2016, 3, 1)
    manager = world.actor(database, "fleet_manager.xihu")
    with database.transaction(manager) as session:
        vehicles.change_state(
            session, vehicle_id=car_id, to=VehicleState.MAINTENANCE, reason="保养检查", actor=manager, now=now
        )
        vehicles.change_state(
            session,
            vehicle_id=car_id,
            to=VehicleState.IN_SERVICE,
            reason="保养完成",
            actor=manager,
            now=now + timedelta(days=2),
        )
        disposal.ask(
            session, vehicle_id=car_id, mode=Mode.AUCTION, reason="车辆老旧", actor=manager, now=now + timedelta(days=3)
        )
    later = now + timedelta(days=9)
    told = {}
    for username in ("leader.city", "dispatcher.xihu"):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            car = session.get(Vehicle, car_id)
            entries = queries.log(session, vehicle_id=car_id)
            told[username] = queries.life(session, car, entries=entries, actor=who)
            states = queries.states(entries, car, now=later)
    assert told["leader.city"][0].text == "requested"
    assert told["leader.city"][0].who
    assert {one.part for one in told["dispatcher.xihu"]} == {"vehicle"}
    spent = [(one.state, one.end - one.start) for one in states[-2:]]
    assert spent == [("MAINTENANCE", timedelta(days=2)), ("IN_SERVICE", timedelta(days=7))]


# ---- pages and API --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("username", ["leader.city", "auditor.city", "unit_admin.xhedu", "dispatcher.xihu"])
def test_the_file_opens_in_every_part_the_role_reads(car_id, browse, username):
    client = browse(username)
    for tab in ("basics", "papers", "travel", "upkeep", "energy", "costs", "seals", "log", "all"):
        page = client.get(f"/vehicles/{car_id}/file?tab={tab}")
        assert page.status_code == 200
        assert PLATE in page.get_data(as_text=True)
    reads_disposal = username != "dispatcher.xihu"
    assert (
        "这一部分" in client.get(f"/vehicles/{car_id}/file?tab=disposal").get_data(as_text=True)
    ) is not reads_disposal
    assert client.get(f"/vehicles/{car_id}/file?tab=engine").status_code == 422


def test_the_page_takes_facts_and_shows_what_is_wrong(car_id, browse):
    client = browse("unit_admin.xhedu")
    refused = client.submit(f"/vehicles/{car_id}/file", brand="大众", length_mm="四米")
    assert refused.status_code == 422
    shown = refused.get_data(as_text=True)
    assert "请填大于 0 的数字" in shown
    assert 'value="四米"' in shown
    assert client.submit(f"/vehicles/{car_id}/file", brand="大众", length_mm="4780", tyre_size="").status_code == 302
    assert "4780" in client.get(f"/vehicles/{car_id}/file").get_data(as_text=True)
    assert browse("auditor.city").submit(f"/vehicles/{car_id}/file", brand="红旗").status_code == 403
    assert browse("unit_admin.bjwater").get(f"/vehicles/{car_id}/file").status_code == 404


def test_the_api_returns_and_completes_a_file(car_id, api):
    call = api("unit_admin.xhedu")
    before = call("GET", f"/vehicles/{car_id}/file").json
    after = call("PATCH", f"/vehicles/{car_id}/file", json={"values": {"brand": "大众", "invoice_on": "2024/5/3"}}).json
    assert after["filled"] == before["filled"] + 2
    assert (after["values"]["brand"], after["values"]["invoice_on"]) == ("大众", "2024-05-03")
    assert Decimal(str(after["share"])) == round(Decimal(after["filled"]) / after["wanted"], 4)
    assert "brand" not in after["missing"]
    wrong = call("PATCH", f"/vehicles/{car_id}/file", json={"values": {"brand": "红旗", "plate": "浙A1"}})
    assert wrong.status_code == 422
    assert call("GET", f"/vehicles/{car_id}/file").json["values"]["brand"] == "大众"
    assert (
        api("auditor.city")("PATCH", f"/vehicles/{car_id}/file", json={"values": {"brand": "红旗"}}).status_code == 403
    )
    assert call("PATCH", f"/vehicles/{car_id}/file", json={"values": {}}).status_code == 422
