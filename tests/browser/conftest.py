"""A real Chromium, the real web server, and a small world in the middle of its day."""

import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from fleetapp.acquisitions.rules import IndicatorAction
from fleetapp.duty.rules import DutyAction
from fleetapp.findings import jobs as findings_jobs
from fleetapp.kit import clock
from fleetapp.kit.db import Database
from fleetapp.orders.rules import Stop
from fleetapp.places.roads import load_roads
from fleetapp.seals import service as seals
from fleetapp.trips import jobs as trips_jobs
from telematics import store
from telematics.model import Fix
from tests import world
from tests.acquisitions.conftest import APPLICANT, Chain
from tests.serving import base, city, logs, url
from tests.walks import steps

__all__ = ["base", "city", "logs", "url"]

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "fleetapp" / "web" / "static" / "dist" / "manifest.json"
SCREENSHOTS = ROOT / "var" / "screenshots"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--no-first-run"]  # fmt: skip
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DESK = {"width": 1366, "height": 768}
PHONE = {"width": 360, "height": 740}
YARD = (120.1260, 30.2640)
EAST = Stop("杭州东站", 30.293549, 120.208203)
SEAT = Stop("西湖区人民政府", 30.261755, 120.125436)
WULIN = Stop("武林广场", 30.275500, 120.163000)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium; per module, because its event loop would be in the way of tests with one of their own."""
    found = os.environ.get("FLEET_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip("no Chromium on this machine; FLEET_CHROMIUM=/path/to/chromium names one")
    assert MANIFEST.exists(), "The scripts and style sheets are not built: run `node build.mjs` first."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


def save(database_url: str, phone: str, fixes: list[Fix]) -> None:
    """Store fixes as the gateway does."""
    with psycopg.connect(database_url) as connection:
        [terminal] = connection.execute("SELECT id FROM gps_terminal WHERE phone = %s", [phone]).fetchone()
        store.save(connection, [(terminal, fix, None) for fix in fixes], clock.now(), peer="test")


@pytest.fixture(scope="module")
def day(url: str, city: Database) -> None:
    """A day in its middle, now."""
    a_day(url, city, clock.now().replace(second=0, microsecond=0))


def a_day(url: str, city: Database, now: datetime) -> None:
    """Live a day up to its middle: a finished journey, one under way, a shared one ahead, others waiting, an event tomorrow, a stray drive and its clue, an indicator, a notice of sealing."""
    roads = load_roads()
    start, end = now - timedelta(hours=6), now - timedelta(hours=3)
    _, done = steps.dispatched(city, start=start, end=end, stops=[SEAT, EAST], plate="浙A10001")
    fixes = steps.driven(
        roads, [YARD, (EAST.lon, EAST.lat), YARD], start, stay=timedelta(minutes=15), odometer_m=10_000_000, seed=1
    )
    steps.report(city, done, DutyAction.ACCEPT, start - timedelta(hours=1))
    steps.report(city, done, DutyAction.CHECK_OUT, start, odometer_m=10_000_000)
    steps.report(city, done, DutyAction.CHECK_IN, end, odometer_m=10_030_000)
    save(url, "13900000001", fixes)
    stray = steps.driven(
        roads, [YARD, (120.165, 30.275), YARD], start, stay=timedelta(minutes=15), odometer_m=5_000_000, seed=2
    )
    save(url, "13900000002", stray)
    under_way = steps.driven(roads, [YARD, (EAST.lon, EAST.lat)], now - timedelta(minutes=25), stay=timedelta(minutes=5),
                             odometer_m=10_030_000, seed=3)  # fmt: skip
    save(url, "13900000001", [fix for fix in under_way if fix.at <= now])
    soon = now + timedelta(hours=1)
    _, shared = steps.dispatched(city, start=soon, end=soon + timedelta(hours=2), stops=[SEAT, EAST], plate="浙A10001")
    steps.joined(city, shared, start=soon, end=soon + timedelta(hours=2), stops=[SEAT, WULIN], unit="xhhealth")
    steps.asked(city, start=soon, end=soon + timedelta(hours=2), stops=[SEAT, WULIN], approve=True, unit="xhhealth")
    later = soon + timedelta(hours=4)
    steps.asked(city, start=later, end=later + timedelta(hours=2), stops=[SEAT, EAST], approve=True)
    steps.asked(city, start=later, end=later + timedelta(hours=3), stops=[EAST, SEAT], approve=False)
    office, today = world.actor(city, "vehicle_office.city"), clock.local_date(now)
    chain = Chain(city, now)
    chain.quota(3)
    chain.step(chain.apply(fiscal_year=today.year), IndicatorAction.SUBMIT, APPLICANT)
    with city.transaction(office) as session:
        notice = seals.draft(session, org_id=office.org_id, holiday="元旦", start_on=today + timedelta(days=2), end_on=today + timedelta(days=5),
                             actor=office, now=now)  # fmt: skip
        seals.publish(session, campaign_id=notice.id, notice_no="杭机管办〔2026〕30号", actor=office, now=now)
    steps.event(
        city,
        start=now + timedelta(days=1),
        end=now + timedelta(days=2),
        plate="浙AD00002",
        driver="driver2.xhedu",
        now=now,
    )
    trips_jobs.derive(city, now)
    findings_jobs.scan(city, now)


class Window:
    """A signed-in page that remembers every complaint of the browser."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base, self.complaints = base, list[str]()
        self.page: Page = context.new_page()
        self.page.set_default_timeout(8000)
        self.page.on(
            "console", lambda message: self.complaints.append(message.text) if message.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: str) -> None:
        """Go to a page and wait until its scripts have run."""
        answer = self.page.goto(f"{self.base}{path}", wait_until="load")
        assert answer
        assert answer.status == 200, f"{path}: {answer.status}"

    def sign_in(self, username: str) -> None:
        """Sign in by the form with the keyboard alone."""
        self.open("/sign-in")
        expect(self.page.locator("[name=username]")).to_be_focused()  # given by the browser some time after loading
        self.page.keyboard.type(username)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(world.PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(lambda address: "/sign-in" not in address)

    def picture(self, name: str) -> None:
        """Keep what the page looks like for whoever wants to see it."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        size = self.page.viewport_size or DESK
        self.page.screenshot(path=SCREENSHOTS / f"{name}-{size['width']}x{size['height']}.png", full_page=True)


@pytest.fixture
def window(chromium: Browser, base: str) -> Iterator[Callable[..., Window]]:
    """Open a window, signed in as a username; in the end no page may have complained of anything."""
    opened: list[tuple[BrowserContext, Window]] = []

    def make(username: str | None = None, size: dict[str, int] = DESK) -> Window:
        context = chromium.new_context(viewport=size, locale="zh-CN", timezone_id="Asia/Shanghai", geolocation={
            "latitude": YARD[1], "longitude": YARD[0], "accuracy": 8}, permissions=["geolocation"])  # fmt: skip
        found = Window(context, base)
        opened.append((context, found))
        if username:
            found.sign_in(username)
        return found

    yield make
    for context, _ in opened:
        context.close()
    assert [text for _, found in opened for text in found.complaints] == []
