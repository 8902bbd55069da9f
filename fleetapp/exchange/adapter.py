"""Handing batches to a superior platform: JSON over HTTPS with a token from its login, under the names of a mapping.

The certificate is always checked. One request has a time limit as a whole, so that a platform that drips bytes holds nobody.
"""

import json
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from fleetapp.exchange import mapping
from fleetapp.exchange.mapping import BatchRefused, Mapped, Said, Sending, TokenExpired, Unclear
from fleetapp.exchange.rules import Trouble
from fleetapp.settings import Settings, SettingsError

LONGEST_ANSWER = 4 * 1024 * 1024
CERTIFICATE_HAS_EXPIRED = 10
"""``X509_V_ERR_CERT_HAS_EXPIRED`` of OpenSSL."""
LATER = frozenset({408, 425, 429})
BAD_CONTENT = frozenset({400, 413, 422})
"""The records are at fault; any other refusal is one of set-up, for which no record is rejected."""


class Unsent(Exception):
    """Nothing usable was answered; the records may have arrived or not, which their keys will tell."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble, self.message = trouble, message[:300]


class Adapter(Protocol):
    """One superior platform."""

    @property
    def name(self) -> str:
        """The standard and version it speaks, for receipts."""

    @property
    def certificate_until(self) -> datetime | None:
        """The end of the platform's certificate when it was last seen."""

    def send(self, interface: str, batch: str, sendings: Sequence[Sending]) -> dict[str, Said]:
        """Hand over a batch and return what was said, by key; a key without an answer is to be sent again.

        :raises Unsent: nothing usable was answered.
        """


