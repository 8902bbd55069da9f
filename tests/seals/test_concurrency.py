"""A notice is closed while units prove: no lock of one is waited for by the other for ever, and every vehicle ends one way."""

from concurrent.futures import ThreadPoolExecutor

from fleetapp.kit.errors import RuleBroken
from fleetapp.seals import service
from tests.seals.conftest import BEFORE, OFFICE, PLATE, SECOND, UNIT, Seals
from tests.serving import furnish

CARS = {PLATE: UNIT, SECOND: UNIT, "浙A10003": "unit_admin.xhhealth", "浙A10005": "unit_admin.bjwater"}


def test_closing_while_units_prove(live_database):
    furnish(live_database, BEFORE)
    seals = Seals(live_database)
    seals.campaign_id = seals.draft().id
    seals.take(OFFICE, service.publish, campaign_id=seals.campaign_id, notice_no="杭1号")
    seals.take(OFFICE, service.start, campaign_id=seals.campaign_id)

    def prove(plate):
        try:
            return seals.prove(plate, username=CARS[plate]).state
        except RuleBroken as broken:
            return broken.code

    with ThreadPoolExecutor(5) as pool:
        proofs = {plate: pool.submit(prove, plate) for plate in CARS}
        closing = pool.submit(seals.take, OFFICE, service.close, campaign_id=seals.campaign_id)
        said = {plate: proof.result(timeout=60) for plate, proof in proofs.items()}
        assert closing.result(timeout=60).state == "CLOSED"
    for plate, answer in said.items():
        assert seals.record(plate).state == ("SEALED" if answer == "SEALED" else "MISSED")
        assert seals.vehicle(plate).state == ("SEALED" if answer == "SEALED" else "IN_SERVICE")
    assert set(said.values()) <= {"SEALED", "seals.wrong_step", "seals.not_in_force"}
