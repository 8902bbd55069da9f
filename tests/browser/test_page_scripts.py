"""The scripts of every page, in a real Chromium under the application's own content security policy."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from fleetapp.web.security import POLICY

DIST = Path(__file__).parents[2] / "fleetapp/web/static/dist"
pytestmark = pytest.mark.browser

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="csrf-token" content="tok">
<link rel="stylesheet" href="/dist/{css}"><script src="/dist/{js}" defer></script></head>
<body data-text-yes="Yes" data-text-no="No"><div id="flash" role="alert"></div>
<button id="burger" data-toggle-target="#menu" aria-expanded="false">menu</button><nav id="menu" class="collapse">links</nav>
<form id="ask" method="post" action="/posted" data-confirm="Really send?"><button name="what" value="sent">Send</button></form>
<form id="slow" method="post" action="/waits"><button>Slow</button></form>
<form id="lang" method="post" action="/posted"><select name="lang" data-autosubmit><option>zh<option>en</select></form>
<button id="htmx" hx-post="/posted" hx-target="#answer" hx-confirm="Post it?">Post</button><div id="answer"></div>
<button id="bad" hx-post="/refused" hx-target="#answer">Bad</button>
<div x-data="{{ open: false }}"><button id="alpine" x-on:click="open = true">open</button><p x-show="open" x-cloak>opened</p></div>
<table><tr data-href="/row" id="row"><td>whole row</td><td><button id="inrow" type="button">not the row</button></td></tr></table>
<svg class="icon" aria-hidden="true"><use href="/dist/{icons}#car"></use></svg></body></html>"""


class Handler(BaseHTTPRequestHandler):
    posts: list[tuple[str, dict, str | None]]

    def answer(self, body: bytes, *, status=200, kind="text/html; charset=utf-8"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.startswith("/dist/"):
            kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
            file = DIST / self.path.removeprefix("/dist/")
            self.answer(file.read_bytes(), kind=kinds[file.suffix])
        elif self.path == "/":
            built = json.loads((DIST / "manifest.json").read_text())
            self.answer(PAGE.format(css=built["app.css"], js=built["app.js"], icons=built["icons.svg"]).encode())
        else:
            self.answer(f"<p>page {self.path}</p>".encode())

    def do_POST(self):
        fields = parse_qs(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
        self.server.posts.append((self.path, fields, self.headers.get("X-CSRFToken")))
        words = {"/refused": b"<b>no such vehicle</b>", "/waits": b""}.get(self.path, b"<b>thank you</b>")
        self.answer(words, status={"/refused": 409, "/waits": 204}.get(self.path, 200))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.daemon_threads = True
    found.posts = []
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def page(server, chromium):
    server.posts.clear()
    opened = chromium.new_page()
    opened.set_default_timeout(5000)
    complaints = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.goto(f"http://127.0.0.1:{server.server_port}/")
    yield opened
    opened.close()
    # The browser itself notes an answer of 409, and asks for an icon; nothing else may be said.
    assert [text for text in complaints if "409" not in text] == []


def test_confirmation_holds_the_form_back_until_yes(page, server):
    page.click("#ask button")
    expect(page.get_by_role("dialog")).to_contain_text("Really send?")
    expect(page.get_by_role("button", name="No", exact=True)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert server.posts == []
    page.click("#ask button")
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_text("thank you")).to_be_visible()
    assert server.posts == [("/posted", {"what": ["sent"]}, None)]


def test_htmx_asks_carries_the_token_and_shows_answers_and_refusals(page, server):
    page.click("#htmx")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator("#answer")).to_have_text("thank you")
    page.click("#bad")
    expect(page.locator("#answer")).to_have_text("no such vehicle")
    assert [(path, token) for path, _, token in server.posts] == [("/posted", "tok"), ("/refused", "tok")]


def test_sent_form_disables_its_button_and_shows_it_waits(page):
    # An answer without content leaves the page as it is, as a long wait would.
    page.click("#slow button")
    expect(page.locator("#slow button")).to_be_disabled()
    expect(page.locator("#slow .spinner-border")).to_be_visible()


def test_choosing_a_language_sends_at_once(page, server):
    page.select_option("#lang select", "en")
    expect(page.get_by_text("thank you")).to_be_visible()
    assert server.posts[0][1] == {"lang": ["en"]}


def test_row_opens_by_click_and_by_keyboard_but_its_buttons_do_not(page):
    home = page.url
    page.click("#inrow")
    assert page.url == home
    page.focus("#row")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{home}row")
    page.goto(home)
    page.click("#row td:first-child")
    expect(page).to_have_url(f"{home}row")


def test_menu_button_and_alpine_components_work_without_inline_code(page):
    expect(page.locator("#menu")).to_be_hidden()
    page.click("#burger")
    expect(page.locator("#menu")).to_be_visible()
    assert page.get_attribute("#burger", "aria-expanded") == "true"
    expect(page.get_by_text("opened")).to_be_hidden()
    page.click("#alpine")
    expect(page.get_by_text("opened")).to_be_visible()


def test_icon_of_the_sprite_is_drawn(page):
    assert page.evaluate("document.querySelector('svg.icon use').getBBox().width") > 10
