"""What 300 people do, for locust: each role its own round of clicks, 5 to 15 seconds apart; phones and the map by their own clock.

Runs in locust's environment (``benchmarks/load.py`` starts it) and knows nothing of the product but its addresses. The accounts stand in
the file that ``FLEET_LOAD_PEOPLE`` names: usernames by role, and the password of all. Names that begin with ``page`` are pages, with
``api`` what programs and open pages ask for.
"""

import itertools
import json
import os
import random
import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from locust import FastHttpUser, between, constant, task

KNOWN = json.loads(Path(os.environ["FLEET_LOAD_PEOPLE"]).read_text(encoding="utf-8"))
QUEUES = {role: itertools.cycle(names) for role, names in KNOWN["people"].items()}
CHANCE = random.Random(20261127)
ORIGIN = {"name": "西湖区人民政府", "lat": 30.261755, "lon": 120.125436}
EAST = {"name": "杭州东站", "lat": 30.293549, "lon": 120.208203}
TAKEN = (403, 404, 409, 422)
"""Somebody else was first: an answer of the product, no error."""


class Person(FastHttpUser):
    """Signs in through the form and keeps the token of its pages."""

    abstract = True
    role = ""
    wait_time = between(5, 15)
    connection_timeout = network_timeout = 60.0

    def on_start(self) -> None:
        """Sign in."""
        self.username = next(QUEUES[self.role])
        self.csrf = self._token(self.client.get("/sign-in", name="page sign-in").text)
        form = {"csrf_token": self.csrf, "username": self.username, "password": KNOWN["password"]}
        answer = self.client.post("/sign-in", form, name="sign-in", headers={"Accept-Language": "zh-CN"})
        self.csrf = self._token(answer.text) or self.csrf

    def _token(self, page: str | None) -> str:
        found = re.search(r'name="csrf-token" content="([^"]+)"', page or "")
        return found[1] if found else ""

    def page(self, path: str, name: str) -> str:
        """Open a page."""
        with self.client.get(path, name=f"page {name}", catch_response=True) as answer:
            if "/sign-in" in (answer.url or ""):
                answer.failure("signed out")
            return answer.text or ""

    def ask(self, path: str, name: str) -> Any:
        """Ask the API; None where it answers with an error."""
        answer = self.client.get(path, name=f"api {name}")
        return answer.json() if answer.status_code == 200 else None

    def send(self, path: str, said: Any, name: str) -> Any:
        """Change something through the API."""
        headers = {"X-CSRFToken": self.csrf}
        with self.client.post(path, json=said, name=f"api {name}", headers=headers, catch_response=True) as answer:
            if answer.status_code in TAKEN and b"kit.csrf" not in (answer.content or b""):
                answer.success()
                return None
            return answer.json() if answer.status_code in {200, 201} else None


class Applicant(Person):
    """Looks for places, applies, looks what became of it."""

    weight, role = 120, "applicant"

    @task(3)
    def look(self) -> None:
        """Own orders."""
        self.page("/orders", "orders")

    @task(1)
    def home(self) -> None:
        """The first page."""
        self.page("/home", "home")

    @task(2)
    def search(self) -> None:
        """Places while typing."""
        self.client.get(f"/orders/places?q={CHANCE.choice('西东市人医学')}", name="api places")

    @task(2)
    def apply(self) -> None:
        """An application, from the form to its page."""
        self.page("/orders/new", "new order")
        self.wait()
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(
            days=CHANCE.randint(2, 20), hours=CHANCE.randint(0, 9)
        )
        made = self.send("/api/v1/orders", {
            "kind": "ordinary", "purpose": "meeting", "reason": "参加全市工作会议", "passengers": "科室 2 人", "passenger_count": 2,
            "contact": "0571-87000000", "body": "sedan", "start_at": start.isoformat(), "end_at": (start + timedelta(hours=2)).isoformat(),
            "stops": [ORIGIN, EAST], "request_key": uuid.uuid4().hex, "overlap_reason": "两组分乘",
        }, "apply")  # fmt: skip
        if made:
            self.wait()
            self.page(f"/orders/{made['id']}", "order")


