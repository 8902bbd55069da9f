"""A driver's phone for the tests: a Chromium of its own that can be killed, with a camera that looks at a picture."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import segno
from playwright.sync_api import Page, Playwright

from tests import world
from tests.browser.conftest import BROWSERS, FLAGS, SCREENSHOTS, YARD

SIZE = {"width": 360, "height": 800}
READY_S = 30.0


def film(text: str, path: Path, *, side: int = 480) -> Path:
    """Write a still film of a QR symbol as raw video (YUV4MPEG2), which a camera of Chromium plays."""
    rows = [[not dark for dark in row] for row in segno.make(text, error="q", micro=False).matrix_iter(border=6)]
    cell = side // len(rows)
    luma = bytearray()
    for y in range(side):
        for x in range(side):
            row, column = y // cell, x // cell
            light = row >= len(rows) or column >= len(rows) or rows[row][column]
            luma.append(235 if light else 16)
    frame = b"FRAME\n" + bytes(luma) + bytes([128]) * (side * side // 2)
    path.write_bytes(f"YUV4MPEG2 W{side} H{side} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 3)
    return path


class Phone:
    """One phone: starts its browser on its own folder, which outlives it; ``kill`` pulls the plug."""

    def __init__(self, playwright: Playwright, base: str, folder: Path, camera: Path | None = None) -> None:
        self.playwright, self.base, self.folder, self.camera = playwright, base, folder, camera
        self.child: subprocess.Popen[bytes] | None = None
        self.complaints: list[str] = []
        self.page: Page

    def start(self) -> "Phone":
        """Open the browser as it was left."""
        port_file = self.folder / "DevToolsActivePort"
        port_file.unlink(missing_ok=True)
        found = os.environ.get("FLEET_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)))
        film_flags = [] if self.camera is None else ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                                                     f"--use-file-for-fake-video-capture={self.camera}"]  # fmt: skip
        self.child = subprocess.Popen(
            [found, *FLAGS, *film_flags, "--headless=new", "--hide-scrollbars", f"--user-data-dir={self.folder}", "--remote-debugging-port=0", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + READY_S
        while not (port_file.exists() and "\n" in port_file.read_text()):
            assert time.monotonic() < deadline, "the browser did not start"
            time.sleep(0.05)
        browser = self.playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}")
        self.context = browser.contexts[0]
        self.context.grant_permissions(["geolocation"], origin=self.base)
        self.context.set_geolocation({"latitude": YARD[1], "longitude": YARD[0], "accuracy": 8})
        self.page = self.context.new_page()
        self.page.set_viewport_size(SIZE)
        self.page.set_default_timeout(10_000)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda message: self._hear(message.type, message.text))
        return self

    def _hear(self, kind: str, text: str) -> None:
        if kind == "error" and "net::ERR" not in text and "Failed to load resource" not in text:
            self.complaints.append(text)

    def kill(self) -> None:
        """End the browser as a dead battery does: nothing of it is told."""
        if self.child is not None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
            self.child = None

    def sign_in(self, username: str = "driver.xhedu") -> "Phone":
        """Sign in by the form and open the app."""
        self.page.goto(f"{self.base}/sign-in?next=/phone/")
        self.page.locator("[name=username]").fill(username)
        self.page.locator("[name=password]").fill(world.PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url("**/phone/")
        self.page.locator("#badge").wait_for()
        self.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        return self

    def open(self, path: str = "#/") -> None:
        """Open a place of the app."""
        self.page.goto(f"{self.base}/phone/{path}")
        self.page.locator("#badge").wait_for()

    def button(self, name: str) -> None:
        """Tap a button."""
        self.page.locator("#main").get_by_role("button", name=name, exact=True).first.click()

    def picture(self, name: str) -> None:
        """Keep what the phone shows."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"phone-{name}.png", full_page=True)


@contextmanager
def phone(playwright: Playwright, base: str, folder: Path, camera: Path | None = None) -> Iterator[Phone]:
    """Give a phone that is gone in the end and has not complained."""
    found = Phone(playwright, base, folder, camera)
    try:
        yield found.start()
        assert found.complaints == []
    finally:
        found.kill()
