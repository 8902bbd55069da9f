"""A ledger of vehicles from the upload to the registry: what is right goes in, what is wrong is named by its cell."""

from datetime import date

import pytest

from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.vehicles import bulk
from fleetapp.vehicles import queries as registry
from tests.ledgers.conftest import car, counts, faults, workbook


def test_new_vehicles_become_opening_stock_with_all_their_facts(ledgers):
    one = ledgers.check(
        workbook([car(1, terminal_phone=13911110001, colour="黑", parking="西湖区教育局停车场"), car(2)])
    )
    assert (one.state, counts(one), one.faults) == ("CHECKED", (2, 0, 0, 0), [])
    assert ledgers.scalar("SELECT count(*) FROM vehicle WHERE plate LIKE '浙A2%'") == 0
    done = ledgers.commit(one.id)
    assert (done.state, done.done_rows, done.committed_by is not None) == ("DONE", 2, True)
    found = ledgers.scalar("SELECT to_jsonb(v) FROM vehicle v WHERE plate = '浙A20001'")
    assert (found["state"], found["category"], found["energy"], found["displacement_ml"], found["price_ex_tax"]) == (
        "IN_SERVICE", "YJBZ", "petrol", 1598, 159800.00)  # fmt: skip
    assert (found["management_mode"], found["acquired_by"], found["colour"], found["version"]) == (
        "retained",
        "purchase",
        "黑",
        1,
    )
    assert (
        ledgers.scalar("SELECT name_zh FROM parking_area WHERE id = :id", id=found["parking_id"])
        == "西湖区教育局停车场"
    )
    assert ledgers.scalar(
        "SELECT phone FROM gps_terminal t JOIN terminal_binding b ON b.terminal_id = t.id WHERE b.vehicle_id = :id", id=found["id"]
    ) == "13911110001"  # fmt: skip
    logged = ledgers.scalar(
        "SELECT data FROM audit_entry WHERE action = 'vehicles.registered' AND subject_id = :id", id=str(found["id"])
    )
    assert (logged["vin"], logged["ledger_import"], logged["terminal"]) == (found["vin"], one.id, "13911110001")
    assert ledgers.scalar("SELECT count(*) FROM audit_verify()") == 0


@pytest.mark.parametrize(
    ("given", "column", "code"),
    [
        ({"vin": "LSVBB11Z5N3000002"}, "vin", "vehicles.vin_check"),
        ({"vin": "LSVBB11Z5N300000"}, "vin", "vehicles.vin_form"),
        ({"plate": "浙A10001"}, "plate", "vehicles.plate_taken"),
        ({"plate": "浙A10005"}, "plate", "vehicles.plate_taken"),  # of a unit out of reach
        ({"plate": "浙AD20001"}, "plate", "vehicles.plate_energy"),
        ({"price_ex_tax": 180000.01}, "price_ex_tax", "acquisitions.over_price"),
        ({"displacement_ml": 1984}, "displacement_ml", "acquisitions.over_displacement"),
        ({"displacement_ml": "1.6 L"}, "displacement_ml", "ledgers.cell_litres"),
        ({"displacement_ml": 1.6}, "displacement_ml", "ledgers.cell_litres"),
        ({"displacement_ml": "=1500+98"}, "displacement_ml", "ledgers.cell_formula"),
        ({"displacement_ml": 1597.5}, "displacement_ml", "ledgers.cell_whole"),
        ({"price_ex_tax": "十五万"}, "price_ex_tax", "ledgers.cell_money"),
        ({"price_ex_tax": 159800.001}, "price_ex_tax", "ledgers.cell_money"),
        ({"price_ex_tax": -1}, "price_ex_tax", "ledgers.cell_range"),
        ({"seats": 12}, "seats", "vehicles.seats"),
        ({"seats": None}, "seats", "ledgers.cell_missing"),
        ({"seats": "五"}, "seats", "ledgers.cell_whole"),
        ({"registered_on": "2023-02-30"}, "registered_on", "ledgers.cell_date"),
        ({"registered_on": 44986}, "registered_on", "ledgers.cell_date"),
        ({"registered_on": date(2027, 1, 1)}, "registered_on", "ledgers.in_future"),
        ({"energy": "汽油车"}, "energy", "ledgers.cell_choice"),
        ({"domestic": "国产"}, "domestic", "ledgers.cell_flag"),
        ({"range_km": 400}, "range_km", "vehicles.range_odd"),
        ({"org_code": "330108-WATER"}, "org_code", "ledgers.org_unknown"),
        ({"org_name": "西湖区卫生健康局"}, "org_name", "ledgers.org_name"),
        ({"parking": "不存在的停车场"}, "parking", "ledgers.parking_unknown"),
        ({"terminal_phone": "13900000005"}, "terminal_phone", "vehicles.terminal_elsewhere"),
        ({"step": "工作需要"}, "step", "ledgers.step_unknown"),
        ({"model": "x" * 81}, "model", "ledgers.cell_text"),
    ],
)
def test_a_wrong_cell_is_named_and_its_row_alone_refused(ledgers, given, column, code):
    one = ledgers.check(workbook([car(1), car(2, **given)]))
    assert faults(one) == {(5, column): code}
    assert (one.state, counts(one)) == ("CHECKED", (1, 0, 0, 1))