class Approver(Person):
    """Works on what waits."""

    weight, role = 40, "approver"

    @task
    def work(self) -> None:
        """From the inbox to a verdict."""
        self.page("/orders/inbox", "inbox")
        waiting = self.ask("/api/v1/orders/inbox", "inbox") or []
        if waiting:
            one = CHANCE.choice(waiting)["id"]
            self.page(f"/orders/{one}", "order")
            self.wait()
            self.send(f"/api/v1/orders/{one}/approve", {}, "approve")


class Dispatcher(Person):
    """Has the board open and gives vehicles to orders."""

    weight, role = 30, "dispatcher"

    @task(3)
    def watch(self) -> None:
        """The board's own polling."""
        self.client.get("/board/live/data", name="api board data")

    @task(1)
    def board(self) -> None:
        """The board."""
        self.page("/board", "board")

    @task(2)
    def assign(self) -> None:
        """One waiting order: its page, who could go, the assignment."""
        self.page("/orders?group=to_dispatch", "orders to dispatch")
        waiting = self.ask("/api/v1/orders?state=APPROVED", "orders") or []
        if waiting:
            one = CHANCE.choice(waiting)["id"]
            self.wait()
            found = self.ask(f"/api/v1/orders/{one}/candidates", "candidates") or []
            able = [row for row in found if row.get("driver_id")]
            if able:
                self.wait()
                self.send(
                    f"/api/v1/orders/{one}/assignment",
                    {"vehicle_id": able[0]["vehicle_id"], "driver_id": able[0]["driver_id"]},
                    "assign",
                )


class Driver(Person):
    """A phone that looks for tasks and accepts them."""

    weight, role = 60, "driver"

    @task(4)
    def state(self) -> None:
        """What the app shows; then accept what is new."""
        found = self.ask("/api/v1/phone/state", "phone state") or {}
        for one in found.get("tasks", ())[:1]:
            if one.get("next") == "ACCEPT":
                self.send(
                    f"/api/v1/duties/{one['assignment_id']}/events",
                    {"action": "ACCEPT", "idempotency_key": uuid.uuid4().hex},
                    "duty event",
                )

    @task(1)
    def duty(self) -> None:
        """The plain page."""
        self.page("/duty", "duty")


class Auditor(Person):
    """Goes through clues and tracks."""

    weight, role = 20, "auditor"

    @task(3)
    def queue(self) -> None:
        """The queue and one clue of it."""
        page = self.page("/findings", "findings")
        if found := re.findall(r'href="/findings/(\d+)"', page):
            self.wait()
            self.page(f"/findings/{CHANCE.choice(found)}", "finding")

    @task(1)
    def track(self) -> None:
        """A vehicle's track, with a purpose."""
        now = datetime.now(UTC)
        since = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        car, until = CHANCE.choice(KNOWN["cars"]), now.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.client.get(f"/api/v1/vehicles/{car}/track?start={since}&end={until}&purpose=核查用车", name="api track")

    @task(1)
    def trips(self) -> None:
        """Trips."""
        self.page("/trips", "trips")

    @task(1)
    def log(self) -> None:
        """The audit log."""
        self.page("/audit", "audit")


class Leader(Person):
    """Has the dashboard open."""

    weight, role = 10, "leader"

    @task(3)
    def dashboard(self) -> None:
        """The dashboard."""
        self.page("/dashboard", "dashboard")

    @task(1)
    def costs(self) -> None:
        """Costs of the units."""
        self.page("/costs", "costs")


class Watcher(Person):
    """Has the live map open; it asks for what is new every five seconds."""

    weight, role = 20, "watcher"
    wait_time = constant(5)

    def on_start(self) -> None:
        """Sign in, open the map."""
        super().on_start()
        self.since = ""
        self.page("/live", "live map")

    @task
    def poll(self) -> None:
        """What moved since the last answer."""
        found = self.ask(f"/api/v1/positions{self.since}", "positions") or {}
        if "next" in found:
            self.since = f"?since={found['next']}"