@dataclass
class HttpsJson:
    """A platform at ``url``. Plain HTTP is for this machine only, which the settings see to. The token is kept in memory."""

    url: str
    user: str
    password: str = field(repr=False)
    mapped: Mapped
    timeout_s: float = 20.0
    ca_file: str = ""
    certificate_until: datetime | None = None
    _token: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The mapping's standard and version."""
        return self.mapped.name

    def send(self, interface: str, batch: str, sendings: Sequence[Sending]) -> dict[str, Said]:
        """Log in where there is no token, post the batch; a token that is no longer good is renewed once.

        :raises Unsent: nothing usable was answered.
        """
        try:
            body = self.mapped.body(interface, batch, sendings)
        except (ValueError, ArithmeticError, KeyError) as error:
            raise Unsent(Trouble.BATCH_REFUSED, f"mapping {self.name}: {error!r}") from error
        for renewed in (False, True):
            if not self._token:
                self._login()
            try:
                return self.mapped.read(interface, self._post(self.mapped.paths[interface], body))
            except TokenExpired as error:
                self._token = ""
                if renewed:
                    raise Unsent(Trouble.LOGIN_REFUSED, "a new token was refused") from error
            except BatchRefused as error:
                raise Unsent(Trouble.BATCH_REFUSED, str(error)) from error
            except Unclear as error:
                raise Unsent(Trouble.UNCLEAR, str(error)) from error
        raise AssertionError  # the second round returns or raises

    def _login(self) -> None:
        names = self.mapped.login
        try:
            answer = self._post(names["path"], {names["user"]: self.user, names["password"]: self.password})
            self.mapped.check_code(answer)
        except (TokenExpired, BatchRefused) as error:
            raise Unsent(Trouble.LOGIN_REFUSED, str(error) or "401") from error
        except Unclear as error:
            raise Unsent(Trouble.LOGIN_UNCLEAR, str(error)) from error
        except Unsent as error:
            if error.trouble in {Trouble.UNCLEAR, Trouble.SERVER}:
                raise Unsent(Trouble.LOGIN_UNCLEAR, error.message) from error
            raise
        token = mapping.at(answer, names["token"])
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise Unsent(Trouble.LOGIN_UNCLEAR, "no token")
        self._token = token

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """Post JSON and return the answer's.

        :raises TokenExpired: status 401. :raises BatchRefused: another refusal of the request itself. :raises Unsent: the rest.
        """
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Accept": "application/json",
            "Connection": "close",
        }
        if self._token:
            headers[self.mapped.request["header"]] = self.mapped.request["prefix"] + self._token
        status, raw = self._exchange(path, json.dumps(body, ensure_ascii=False).encode(), headers)
        if status == 401:
            raise TokenExpired
        if status >= 500 or status in LATER:
            raise Unsent(Trouble.SERVER, f"HTTP {status}")
        if status in BAD_CONTENT:
            raise BatchRefused(f"HTTP {status}")
        if not 200 <= status < 300:
            raise Unsent(Trouble.UNCLEAR, f"HTTP {status}")
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise Unsent(Trouble.UNCLEAR, "the answer is not JSON") from error

    def _exchange(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        base = urlsplit(self.url)
        connection = self._connection(base.scheme, base.hostname or "", base.port)
        cut, slow = threading.Event(), f"no complete answer within {self.timeout_s:g} s"

        def give_up(held: socket.socket) -> None:
            cut.set()
            with suppress(OSError):  # it may be closed already
                socket.socket.shutdown(
                    held, socket.SHUT_RDWR
                )  # not TLS's own, which pulls the session from under the reader

        watch = None
        try:
            connection.connect()
            watch = threading.Timer(self.timeout_s, give_up, [connection.sock])
            watch.daemon = True
            watch.start()
            self._note_certificate(connection)
            connection.request("POST", f"{base.path.rstrip('/')}{path}", body, headers)
            answer = connection.getresponse()
            raw = answer.read(LONGEST_ANSWER + 1)
        except ssl.SSLCertVerificationError as error:
            expired = error.verify_code == CERTIFICATE_HAS_EXPIRED
            raise Unsent(
                Trouble.CERTIFICATE_EXPIRED if expired else Trouble.CERTIFICATE_REFUSED, error.verify_message
            ) from error
        except (OSError, HTTPException) as error:
            raise Unsent(Trouble.UNREACHABLE, slow if cut.is_set() else f"{type(error).__name__}: {error}") from error
        finally:
            if watch is not None:
                watch.cancel()
            connection.close()
        if cut.is_set():
            raise Unsent(Trouble.UNREACHABLE, slow)
        if answer.length or len(raw) > LONGEST_ANSWER:
            raise Unsent(Trouble.UNCLEAR, "half an answer, or one longer than any")
        return answer.status, raw

    def _connection(self, scheme: str, host: str, port: int | None) -> HTTPConnection:
        if scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_file or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            return HTTPSConnection(host, port, timeout=self.timeout_s, context=context)
        return HTTPConnection(host, port, timeout=self.timeout_s)

    def _note_certificate(self, connection: HTTPConnection) -> None:
        if isinstance(connection.sock, ssl.SSLSocket) and (seen := connection.sock.getpeercert()):
            seconds = ssl.cert_time_to_seconds(str(seen["notAfter"]))
            self.certificate_until = datetime.fromtimestamp(seconds, UTC)


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def configured(settings: Settings) -> HttpsJson | None:
    """Return the platform that the settings name, None where they name none.

    :raises SettingsError: an address without HTTPS, no user or password, a mapping or certificate file that cannot be read.
    """
    if not settings.exchange_url:
        return None
    address = urlsplit(settings.exchange_url)
    local = address.scheme == "http" and address.hostname in LOOPBACK and not settings.production
    if not address.hostname or (address.scheme != "https" and not local):
        raise SettingsError("FLEET_EXCHANGE_URL must begin with https:// and name a host.")
    if address.username or address.password:
        raise SettingsError(
            "FLEET_EXCHANGE_URL must not carry a password; use FLEET_EXCHANGE_USER and FLEET_EXCHANGE_PASSWORD_FILE."
        )
    if not settings.exchange_user or not settings.exchange_password:
        raise SettingsError(
            "FLEET_EXCHANGE_USER and FLEET_EXCHANGE_PASSWORD_FILE (or FLEET_EXCHANGE_PASSWORD) are needed with FLEET_EXCHANGE_URL."
        )
    if settings.exchange_ca_file and not Path(settings.exchange_ca_file).is_file():
        raise SettingsError(f"FLEET_EXCHANGE_CA_FILE: there is no file {settings.exchange_ca_file}.")
    try:
        mapped = (
            mapping.load(Path(settings.exchange_mapping_file)) if settings.exchange_mapping_file else mapping.load()
        )
    except mapping.MappingError as error:
        raise SettingsError(f"FLEET_EXCHANGE_MAPPING_FILE: {error}") from error
    return HttpsJson(settings.exchange_url, settings.exchange_user, settings.exchange_password, mapped,
                     float(settings.exchange_timeout_s), settings.exchange_ca_file)  # fmt: skip
