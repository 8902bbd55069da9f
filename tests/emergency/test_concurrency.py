"""Two people activate at one time: one wins with everything, the other changes nothing and is told."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select

from fleetapp.emergency import service
from fleetapp.emergency.models import EmergencyCar
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict
from fleetapp.reserves import queries as reserves
from tests.emergency.conftest import DISPATCHER, OFFICE, Emergencies


def test_one_of_two_wins(live_database, now):
    emergencies = Emergencies(live_database, now)
    emergencies.make_plan()
    drafts = [(who, emergencies.draft(by=who)) for who in (DISPATCHER, OFFICE)]
    wishes = [(who, emergencies.chosen(made, by=who)) for who, made in drafts]

    def confirm(wish):
        who, chosen = wish
        try:
            return emergencies.take(service.confirm, by=who, **chosen).state
        except Conflict as refused:
            return refused.code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(confirm, wishes)) == ["ACTIVE", "emergency.active_already"]
    with live_database.transaction(SYSTEM) as session:
        cars = session.scalars(select(EmergencyCar)).all()
        assert (len(cars), len({car.activation_id for car in cars})) == (3, 1)
        assert len(reserves.alerts(session, at=now)) == 1
