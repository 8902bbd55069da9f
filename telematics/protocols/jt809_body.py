"""JT/T 809 bodies of the two links: login, logout, keep-alive, closing, received-count notice.

Source: JT/T 809-2011 and -2019, chapter 5 (link management, 0x1001-0x1008 and 0x9001-0x9008; traffic notice 0x9101).
Strings are GBK in fields filled up with zeros, times are seconds since 1970 UTC.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from telematics.protocols.jt808 import FrameError
from telematics.protocols.jt808_fields import BodyError
from telematics.protocols.jt809 import Edition, read_time, write_time


class Id(IntEnum):
    """Message ids: 1xxx go up, 9xxx come down."""

    LOGIN = 0x1001
    LOGIN_ANSWER = 0x1002
    LOGOUT = 0x1003
    LOGOUT_ANSWER = 0x1004
    KEEP_ALIVE = 0x1005
    KEEP_ALIVE_ANSWER = 0x1006
    MAIN_BROKEN = 0x1007
    MAIN_CLOSING = 0x1008
    SUB_LOGIN = 0x9001
    SUB_LOGIN_ANSWER = 0x9002
    SUB_LOGOUT = 0x9003
    SUB_LOGOUT_ANSWER = 0x9004
    SUB_KEEP_ALIVE = 0x9005
    SUB_KEEP_ALIVE_ANSWER = 0x9006
    SUB_BROKEN = 0x9007
    SUB_CLOSING = 0x9008
    RECEIVED = 0x9101
    UP_VEHICLE = 0x1200
    DOWN_VEHICLE = 0x9200


class LoginResult(IntEnum):
    """Result of 0x1002."""

    OK = 0
    WRONG_ADDRESS = 1
    WRONG_CENTRE = 2
    UNKNOWN_USER = 3
    WRONG_PASSWORD = 4
    BUSY = 5
    OTHER = 6


class SubLoginResult(IntEnum):
    """Result of 0x9002."""

    OK = 0
    WRONG_CODE = 1
    BUSY = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class Login:
    """0x1001: who we are and where the upper platform reaches our sub link; ``centre_id`` only in 2019."""

    user: int
    password: str
    host: str
    port: int
    centre_id: int | None = None


@dataclass(frozen=True, slots=True)
class LoginAnswer:
    """0x1002; ``verify_code`` is what the upper platform will show on the sub link."""

    result: int
    verify_code: int


@dataclass(frozen=True, slots=True)
class Logout:
    """0x1003."""

    user: int
    password: str


@dataclass(frozen=True, slots=True)
class Empty:
    """A message without a body: 0x1004, 0x1005, 0x1006, 0x9004, 0x9005, 0x9006."""

    msg_id: int


@dataclass(frozen=True, slots=True)
class Code:
    """One byte: reason of 0x1007, 0x1008, 0x9007, 0x9008, result of 0x9002."""

    msg_id: int
    code: int


@dataclass(frozen=True, slots=True)
class Verify:
    """The verify code of 0x1002, in 0x9001 and 0x9003."""

    msg_id: int
    verify_code: int


@dataclass(frozen=True, slots=True)
class Received:
    """0x9101: the upper platform received ``count`` positions from ``start_at`` to ``end_at``, by its clock."""

    count: int
    start_at: datetime
    end_at: datetime


LinkBody = Login | LoginAnswer | Logout | Empty | Code | Verify | Received

EMPTY = {
    Id.LOGOUT_ANSWER, Id.KEEP_ALIVE, Id.KEEP_ALIVE_ANSWER, Id.SUB_LOGOUT_ANSWER, Id.SUB_KEEP_ALIVE,
    Id.SUB_KEEP_ALIVE_ANSWER,
}  # fmt: skip
CODES = {Id.MAIN_BROKEN, Id.MAIN_CLOSING, Id.SUB_LOGIN_ANSWER, Id.SUB_BROKEN, Id.SUB_CLOSING}
VERIFIES = {Id.SUB_LOGIN, Id.SUB_LOGOUT}


def parse_link_body(msg_id: int, body: bytes, edition: Edition) -> LinkBody:
    """Decode a link message; raises BodyError for another id or a body that cannot be read.

    Bytes after the last field are ignored: platforms append their own.
    """
    if msg_id in EMPTY:
        return Empty(msg_id)
    if msg_id in CODES:
        return Code(msg_id, Reader(body).number(1))
    if msg_id in VERIFIES:
        return Verify(msg_id, Reader(body).number(4))
    parse = _PARSERS.get(msg_id)
    if parse is None:
        raise BodyError(f"{msg_id:04x} is not a message of link management")
    return parse(Reader(body), edition)


def encode_link_body(content: LinkBody, edition: Edition) -> tuple[int, bytes]:
    """Message id and body; raises BodyError for a value that does not fit its field."""
    match content:
        case Login():
            parts = [number(content.user, 4), text(content.password, 8)]
            if edition == "2019":
                parts.append(number(content.centre_id or 0, 4))
            return Id.LOGIN, b"".join((*parts, text(content.host, 32), number(content.port, 2)))
        case LoginAnswer():
            return Id.LOGIN_ANSWER, number(content.result, 1) + number(content.verify_code, 4)
        case Logout():
            return Id.LOGOUT, number(content.user, 4) + text(content.password, 8)
        case Code():
            return content.msg_id, number(content.code, 1)
        case Verify():
            return content.msg_id, number(content.verify_code, 4)
        case Received():
            return Id.RECEIVED, number(content.count, 4) + write_time(content.start_at) + write_time(content.end_at)
        case Empty():
            return content.msg_id, b""


# -- fields


class Reader:
    """Takes fields off a body one by one; raises BodyError where it ends too soon."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not yet taken."""
        return len(self._data) - self._at

    def take(self, size_bytes: int) -> bytes:
        """The next bytes as they are."""
        if self.left < size_bytes:
            raise BodyError(f"body has {len(self._data)} bytes, at least {self._at + size_bytes} are needed")
        self._at += size_bytes
        return self._data[self._at - size_bytes : self._at]

    def number(self, size_bytes: int) -> int:
        """An unsigned number."""
        return int.from_bytes(self.take(size_bytes))

    def text(self, size_bytes: int) -> str:
        """A string without its padding; bytes that are no GBK become the replacement character."""
        data = self.take(size_bytes).strip(b"\0 ")
        return data.decode("gbk", errors="replace").replace("\0", "")

    def time(self) -> datetime:
        """A time of eight bytes, UTC."""
        try:
            return read_time(self.take(8))
        except FrameError as error:
            raise BodyError(str(error)) from None


