"""Rows of upkeep for the tests of row-level security."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)


def seed(session, add, keys, applicant_id, number):
    """Give a unit its rows of upkeep; the work order is in the shop, because lines belong there, and the vehicle is back at once."""
    org_id, vehicle_id = keys["org_id"], keys["vehicle"]
    made = {
        "supplier": add(session, "supplier", org_id=org_id, kind="repair", contract_no=f"DD-{number}"),
        "upkeep_plan": add(session, "upkeep_plan", org_id=org_id, item="general", every_km=1000),
        "upkeep_done": add(session, "upkeep_done", org_id=org_id, vehicle_id=vehicle_id, item="general"),
        "upkeep_reminder": add(session, "upkeep_reminder", org_id=org_id, vehicle_id=vehicle_id, kind="inspection"),
        "vehicle_incident": add(session, "vehicle_incident", org_id=org_id, vehicle_id=vehicle_id, kind="violation", state="OPEN"),
        "work_order": add(session, "work_order", org_id=org_id, number=f"WX-{number}", vehicle_id=vehicle_id, kind="repair",
                          state="REPORTED", requester_id=applicant_id, items=[]),
    }  # fmt: skip
    order_id = made["work_order"]
    made["work_quote"] = add(session, "work_quote", order_id=order_id, supplier_id=made["supplier"])
    made["work_event"] = add(session, "work_event", order_id=order_id)
    for statement in (
        "UPDATE vehicle SET state = 'MAINTENANCE' WHERE id = :vehicle",
        "UPDATE work_order SET state = 'QUOTED', single_reason = 'only one', supplier_id = :supplier, quoted_by = :user WHERE id = :order",
        "UPDATE work_order SET state = 'APPROVED', approved_by = :driver, approved_limit = 1, over_share = 0 WHERE id = :order",
        "UPDATE work_order SET state = 'IN_WORK', during = tstzrange(:now, NULL), entry_m = 0 WHERE id = :order",
    ):
        session.execute(text(statement), {"vehicle": vehicle_id, "supplier": made["supplier"], "user": applicant_id,
                                          "driver": keys["user_id"], "order": order_id, "now": NOW})  # fmt: skip
    made["work_line"] = add(session, "work_line", order_id=order_id, kind="part")
    later = NOW + timedelta(hours=1)
    made["odometer_reading"] = add(session, "odometer_reading", org_id=org_id, vehicle_id=vehicle_id, meter=1, at=later, reading_m=10_000_000,
                                   source="manual")  # fmt: skip
    made["meter_change"] = add(
        session, "meter_change", org_id=org_id, vehicle_id=vehicle_id, meter=2, at=later, end_m=10_000_000, start_m=0
    )
    return made
