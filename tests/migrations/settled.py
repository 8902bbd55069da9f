"""One row of every table of prices and settlement, of a unit."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import text

TABLES = (
    "price_book",
    "price_rate",
    "statement",
    "charge",
    "charge_line",
    "charge_gap",
    "adjustment",
    "statement_dispute",
    "statement_event",
)
START = datetime(2026, 10, 18, 1, 0, tzinfo=UTC)
RETURNED = text("UPDATE travel_order SET state = 'RETURNED' WHERE id = :id")
CONFIRMED = text("UPDATE travel_order SET state = 'MILEAGE_CONFIRMED' WHERE id = :id")
ISSUED = text("UPDATE statement SET state = 'ISSUED', number = :number, edition = 1, total = 2 WHERE id = :id")


def rows(session, add, *, org_id, applicant_id, number):
    """Add the rows with ``add(session, table, **given)``; returns each one's key by table."""
    order_id = add(
        session, "travel_order", org_id=org_id, number=f"YC-S{number}", kind="ordinary", purpose="meeting", body="sedan", state="SUBMITTED",
        applicant_id=applicant_id, start_at=START, end_at=START + timedelta(hours=2),
    )  # fmt: skip
    session.execute(RETURNED, {"id": order_id})
    add(session, "mileage_confirmation", org_id=org_id, order_id=order_id, source="ODOMETER", auto=True)
    session.execute(CONFIRMED, {"id": order_id})
    book_id = add(
        session,
        "price_book",
        org_id=org_id,
        version_no=9,
        state="DRAFT",
        valid_from=date(2030, 1, 1),
        half_day_h=4,
        night_from_h=22,
        night_to_h=6,
    )
    statement_id = add(
        session, "statement", org_id=org_id, payee_org_id=1, period=date(2026, 10, 1), state="DRAFT", edition=0
    )
    charge_id = add(
        session, "charge", org_id=org_id, holder_org_id=1, order_id=order_id, statement_id=statement_id, kind="paid", book_id=book_id,
        distance_source="planned", part=Decimal(1),
    )  # fmt: skip
    keys = {
        "price_book": book_id, "statement": statement_id, "charge": charge_id,
        "price_rate": add(session, "price_rate", book_id=book_id, body="sedan"),
        "statement_event": add(session, "statement_event", statement_id=statement_id),
        "charge_line": add(session, "charge_line", charge_id=charge_id, item="km"),
        "charge_gap": add(session, "charge_gap", org_id=org_id, order_id=order_id),
        "adjustment": add(session, "adjustment", number=f"TZ-{number}", charge_id=charge_id, statement_id=statement_id, reason="test"),
    }  # fmt: skip
    session.execute(ISSUED, {"id": statement_id, "number": f"JS-{number}"})
    return keys | {
        "statement_dispute": add(
            session, "statement_dispute", statement_id=statement_id, charge_id=charge_id, reason="test"
        )
    }
