"""The real programs as child processes on a database of their own, and the two ways people reach them: API and forms.

Every program listens on a free port of 127.0.0.1, writes its log into a folder of the test, and is stopped in the end;
one that does not start or dies fails the test with the last lines of its log.
"""

import http.client
import json as json_text
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from sqlalchemy import exists, select

from fleetapp import wiring
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.places import service as places
from fleetapp.policies import service as policies
from fleetapp.policies.models import PolicyValue
from fleetapp.workdays import service as workdays
from tests import world

ROOT = Path(__file__).parents[1]
READY_S = 90.0
LAST_LINES = 30


def furnish(database: Database, now: datetime) -> None:
    """Load what set-up loads: policy figures, gazetteer, calendar of the year; what the world has already is left alone."""
    with database.transaction(SYSTEM) as session:
        if not session.scalar(select(exists().where(PolicyValue.id > 0))):
            policies.load_file(session, actor=SYSTEM, now=now)
            places.load_file(session, actor=SYSTEM, now=now)
        workdays.load_year(session, year=now.year, actor=SYSTEM, now=now)


@contextmanager
def connected(url: str) -> Iterator[Database]:
    """Give the application's database of an address; commits are real."""
    engine = make_engine(url)
    yield Database(engine, wiring.CONSTRAINT_ERRORS)
    engine.dispose()


# ---- programs -------------------------------------------------------------------------------------------------------


def environment(url: str, **more: str) -> dict[str, str]:
    """Return a program's environment: none of the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLEET_")}
    return kept | {"FLEET_DATABASE_URL": url, "FLEET_SECRET_KEY": "only for tests", "PYTHONUNBUFFERED": "1", **more}


def last_lines(log: Path) -> str:
    """Return the end of a log, for the message of a failure."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


