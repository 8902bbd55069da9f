"""A ledger of vehicles from the upload to the registry: what is right goes in, what is wrong is named by its cell."""

from tests.ledgers.conftest import car, counts, workbook


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
