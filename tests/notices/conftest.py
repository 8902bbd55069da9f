"""People with telephone numbers, routes for what is told, and the sender as the scheduler runs it."""

from datetime import time

import pytest
from sqlalchemy import select, text

from fleetapp.kit.actor import SYSTEM
from fleetapp.notices import jobs, service
from fleetapp.notices.models import NoticeDelivery
from fleetapp.notices.rules import ChannelName, Limits
from tests import world

LIMITS = Limits(time(22), time(7), per_hour=50, digest_from=3, most_attempts=3)
DRIVER, OTHER = "driver.xhedu", "driver2.xhedu"


class Desk:
    """Tells people and runs the sender on a database where commits are real."""

    def __init__(self, database, now):
        self.database, self.now, self.limits = database, now, LIMITS
        with database.transaction(SYSTEM) as session:
            session.execute(text("UPDATE user_account SET phone = '138' || lpad(id::text, 8, '0')"))
        self.route("orders", ChannelName.SMS)

    def route(self, category, *channels, enabled=True):
        root = world.actor(self.database, "system_admin.city")
        with self.database.transaction(root) as session:
            service.set_routes(
                session, choices={(category, channel): enabled for channel in channels}, actor=root, now=self.now
            )

    def tell(self, username=DRIVER, key="k", code="orders.notice.dispatched", by="applicant.xhedu", **more):
        actor = world.actor(self.database, by)
        params = {"number": "YC-1", "start": "11-18 13:00", "to": "西湖国宾馆", "note": "–"}
        to = [world.user_id(self.database, username)]
        with self.database.transaction(actor) as session:
            service.notify(
                session,
                to=to,
                code=code,
                params=params,
                link="/orders/1",
                key=key,
                now=more.pop("now", self.now),
                **more,
            )

    def send(self, *channels, now=None):
        return jobs.deliver(
            self.database,
            now or self.now,
            channels=channels,
            limits_of=lambda *_: self.limits,
            base_url="https://fleet.example",
        )

    def rows(self):
        with self.database.transaction(SYSTEM) as session:
            return session.scalars(select(NoticeDelivery).order_by(NoticeDelivery.id)).all()


@pytest.fixture
def desk(live_database, now) -> Desk:
    return Desk(live_database, now)


@pytest.fixture
def still(database, now) -> Desk:
    """A desk whose database is rolled back: for what needs no sender in threads of its own."""
    return Desk(database, now)


@pytest.fixture
def browse_live(desk, settings, monkeypatch):
    """Return a browser without a screen on the desk's database."""
    from tests.conftest import SignedIn, app_on

    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: desk.now)
    app = app_on(desk.database, settings)
    app.test_client_class = SignedIn

    def open_as(username):
        client = app.test_client()
        page = client.get("/sign-in").get_data(as_text=True)
        client.csrf = page.split('name="csrf-token" content="')[1].split('"')[0]
        client.submit("/sign-in", username=username, password=world.PASSWORD)
        return client

    return open_as
