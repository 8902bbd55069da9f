"""Rows of floors, alerts, plans and activations for the tests of row-level security."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
DAYS = Range(NOW.date(), NOW.date() + timedelta(days=3))

INSERTS = {
    "reserve_floor": {"body": "special", "level": "II", "minutes": Range(0, 60), "during": DAYS, "vehicles": 0},
    "reserve_alert": {"level": "III", "during": Range(NOW + timedelta(days=9), NOW + timedelta(days=10))},
    "emergency_plan": {},
    "emergency_level": {"plan_id": "emergency_plan", "level": "III", "hours": 6},
    "emergency_call_up": {"level_id": "emergency_level", "position": 9, "pool_id": "org_id", "body": "any", "vehicles": 1},
    "emergency_officer": {"plan_id": "emergency_plan", "user_id": "applicant_id"},
    "emergency_activation": {"plan_id": "emergency_plan", "number": "YJ-9", "level": "III", "lat": 30.0, "lon": 120.0, "hours": 6, "wanted": [],
                             "state": "DRAFT", "leader_id": "user_id", "officer_id": "applicant_id"},
    "emergency_event": {"activation_id": "emergency_activation"},
    "emergency_car": {"activation_id": "emergency_activation", "vehicle_id": "vehicle", "driver_id": "driver", "way": "yard"},
    "emergency_effect": {"activation_id": "emergency_activation", "order_id": "travel_order", "vehicle_id": "vehicle"},
}  # fmt: skip


def seed(session, add, keys, applicant_id, number):
    """Give a unit a floor, an alert, and a plan that was activated and took its vehicle from its order."""
    org_id = keys["org_id"]
    keys["applicant_id"] = applicant_id
    leader_id = session.scalar(text("SELECT id FROM user_account WHERE username = 'leader.city'"))
    made = {
        "reserve_floor": add(session, "reserve_floor", org_id=org_id, body="special", level="I", minutes=Range(0, 60), during=DAYS, vehicles=0),
        "reserve_alert": add(session, "reserve_alert", org_id=org_id, level="IV", during=Range(NOW, NOW + timedelta(hours=1))),
        "emergency_plan": (plan_id := add(session, "emergency_plan", org_id=org_id)),
        "emergency_level": (level_id := add(session, "emergency_level", plan_id=plan_id, level="II", hours=6)),
        "emergency_call_up": add(session, "emergency_call_up", level_id=level_id, position=1, pool_id=org_id, body="any", vehicles=1),
        "emergency_officer": add(session, "emergency_officer", plan_id=plan_id, user_id=keys["user_id"]),
        "emergency_activation": (activation_id := add(
            session, "emergency_activation", org_id=org_id, plan_id=plan_id, number=f"YJ-{number}", level="II", lat=30.0, lon=120.0, hours=6,
            wanted=[], state="DRAFT", leader_id=leader_id, officer_id=applicant_id,
        )),
        "emergency_event": add(session, "emergency_event", activation_id=activation_id),
    }  # fmt: skip
    session.execute(
        text("UPDATE emergency_activation SET state = 'ACTIVE', confirmed_at = :now WHERE id = :id"),
        {"now": NOW, "id": activation_id},
    )
    made["emergency_car"] = add(session, "emergency_car", activation_id=activation_id, vehicle_id=keys["vehicle"], driver_id=keys["driver"],
                                way="yard")  # fmt: skip
    made["emergency_effect"] = add(session, "emergency_effect", activation_id=activation_id, order_id=keys["travel_order"],
                                   vehicle_id=keys["vehicle"])  # fmt: skip
    return made
