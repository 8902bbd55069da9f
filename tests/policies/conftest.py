"""Figures loaded, a district's vehicle office, and a row in short."""

from datetime import date
from decimal import Decimal

import pytest

from fleetapp.accounts.queries import get_org_by_code
from fleetapp.accounts.service import create_user
from fleetapp.kit.actor import SYSTEM, Role
from fleetapp.policies import service
from tests import world

CITY, DISTRICT = "vehicle_office.city", "vehicle_office.xihu"


@pytest.fixture
def loaded(database, now):
    """The file's figures, and an account of West Lake district's vehicle office."""
    with database.transaction(SYSTEM) as session:
        number = service.load_file(session, actor=SYSTEM, now=now)
        xihu = get_org_by_code(session, code="330106")
        create_user(session, username=DISTRICT, name_zh="区公务用车管理", name_en="District vehicle office", org_id=xihu.id,
                    password=world.PASSWORD, grants=[(Role.VEHICLE_OFFICE, xihu.id)], actor=SYSTEM, now=now)  # fmt: skip
    return number


@pytest.fixture
def org_ids(database):
    """Ids of organisations by code."""
    with database.transaction(SYSTEM) as session:
        return {code: get_org_by_code(session, code=code).id for code in ("330100", "330106", "330106-EDU", "330108", "330108-WATER")}  # fmt: skip


@pytest.fixture
def row(org_ids):
    """Return the arguments of a new row: of the city, or of the organisation of a code."""

    def make(code="order.lead_min", value="45", unit="min", org=None, **given):
        place = {"scope": "org", "org_id": org_ids[org]} if org else {"scope": "city", "org_id": None}
        return {"code": code, "value": Decimal(value), "unit": unit, "valid_from": date(2026, 12, 1), "valid_to": None,
                "source": "杭机管〔2026〕9号", "article": "第三条", "reason": "会议议定", **place, **given}  # fmt: skip

    return make


@pytest.fixture
def enter(database, acting, row, now, loaded):
    """Enter a row as somebody; returns it."""

    def do(who=CITY, /, *args, **given):
        wanted, me = row(*args, **given), acting(who)
        with database.transaction(me) as session:
            return service.enter(session, **wanted | {"scope": service.Scope(wanted["scope"])}, actor=me, now=now)

    return do
