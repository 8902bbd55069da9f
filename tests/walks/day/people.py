"""Somebody at a desk or with a phone: signs in, signs in again when the session is over, and every answer is timed."""

import http.client
import json
import re
import sys
import threading
import time
import uuid
from collections import defaultdict
from typing import Any
from urllib.parse import urlencode

from tests import serving, world

SLOWEST = 12
PATIENCE_S = 300.0
"""What takes longer hangs; slow answers stand in the sums."""


class Book:
    """Every request of the day: how long it took by kind, and what went wrong."""

    def __init__(self) -> None:
        self.times_s: dict[str, list[float]] = defaultdict(list)
        self.errors: list[str] = []
        self.refusals: dict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def note(self, method: str, path: str, took_s: float, status: int, text: str) -> None:
        """Note one answer; a fault of the server is an error, a refusal is counted by its code."""
        kind = f"{method} {re.sub(r'[0-9]+', 'N', path.partition('?')[0])}"
        with self._lock:
            self.times_s[kind].append(took_s)
            if status >= 500:
                self.errors.append(f"{kind}: {status} {text[:300]}")
            elif status >= 400 and status != 401:
                code = re.search(r'"code": ?"([\w.]+)"', text)
                self.refusals[f"{kind} {code[1] if code else status}"] += 1

    def failed(self, what: str) -> None:
        """Note what should have gone otherwise."""
        with self._lock:
            self.errors.append(what)
        print(what, file=sys.stderr, flush=True)  # a long day tells at once what will stand in its sums

    def slowest(self) -> list[dict[str, Any]]:
        """Return the kinds of request with the longest single answers."""
        rows = [
            {"request": kind, "n": len(took), "p50_ms": _ms(took, 0.5), "p95_ms": _ms(took, 0.95), "longest_ms": _ms(took, 1.0)}
            for kind, took in self.times_s.items()
        ]  # fmt: skip
        return sorted(rows, key=lambda row: -float(str(row["longest_ms"])))[:SLOWEST]


def _ms(took: list[float], share: float) -> int:
    return round(1000 * sorted(took)[min(len(took) - 1, int(len(took) * share))])


class Person:
    """One account with a bearer token, for pages and API alike."""

    def __init__(self, base: str, book: Book, username: str) -> None:
        self.base, self.book, self.username = base, book, username
        self._token = ""
        self._lock = threading.Lock()

    def ask(
        self, method: str, path: str, *, data: Any = None, form: list[tuple[str, str]] | None = None, files: bool = False
    ) -> serving.Answer:  # fmt: skip
        """Send JSON ``data`` or a ``form`` (with ``files`` as multipart); whatever comes back."""
        body, kind = None, "application/json"
        if data is not None:
            body = json.dumps(data).encode()
        elif form is not None and files:
            body, kind = _multipart(form)
        elif form is not None:
            body, kind = urlencode(form).encode(), "application/x-www-form-urlencoded"
        if not self._token:
            self._sign_in("")
        used = self._token
        answer = self._once(method, path, body, kind, used)
        if answer.status == 401 or "/sign-in" in (answer.headers["Location"] or ""):
            self._sign_in(used)
            answer = self._once(method, path, body, kind, self._token)
        return answer

    def must(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        form: list[tuple[str, str]] | None = None,
        files: bool = False,
    ) -> Any:
        """Send and return the JSON of the answer; a refusal is an error of the day."""
        answer = self.ask(method, path, data=data, form=form, files=files)
        if answer.status >= 400:
            self.book.failed(f"{self.username} {method} {path}: {answer.status} {answer.text[:400]}")
            return None
        return answer.json if "json" in answer.headers.get("Content-Type", "") else answer.text

    def _once(self, method: str, path: str, body: bytes | None, kind: str, token: str) -> serving.Answer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind, "Accept-Language": "zh"}
        began = time.perf_counter()
        try:
            answer = serving.exchange(self.base, method, path, body, headers, PATIENCE_S)
        except (OSError, http.client.HTTPException) as error:
            self.book.failed(f"{self.username} {method} {path}: {error!r}")
            raise
        text = answer.text if answer.status >= 400 else ""
        self.book.note(method, path, time.perf_counter() - began, answer.status, text)
        return answer

    def _sign_in(self, used: str) -> None:
        with self._lock:
            if self._token != used:
                return  # another thread of the same person has been here
            said = json.dumps({"username": self.username, "password": world.PASSWORD}).encode()
            answer = self._once("POST", "/api/v1/tokens", said, "application/json", "")
            assert answer.status == 201, f"{self.username}: {answer.status} {answer.text[:300]}"
            self._token = answer.json["token"]


def _multipart(form: list[tuple[str, str]]) -> tuple[bytes, str]:
    """Return a form as multipart; a name that begins with ``@`` is a picture of its value."""
    mark = uuid.uuid4().hex
    parts = []
    for name, value in form:
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name.lstrip("@")}"'
        if name.startswith("@"):
            head += '; filename="receipt.pdf"\r\nContent-Type: application/pdf'
        parts.append(f"{head}\r\n\r\n{value}\r\n".encode())
    return b"".join([*parts, f"--{mark}--\r\n".encode()]), f"multipart/form-data; boundary={mark}"
