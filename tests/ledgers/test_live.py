"""With real commits and connections of their own: progress that others see, and somebody faster."""

import pytest
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.ledgers import service, vehicles
from fleetapp.scheduler import run_job
from fleetapp.wiring import jobs
from tests import world
from tests.ledgers.conftest import Ledgers, car, counts, workbook
from tests.serving import furnish

WRITTEN = "SELECT count(*) FROM vehicle WHERE plate LIKE '浙A2%'"


@pytest.fixture
def live(live_database, now):
    furnish(live_database, now)
    return Ledgers(live_database, now, lambda username: world.actor(live_database, username))


def test_others_see_the_progress_of_a_commit_and_nothing_of_its_rows_until_the_end(live, monkeypatch):
    one = live.check(workbook([car(number) for number in range(1, 1201)]))
    live.confirm(one.id)
    seen, note = [], service._note

    def noted(*given):
        note(*given)
        seen.append((live.get(one.id).state, live.get(one.id).done_rows, live.scalar(WRITTEN)))

    monkeypatch.setattr(service, "_note", noted)
    live.work()
    assert seen == [("COMMITTING", 500, 0), ("COMMITTING", 1000, 0), ("COMMITTING", 1200, 0)]
    assert (live.get(one.id).state, live.scalar(WRITTEN)) == ("DONE", 1200)
    assert live.scalar("SELECT count(*) FROM audit_entry WHERE action = 'vehicles.registered'") == 1200
    assert live.scalar("SELECT count(*) FROM audit_verify()") == 0


def test_of_two_who_register_a_plate_the_faster_wins_and_the_import_writes_nothing(live, monkeypatch):
    one = live.check(workbook([car(1), car(2)]))
    live.confirm(one.id)
    write = vehicles.write

    def late(session, plan, **given):
        with live.database.transaction(SYSTEM) as faster:
            faster.execute(text(
                "INSERT INTO vehicle (org_id, plate, vin, category, body, energy, seats, model, state, registered_on, created_at, version)"
                " SELECT org_id, '浙A20002', :vin, category, body, energy, seats, model, state, registered_on, created_at, 1"
                " FROM vehicle WHERE plate = '浙A10001'"), {"vin": car(7)["vin"]})  # fmt: skip
        write(session, plan, **given)

    monkeypatch.setattr(vehicles, "write", late)
    live.work()
    back = live.get(one.id)
    assert (back.state, back.failure["code"], live.scalar(WRITTEN)) == ("CHECKED", "vehicles.plate_taken", 1)
    monkeypatch.undo()
    with live.database.transaction(live.acting("fleet_manager.xihu")) as session:
        service.check_again(session, import_id=one.id, actor=live.acting("fleet_manager.xihu"), now=live.now)
    live.work()
    assert counts(live.get(one.id)) == (1, 0, 0, 1)


def test_the_scheduler_does_the_work(live, settings):
    one = live.upload(workbook([car(1)]))
    name, seconds, job = next(row for row in jobs(settings) if row[0] == "ledgers")
    run_job(name, job, live.database)
    assert (live.get(one).state, seconds) == ("CHECKED", 2)
