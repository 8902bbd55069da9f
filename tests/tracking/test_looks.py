"""Nobody sees where a named vehicle was or is without an entry in the log: every place that reads positions is known."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

import fleetapp
from fleetapp.audit.models import AuditEntry
from fleetapp.findings.oversight_queries import LOOKS
from fleetapp.kit.actor import SYSTEM
from tests.conftest import NOW
from tests.tracking.conftest import XIHU

ROOT = Path(fleetapp.__file__).parent
READS = {
    "last_positions", "changed_positions", "newest", "newest_positions", "track", "track_columns", "read_fixes", "read_columns", "live",
    "view_track", "view_fixes",
}  # fmt: skip
OF = {"tracking", "tracking_queries", "tracking_bridge", "bridge", "phone", "service", "queries", "trips_bridge"}
LOGGED = {
    "board/facts.py": "board/views.py logs tracking.watched when the board opens",
    "emergency/callup.py": "emergency/views.py logs tracking.watched with the number of the activation",
    "findings/desk.py": "casework.view logs findings.viewed with the purpose",
    "findings/oversight.py": "logs findings.searched with the purpose",
    "reports/case.py": "logs reports.case_exported and evidence.packaged with the reason",
    "tracking/api.py": "service.view_track logs tracking.viewed with the purpose",
    "tracking/card.py": "tracking/views.py logs tracking.watched",
    "tracking/service.py": "logs tracking.viewed with the purpose",
    "tracking/views.py": "service.view_track logs tracking.viewed with the purpose",
    "tracking/watching.py": "tracking/api.py logs tracking.watched when somebody begins to watch",
    "trips/api.py": "service.view_fixes logs tracking.viewed with the purpose",
    "trips/service.py": "logs tracking.viewed with the purpose",
    "trips/views.py": "service.view_fixes logs tracking.viewed with the purpose",
}
"""Read positions that somebody then sees, and where that is logged."""
UNSEEN = {
    "findings/gather.py": "rules run over the track; people see the clue",
    "phone/steps.py": "metres between phone and vehicle",
    "reports/figures.py": "how many are driving",
    "seals/light.py": "compares with the yard; who sees a finding sees where the vehicle was last, not its track",
    "statistics/desk.py": "the newest version of a report",
    "statistics/service.py": "the newest version of a report",
    "tracking/asking.py": "answer of a terminal that was asked where it is; the asking is logged with its reason",
    "tracking/queries.py": "the queries themselves",
}
"""Call something of these names whose positions nobody sees, and why."""
WAYS = (
    "tracking.viewed",
    "tracking.watched",
    "findings.viewed",
    "findings.searched",
    "reports.case_exported",
    "evidence.packaged",
)


def reading():
    found = set()
    for path in sorted(ROOT.rglob("*.py")):
        source = path.read_text()
        if not any(f".{name}(" in source for name in READS):
            continue
        for node in ast.walk(ast.parse(source)):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and called.attr in READS and getattr(called.value, "id", "") in OF:
                found.add(str(path.relative_to(ROOT)))
    return found


def looked(database, action="tracking.watched"):
    with database.transaction(SYSTEM) as session:
        rows = session.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.seq)).all()
        return [(one.actor_name, one.subject_type, one.data["purpose"], one.data.get("vehicles")) for one in rows]


def test_every_place_that_reads_positions_is_known_and_logs_or_shows_none():
    assert reading() == LOGGED.keys() | UNSEEN.keys()
    sources = "".join(path.read_text() for path in ROOT.rglob("*.py") if path.name != "oversight_queries.py")
    for action in WAYS:
        assert f'"{action}"' in sources, action
        assert action in LOOKS, "auditors see it on the page of who looked"


@pytest.mark.usefixtures("nine")
def test_watching_one_vehicle_live_is_logged_and_a_refusal_shows_nothing(database, browse, report, vehicle_of):
    report(XIHU, NOW - timedelta(minutes=1))
    vehicle_id, before = vehicle_of(XIHU), len(looked(database))
    assert browse("dispatcher.city").get(f"/live/vehicles/{vehicle_id}").status_code == 200
    entries = looked(database)
    assert len(entries) == before + 1
    assert entries[-1][1:3] == ("vehicle", "实时监看")
    assert browse("applicant.xhedu").get(f"/live/vehicles/{vehicle_id}").status_code == 403
    assert browse("dispatcher.binjiang").get(f"/live/vehicles/{vehicle_id}").status_code == 404
    assert looked(database) == entries


@pytest.mark.usefixtures("nine")
def test_beginning_to_watch_the_map_is_logged_once_and_going_on_is_not(database, api, report):
    report(XIHU, NOW - timedelta(minutes=1))
    ask, before = api("dispatcher.city"), len(looked(database))
    first = ask("GET", "/positions").json
    assert first["positions"]
    assert ask("GET", f"/positions?since={first['next']}").status_code == 200
    entries = looked(database)
    assert len(entries) == before + 1
    assert entries[-1][1] == "organisation"
    assert entries[-1][3] == len(first["vehicles"])
    assert api("applicant.xhedu")("GET", "/positions").status_code == 403
    assert looked(database) == entries
