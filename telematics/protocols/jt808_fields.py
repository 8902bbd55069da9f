"""Fields of JT/T 808 bodies: numbers aside, what a body is made of.

Source: JT/T 808-2013 and -2019, 4.1 and 4.2 (data types, transmission order): strings are GBK, numbers big-endian,
times BCD ``YYMMDDhhmmss`` of GMT+8 except in 0x8004.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from telematics.protocols.jt808 import ProtocolError

DEVICE_CLOCK_AHEAD = timedelta(hours=8)  # device times are GMT+8 all year


class BodyError(ProtocolError):
    """The frame is sound but its body cannot be read."""


def need(body: bytes, size_bytes: int, what: str) -> None:
    """Raise BodyError unless the body has that many bytes."""
    if len(body) < size_bytes:
        raise BodyError(f"{what} body has {len(body)} bytes, at least {size_bytes} are needed")


def text_of(data: bytes) -> str:
    """GBK text without its padding."""
    # Padded with zeros or blanks, by some terminals on the left. Zeros inside would break PostgreSQL text.
    return data.decode("gbk", errors="replace").strip("\0 ").replace("\0", "")


@lru_cache(maxsize=1 << 14)
def bcd_time(raw: bytes) -> datetime:
    """Six BCD bytes as a time of no zone yet, marked UTC; raises BodyError if they are none. Thousands send one second."""
    digits = raw.hex()
    try:
        year, month, day, hour, minute, second = (int(digits[i : i + 2]) for i in range(0, 12, 2))
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise BodyError(f"time field {digits} is not a date and time") from None


def device_time(raw: bytes) -> datetime:
    """Six BCD bytes of a terminal's clock (GMT+8) as UTC."""
    return bcd_time(raw) - DEVICE_CLOCK_AHEAD


def bcd_of(at: datetime) -> bytes:
    """Six BCD bytes of a time as it stands."""
    if not 2000 <= at.year <= 2099:
        raise BodyError(f"year {at.year} does not fit the two digits of the protocol (2000 to 2099)")
    return bytes.fromhex(at.strftime("%y%m%d%H%M%S"))


def padded(text: str, width: int) -> bytes:
    """GBK text filled with zeros; raises BodyError if it is longer."""
    data = gbk(text)
    if len(data) > width:
        raise BodyError(f"{text!r} is longer than the {width} bytes of its field")
    return data.ljust(width, b"\0")


def gbk(text: str) -> bytes:
    """GBK bytes; raises BodyError for a character GBK lacks."""
    try:
        return text.encode("gbk")
    except UnicodeEncodeError:
        raise BodyError(f"{text!r} has a character that GBK lacks") from None