@contextmanager
def program(name: str, arguments: list[str], env: dict[str, str], logs: Path, ready: str) -> Iterator[re.Match[str]]:
    """Run ``python -m ...`` until the block ends; gives the match of ``ready`` in its log."""
    log = logs / f"{name}.log"
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-m", *arguments], cwd=ROOT, env=env, stdout=out, stderr=out)
    try:
        yield _wait_for(child, log, ready)
        assert child.poll() is None, f"{name} ended with {child.returncode}:\n{last_lines(log)}"
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(timeout=15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait_for(child: subprocess.Popen[bytes], log: Path, ready: str) -> re.Match[str]:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if found := re.search(ready, log.read_text(encoding="utf-8", errors="replace")):
            return found
        assert child.poll() is None, f"{log.stem} ended with {child.returncode}:\n{last_lines(log)}"
        time.sleep(0.05)
    raise AssertionError(f"{log.stem} was not ready within {READY_S:.0f} s:\n{last_lines(log)}")


@contextmanager
def web(url: str, logs: Path, app: str = "wsgi:app", **more: str) -> Iterator[str]:
    """Run the web server as it is run in operation; gives its address ``http://127.0.0.1:port``."""
    env = environment(url, FLEET_PORT="0", FLEET_WORKERS="1", **more)
    arguments = ["gunicorn", "-c", "config/gunicorn.py", app]
    with program("web", arguments, env, logs, r"Listening at: (http://127\.0\.0\.1:\d+)") as found:
        assert exchange(found[1], "GET", "/healthz", None, {}).status == 200  # answered once the program is loaded
        yield found[1]


@dataclass(frozen=True)
class Gateway:
    """Ports of a running gateway."""

    port: int
    phone_port: int


@contextmanager
def gateway(url: str, logs: Path) -> Iterator[Gateway]:
    """Run the GPS gateway."""
    arguments = ["telematics", "serve", "--port", "0", "--http-port", "0"]
    ready = r"listening on 127\.0\.0\.1:(\d+) \(JT/T 808\), 127\.0\.0\.1:(\d+)"
    with program("gateway", arguments, environment(url), logs, ready) as found:
        yield Gateway(int(found[1]), int(found[2]))


@contextmanager
def scheduler(url: str, logs: Path) -> Iterator[Path]:
    """Run the scheduler once it leads; gives its log."""
    with program("scheduler", ["fleetapp.scheduler"], environment(url), logs, "scheduler_leads"):
        yield logs / "scheduler.log"


def command(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m ...`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=environment(url), capture_output=True, text=True, timeout=90, check=False
    )  # fmt: skip


# ---- people ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What came back; ``path`` is the page it is from after redirects."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    path: str

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json_text.loads(self.body)


def exchange(
    base: str, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float = 60
) -> Answer:
    """Send one request and read its answer."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=timeout_s)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read(), path)
    finally:
        connection.close()


class Caller:
    """A program that calls the API in somebody's name with a bearer token."""

    def __init__(self, base: str, username: str, password: str = world.PASSWORD) -> None:
        self.base, self.headers = base, {"Content-Type": "application/json"}
        token = self("POST", "/tokens", {"username": username, "password": password}, status=201).json["token"]
        self.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, json: Any = None, *, status: int = 200) -> Answer:
        """Call an endpoint; any other status than the expected one fails the test."""
        answer = self.ask(method, path, json)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.text[:2000]}"
        return answer

    def ask(self, method: str, path: str, json: Any = None) -> Answer:
        """Call an endpoint whatever comes back."""
        body = None if json is None else json_text.dumps(json).encode()
        return exchange(self.base, method, f"/api/v1{path}", body, self.headers)


@dataclass
class Form:
    """A form of a page with the values it would send."""

    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.open: Form | None = None
        self.select = self.textarea = ""
        self.chosen = False
        self.templates = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        at = dict(attributes)
        self.templates += tag == "template"
        if tag == "form" and (at.get("method") or "get").lower() == "post":
            self.open = Form(at.get("action") or "")
            self.forms.append(self.open)
        if self.open is None or self.templates:
            return
        name, value = at.get("name") or "", at.get("value") or ""
        if tag == "input" and name:
            kind = at.get("type")
            if kind not in {"checkbox", "radio", "submit"} or "checked" in at:
                self.open.fields.append((name, value))
        elif tag == "select" and name:
            self.select, self.chosen = name, False
            self.open.fields.append((name, ""))
        elif tag == "option" and self.select:
            index = [known for known, _ in self.open.fields].index(self.select)
            if "selected" in at or not self.chosen:  # as a browser does: the first option stands for none
                self.open.fields[index], self.chosen = (self.select, value), True
        elif tag == "textarea" and name:
            self.open.fields.append((name, ""))

    def handle_endtag(self, tag: str) -> None:
        self.templates -= tag == "template"
        if tag == "select":
            self.select = ""
        elif tag == "form":
            self.open = None


def forms(page: Answer, to: str) -> list[Form]:
    """Return the forms of a page that go ``to`` there."""
    parser = _Forms()
    parser.feed(page.text)
    here = page.path.partition("?")[0]
    return [form for form in parser.forms if (form.action or here).partition("?")[0] == to]


class Visitor:
    """A browser without a screen or scripts: keeps cookies, follows redirects, sends the forms that pages contain."""

    def __init__(self, base: str, username: str, password: str = world.PASSWORD) -> None:
        self.base = base
        self.cookies: dict[str, str] = {}
        self.page = self.get("/sign-in")
        self.submit("/sign-in", username=username, password=password)
        assert self.page.path != "/sign-in", self.page.text[:2000]

    def get(self, path: str) -> Answer:
        """Open a page."""
        return self._send("GET", path, None)

    def submit(
        self, to: str, *, where: dict[str, str] | None = None, status: int = 200, **given: str | list[str]
    ) -> Answer:
        """Fill in and send the form of this page that goes ``to`` there and holds the values of ``where``.

        A list fills in the fields of one name in their order.
        """
        fitting = [form for form in forms(self.page, to) if (where or {}).items() <= dict(form.fields).items()]
        assert fitting, f"{self.page.path} has no form to {to} with {where}: {self.page.text[:2000]}"
        left = {name: list(value) if isinstance(value, list) else [value] for name, value in given.items()}
        sent = [(name, left[name].pop(0) if left.get(name) else value) for name, value in fitting[0].fields]
        sent += [(name, value) for name, values in left.items() for value in values]
        answer = self._send("POST", to, urlencode(sent).encode())
        assert answer.status == status, f"POST {to}: {answer.status} {answer.text[:3000]}"
        return answer

    def _send(self, method: str, path: str, body: bytes | None) -> Answer:
        for _ in range(6):
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
            if body is not None:
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            answer = exchange(self.base, method, path, body, headers)
            for line in answer.headers.get_all("Set-Cookie", []):
                self.cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
            if answer.status not in {302, 303}:
                self.page = answer
                return answer
            target = urlsplit(urljoin(f"{self.base}{path}", answer.headers["Location"]))
            method, path, body = "GET", target.path + (f"?{target.query}" if target.query else ""), None
        raise AssertionError(f"{path}: too many redirects")


# ---- fixtures: a conftest that imports them gives them to its folder ---------------------------------------------------


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs' logs."""
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def url(new_database: Callable[[], str]) -> str:
    """Address of the module's database, furnished; every commit on it is real."""
    made = new_database()
    with connected(made) as database:
        furnish(database, clock.now())
    return made


@pytest.fixture(scope="module")
def city(url: str) -> Iterator[Database]:
    """The application's own way into the module's database: for jobs, and for steps in the past."""
    with connected(url) as database:
        yield database


@pytest.fixture(scope="module")
def base(url: str, logs: Path) -> Iterator[str]:
    """Address of the running web server."""
    with web(url, logs) as address:
        yield address