@pytest.mark.parametrize(
    "given",
    [
        {"price_ex_tax": 180000.00},  # the cap itself
        {"displacement_ml": 1799},  # traded as 1.8 litres
        {
            "price_ex_tax": 180000.01,
            "acquired_on": date(2017, 12, 4),
            "registered_on": date(2017, 12, 20),
        },  # before the caps
        {"price_ex_tax": 240000, "displacement_ml": 2488, "step": "特殊情况", "body": "商务车", "seats": 7},
        {"price_ex_tax": 999999, "management_mode": "租赁车辆", "acquired_by": "租赁"},
        {"category": "ZFZQ", "price_ex_tax": 120000, "plate": "浙A2001警"},
        {"energy": "BEV", "plate": "浙AD20001", "range_km": 400, "displacement_ml": None},
        {"registered_on": "2023年3月1日", "acquired_on": "2023/2/1", "made_on": "2023.1.5"},
        {"registered_on": 20230301, "seats": "５", "price_ex_tax": "１５９，８００．００"},
        {"plate": "浙A·20001", "vin": None, "org_name": "西湖区教育局"},
        {"engine_no": 123456, "domestic": True, "fuel_grade": "95#"},
        {"category": "emergency support", "body": "Sedan", "energy": "petrol"},
    ],
)
def test_what_is_lawful_and_said_in_another_form_is_accepted(ledgers, given):
    row = car(1, **given)
    row["vin"] = row["vin"] or car(1)["vin"].lower()
    done = ledgers.imported(workbook([row]))
    assert (done.state, done.faults, counts(done)) == ("DONE", [], (1, 0, 0, 0))


def test_the_article_stands_in_the_message(ledgers):
    one = ledgers.check(workbook([car(1, price_ex_tax=180000.01)]))
    fault = one.faults[0]["faults"][0]
    assert fault["params"]["price"] == "180,000.01"
    assert "中办发〔2017〕71号" in fault["params"]["source"]
    assert "第七条" in fault["params"]["source"]


def test_duplicates_inside_the_file_name_the_first_cell(ledgers):
    rows = [
        car(1, terminal_phone="13911110001"),
        car(2, plate="浙A20001"),
        car(3, vin=car(1)["vin"]),
        car(4, terminal_phone="13911110001"),
    ]
    one = ledgers.check(workbook(rows))
    assert faults(one) == {
        (5, "plate"): "ledgers.twice",
        (6, "vin"): "ledgers.twice",
        (7, "terminal_phone"): "ledgers.twice",
    }
    assert [row["faults"][0]["params"]["cell"] for row in one.faults] == ["C4", "D4", "AB4"]


def test_all_that_is_wrong_with_a_row_is_told_at_once_but_a_mistyped_vin_speaks_for_itself(ledgers):
    rows = [
        car(1, seats=12, price_ex_tax=180000.01, org_name="西湖区", plate="浙A10001"),
        car(2, vin="LSVBB11Z5N3000002", plate="浙A10001"),
    ]
    one = ledgers.check(workbook(rows))
    assert faults(one) == {(4, "seats"): "vehicles.seats", (4, "price_ex_tax"): "acquisitions.over_price", (4, "org_name"): "ledgers.org_name",
                           (4, "plate"): "vehicles.plate_taken", (5, "plate"): "ledgers.twice", (5, "vin"): "vehicles.vin_check"}  # fmt: skip


