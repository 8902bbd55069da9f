"""Rows of shared journeys and events for the tests of row-level security."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.dialects.postgresql import Range

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)

INSERTS = {
    "journey_stop": {"assignment_id": "assignment", "order_stop_id": "order_stop"},
    "hold": {"vehicle_id": "vehicle", "cause": "emergency", "cause_id": "vehicle",
             "during": Range(NOW + timedelta(days=40), NOW + timedelta(days=41))},
    "occasion": {"number": "HD-9", "state": "PLANNED", "start_at": NOW, "end_at": NOW + timedelta(days=1)},
    "occasion_event": {"occasion_id": "occasion"},
    "occasion_shift": {"occasion_id": "occasion", "vehicle_id": "vehicle", "driver_id": "driver"},
    "phone_action": {"user_id": "user_id", "kind": "LEAVE", "key": "phone-k9", "digest": "0" * 64, "outcome": "APPLIED"},
    "vehicle_code": {"vehicle_id": "vehicle", "serial": 2},
}  # fmt: skip


def seed(session, add, keys, number):
    """Give a unit a stop of a journey and an event that keeps its vehicle and driver, well after everything else."""
    start, org_id = NOW + timedelta(days=20), keys["org_id"]
    occasion_id = add(session, "occasion", org_id=org_id, number=f"HD-{number}", state="PLANNED", created_by=keys["user_id"],
                      start_at=start, end_at=start + timedelta(days=1))  # fmt: skip
    kept = {
        "org_id": org_id,
        "cause": "occasion",
        "cause_id": occasion_id,
        "during": Range(start, start + timedelta(days=1)),
    }
    add(session, "hold", driver_id=keys["driver"], **kept)
    return {
        "journey_stop": add(session, "journey_stop", assignment_id=keys["assignment"], order_stop_id=keys["order_stop"]),
        "occasion": occasion_id, "hold": add(session, "hold", vehicle_id=keys["vehicle"], **kept),
        "occasion_event": add(session, "occasion_event", occasion_id=occasion_id),
        "occasion_shift": add(session, "occasion_shift", org_id=org_id, occasion_id=occasion_id, vehicle_id=keys["vehicle"],
                              driver_id=keys["driver"]),
        "phone_action": add(session, "phone_action", org_id=org_id, user_id=keys["user_id"], kind="LEAVE", key=f"phone-k{number}",
                            digest="0" * 64, outcome="APPLIED"),
        "vehicle_code": add(session, "vehicle_code", org_id=org_id, vehicle_id=keys["vehicle"], serial=1),
    }  # fmt: skip


def position(session, add, keys):
    """Give the journey under way a position of its driver's phone."""
    return add(
        session, "phone_position", org_id=keys["org_id"], assignment_id=keys["assignment"], user_id=keys["user_id"]
    )