def number(value: int, size_bytes: int) -> bytes:
    """An unsigned number; raises BodyError if it does not fit."""
    try:
        return value.to_bytes(size_bytes)
    except OverflowError:
        raise BodyError(f"{value} does not fit {size_bytes} bytes") from None


def text(value: str, size_bytes: int) -> bytes:
    """A string in GBK, filled up with zeros; raises BodyError if it does not fit."""
    try:
        data = value.encode("gbk")
    except UnicodeEncodeError:
        raise BodyError(f"{value!r} has a character that GBK lacks") from None
    if len(data) > size_bytes:
        raise BodyError(f"{value!r} is longer than the {size_bytes} bytes of its field")
    return data.ljust(size_bytes, b"\0")


def _login(body: Reader, edition: Edition) -> Login:
    user, password = body.number(4), body.text(8)
    centre_id = body.number(4) if edition == "2019" else None
    return Login(user, password, body.text(32), body.number(2), centre_id)


def _login_answer(body: Reader, _edition: Edition) -> LoginAnswer:
    return LoginAnswer(body.number(1), body.number(4))


def _logout(body: Reader, _edition: Edition) -> Logout:
    return Logout(body.number(4), body.text(8))


def _received(body: Reader, _edition: Edition) -> Received:
    return Received(body.number(4), body.time(), body.time())


_PARSERS: dict[int, Callable[[Reader, Edition], LinkBody]] = {
    Id.LOGIN: _login,
    Id.LOGIN_ANSWER: _login_answer,
    Id.LOGOUT: _logout,
    Id.RECEIVED: _received,
}