def test_a_known_vehicle_changes_field_by_field_and_empty_cells_leave_what_is_there(ledgers):
    vin = ledgers.scalar("SELECT vin FROM vehicle WHERE plate = '浙A10001'")
    row = car(1, plate="浙A10001", vin=vin, model="新款轿车", registered_on=date(2022, 3, 1), price_ex_tax=None, displacement_ml=None,
              domestic=None, colour="灰", odometer_m=1)  # fmt: skip
    one = ledgers.check(workbook([row]))
    assert counts(one) == (0, 1, 0, 0)
    assert one.changes == [
        {"row": 4, "key": "浙A10001", "changed": {"colour": [None, "灰"], "model": ["示例车型", "新款轿车"]}}
    ]
    ledgers.commit(one.id)
    found = ledgers.scalar("SELECT to_jsonb(v) FROM vehicle v WHERE vin = :vin", vin=vin)
    assert (found["model"], found["colour"], found["odometer_m"], found["parking_id"] is not None) == (
        "新款轿车",
        "灰",
        10_000_000,
        True,
    )
    logged = ledgers.scalar("SELECT data FROM audit_entry WHERE action = 'vehicles.edited'")
    assert logged == {"changed": {"colour": [None, "灰"], "model": ["示例车型", "新款轿车"]}, "ledger_import": one.id}


def test_plate_terminal_and_price_of_a_known_vehicle_are_held_to_the_same_rules(ledgers):
    vins = {
        plate: ledgers.scalar("SELECT vin FROM vehicle WHERE plate = :plate", plate=plate)
        for plate in ("浙A10001", "浙A10003")
    }
    same = {"registered_on": date(2022, 3, 1), "model": None, "price_ex_tax": None, "displacement_ml": None}
    rows = [
        car(1, vin=vins["浙A10001"], plate="浙A10003", **same | {"model": "示例车型"}),
        car(2, vin=vins["浙A10003"], plate="浙A10003", **same | {"model": "示例车型", "price_ex_tax": 180000.01}, org_code="330106-HEALTH",
            body="商务车", seats=7),
    ]  # fmt: skip
    one = ledgers.check(workbook(rows))
    assert faults(one) == {(4, "plate"): "vehicles.plate_taken", (5, "plate"): "ledgers.twice",
                           (5, "price_ex_tax"): "acquisitions.over_price"}  # fmt: skip
    moved = ledgers.check(
        workbook(
            [car(1, vin=vins["浙A10001"], plate="浙A10001", org_code="330106-HEALTH", **same | {"model": "示例车型"})]
        )
    )
    assert faults(moved) == {(4, "org_code"): "ledgers.org_fixed"}
    fitted = ledgers.imported(
        workbook(
            [
                car(
                    1,
                    vin=vins["浙A10001"],
                    plate="浙A20009",
                    terminal_phone="0139 1111 0009",
                    **same | {"model": "示例车型"},
                )
            ]
        )
    )
    assert (fitted.state, counts(fitted)) == ("DONE", (0, 1, 0, 0))
    assert (
        ledgers.scalar(
            "SELECT count(*) FROM terminal_binding b JOIN vehicle v ON v.id = b.vehicle_id WHERE v.plate = '浙A20009'"
        )
        == 2
    )


def test_no_more_new_vehicles_than_the_quota_has_places(authorised):
    one = authorised.check(workbook([car(number) for number in range(1, 6)]))
    assert counts(one) == (3, 0, 0, 2)
    assert faults(one) == {(7, "category"): "ledgers.over_quota", (8, "category"): "ledgers.over_quota"}
    rented = authorised.check(workbook([car(number, management_mode="租赁车辆") for number in range(1, 6)]))
    assert counts(rented) == (5, 0, 0, 0)


# ---- all or nothing ----------------------------------------------------------------------------------------------------


