"""The app on a slow network and a slow phone: what the first load costs as it goes over the wire, and when a driver can use it."""

import contextlib
import gzip
import http.client
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import ROOT
from tests.browser.phones import SIZE
from tests.browser.test_phone_page import duty

__all__ = ["duty"]

pytestmark = pytest.mark.browser
MOST_BYTES, MOST_REQUESTS, PATIENCE_S = 200_000, 15, 20.0
"""Six requests until the driver sees the duties; the rest is the worker keeping the app's parts for a day without a network."""
THREE_G = {"offline": False, "latency": 150, "downloadThroughput": 1_600_000 / 8, "uploadThroughput": 750_000 / 8}
"""1.6 Mbit/s down, 750 kbit/s up, 150 ms there and back."""
CPU_SLOWDOWN = 4
LEAST = 1024
"""Bytes from which the reverse proxy compresses."""


def compressed():
    """Return the kinds of content that the reverse proxy of ``deploy/nginx`` compresses; pages always."""
    [line] = [
        one
        for one in (ROOT / "deploy/nginx/fleet.conf").read_text(encoding="utf-8").splitlines()
        if "gzip_types" in one
    ]
    return {"text/html", *line.strip().rstrip(";").split()[1:]}


@pytest.fixture
def squeezed(base):
    """A reverse proxy that compresses as the one in operation does; gives its address and what went over it: (path, bytes)."""
    kinds, sent, behind = compressed(), [], urlsplit(base).netloc

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with contextlib.closing(http.client.HTTPConnection(behind, timeout=60)) as inner:
                inner.request(self.command, self.path, body, dict(self.headers))
                answer = inner.getresponse()
                content = answer.read()
            headers = [
                (name, value)
                for name, value in answer.getheaders()
                if name.lower() not in {"content-length", "connection", "transfer-encoding"}
            ]
            kind = (answer.getheader("Content-Type") or "").partition(";")[0]
            if kind in kinds and len(content) >= LEAST and not answer.getheader("Content-Encoding"):
                content = gzip.compress(content, 6)
                headers.append(("Content-Encoding", "gzip"))
            sent.append((self.path, len(content) + sum(len(name) + len(value) + 4 for name, value in headers)))
            with contextlib.suppress(ConnectionError):  # a page that is closed waits for nothing
                self._give(answer.status, headers, content)

        def _give(self, status, headers, content):
            self.send_response(status)
            for name, value in [*headers, ("Content-Length", str(len(content)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 -- named by the library

        def log_message(self, *_):
            """Say nothing: the test tells what went over the wire."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", sent
    server.shutdown()
    server.server_close()
    thread.join()


def slow(page):
    """Put a page on 3G and a processor a quarter as fast."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", THREE_G)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": CPU_SLOWDOWN})


def test_the_first_load_fits_a_slow_network(chromium, window, duty, squeezed, record_property):
    base, sent = squeezed
    duty_id = duty(10)
    signed_in = window("driver.xhedu", size=SIZE)
    context = chromium.new_context(viewport=SIZE, locale="zh-CN", storage_state=signed_in.page.context.storage_state())
    page = context.new_page()
    slow(page)
    began = time.monotonic()
    page.goto(f"{base}/phone/", wait_until="commit")
    page.locator(f'a[href="#/task/{duty_id}"]').wait_for(timeout=PATIENCE_S * 1000)
    usable_s = time.monotonic() - began
    loaded = list(sent)
    again = time.monotonic()
    page.reload(wait_until="commit")
    page.locator(f'a[href="#/task/{duty_id}"]').wait_for(timeout=PATIENCE_S * 1000)
    again_s = time.monotonic() - again
    context.close()
    told = {"bytes": sum(size for _, size in loaded), "requests": len(loaded), "usable_s": round(usable_s, 2),
            "second_load_s": round(again_s, 2), "paths": dict(loaded)}  # fmt: skip
    record_property("phone_first_load", told)
    print(json.dumps(told, ensure_ascii=False))
    assert told["bytes"] <= MOST_BYTES, told
    assert told["requests"] <= MOST_REQUESTS, told
    assert usable_s < PATIENCE_S, told
