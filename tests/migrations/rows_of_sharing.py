"""A unit's rows of sharing for the tests of row-level security, and rows that nobody may write for another district."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
INSERTS = {
    "share_offer": {"body": "suv", "weekdays": [1], "priority": 3, "created_by": 1, "request_key": "k9"},
    "share_request": {"to_org_id": "org_id", "number": "TJ-9", "body": "suv", "priority": 3, "state": "PENDING", "reason": "test reason",
                      "created_by": 1, "start_at": NOW, "end_at": NOW + timedelta(days=1)},
    "share_event": {"loan_id": "share_loan"},
    "fallback": {"order_id": "travel_order", "kind": "rental", "reason": "none_free", "provider": "test", "decided_by": 1},
}  # fmt: skip


def seed(add, session, keys, applicant_id, number):
    """Give a unit its rows of sharing, all inside its own district: lent to the district above it, next year."""
    org_id, vehicle_id = keys["org_id"], keys["vehicle"]
    above = session.scalar(text("SELECT parent_id FROM organisation WHERE id = :id"), {"id": org_id})
    later = {"start_at": NOW + timedelta(days=400), "end_at": NOW + timedelta(days=401)}
    made = {
        "share_offer": add(session, "share_offer", org_id=org_id, to_org_id=above, body="suv", weekdays=[1], priority=3, created_by=applicant_id),
        "share_request": add(session, "share_request", org_id=org_id, to_org_id=above, number=f"TJ-{number}", body="suv", priority=3, state="PENDING",
                             reason="test reason", created_by=applicant_id, **later),
        "share_loan": add(session, "share_loan", org_id=org_id, to_org_id=above, number=f"JC-{number}", vehicle_id=vehicle_id, state="AGREED",
                          agreed_by=applicant_id, during=Range(later["start_at"], later["end_at"])),
        "fallback": add(session, "fallback", org_id=org_id, order_id=keys["travel_order"], kind="rental", reason="none_free", provider="test",
                        decided_by=applicant_id),
    }  # fmt: skip
    return made | {"share_event": add(session, "share_event", loan_id=made["share_loan"])}