def test_a_file_with_a_wrong_row_is_written_only_if_the_right_rows_alone_are_wanted(ledgers):
    one = ledgers.check(workbook([car(1), car(2, seats=99)]))
    with pytest.raises(RuleBroken, match=r"ledgers\.has_rejected"):
        ledgers.confirm(one.id)
    assert ledgers.scalar("SELECT count(*) FROM vehicle WHERE plate LIKE '浙A2%'") == 0
    done = ledgers.commit(one.id, partial=True)
    assert (done.state, done.partial) == ("DONE", True)
    assert ledgers.scalar("SELECT string_agg(plate, ' ') FROM vehicle WHERE plate LIKE '浙A2%'") == "浙A20001"


def test_a_file_of_wrong_rows_alone_has_nothing_to_write(ledgers):
    one = ledgers.check(workbook([car(1, seats=99)]))
    with pytest.raises(RuleBroken, match=r"ledgers\.nothing_to_do"):
        ledgers.confirm(one.id, partial=True)


def test_a_ledger_that_changed_after_the_check_is_shown_again_and_nothing_is_written(ledgers):
    vin = ledgers.scalar("SELECT vin FROM vehicle WHERE plate = '浙A10001'")
    old = car(
        2,
        plate="浙A10001",
        vin=vin,
        model="示例车型",
        colour="灰",
        registered_on=date(2022, 3, 1),
        price_ex_tax=None,
        displacement_ml=None,
    )
    one = ledgers.check(workbook([car(1), old]))
    ledgers.confirm(one.id)
    actor = ledgers.acting("fleet_manager.xihu")
    with ledgers.database.transaction(actor) as session:
        vehicle = registry.active_by_vin(session, vins=[vin], actor=actor)[vin]
        bulk.edit(session, [(vehicle, {"colour": "白"})], source={}, actor=actor)
    ledgers.work()
    again = ledgers.get(one.id)
    assert (again.state, again.failure["code"], counts(again)) == ("CHECKED", "ledgers.overtaken", (1, 1, 0, 0))
    assert again.changes[0]["changed"]["colour"] == ["白", "灰"]
    assert ledgers.scalar("SELECT count(*) FROM vehicle WHERE plate LIKE '浙A2%'") == 0
    assert ledgers.commit(one.id).state == "DONE"


@pytest.mark.parametrize("breaks", ["vehicles.bulk.record", "ledgers.service._record"])
def test_a_commit_that_breaks_writes_nothing_and_one_cut_off_begins_anew(ledgers, monkeypatch, breaks):
    class PowerCut(BaseException):
        """As if the process had died: nothing handles it."""

    def cut(*_args, **_more):
        raise PowerCut

    one = ledgers.check(workbook([car(1), car(2)]))
    ledgers.confirm(one.id)
    with monkeypatch.context() as patched:
        patched.setattr(f"fleetapp.{breaks}", cut)
        with pytest.raises(PowerCut):
            ledgers.work()
    assert (ledgers.get(one.id).state, ledgers.scalar("SELECT count(*) FROM vehicle WHERE plate LIKE '浙A2%'")) == (
        "COMMITTING",
        0,
    )
    ledgers.work()
    assert (ledgers.get(one.id).state, ledgers.scalar("SELECT count(*) FROM vehicle WHERE plate LIKE '浙A2%'")) == (
        "DONE",
        2,
    )
    assert ledgers.work() == 0


def test_an_unexpected_failure_ends_the_import_and_says_so(ledgers, monkeypatch):
    one = ledgers.check(workbook([car(1)]))
    ledgers.confirm(one.id)
    monkeypatch.setattr("fleetapp.vehicles.bulk.record", lambda *_a, **_k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ledgers.work()
    failed = ledgers.get(one.id)
    assert (failed.state, failed.failure["code"]) == ("FAILED", "ledgers.broke")
    assert ledgers.scalar("SELECT count(*) FROM vehicle WHERE plate LIKE '浙A2%'") == 0


def test_the_same_content_is_not_imported_twice_at_once_but_may_be_later(ledgers):
    content = workbook([car(1)])
    one = ledgers.check(content)
    with pytest.raises(Conflict, match=r"ledgers\.there"):
        ledgers.upload(content)
    ledgers.commit(one.id)
    again = ledgers.check(content)
    assert counts(again) == (0, 0, 1, 0)
