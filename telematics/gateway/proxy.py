"""The PROXY protocol: a load balancer says whom a connection really comes from, before the first byte of it.

Source: "The PROXY protocol, versions 1 & 2", haproxy.org, 2.1 (text, as nginx sends it) and 2.2 (binary, as HAProxy does). Only
the configured load balancers are believed, and from them the header is demanded: anybody else could claim any address.
"""

import asyncio
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TEXT = b"PROXY "
TEXT_BYTES = 107
HEADER = struct.Struct(">BBH")
MOST_BYTES = 2048
HEADER_S = 5.0
LOCAL, PROXIED = 0x20, 0x21
TCP4, TCP6 = 0x11, 0x21


class BadProxy(ConnectionError):
    """A connection whose PROXY protocol header is missing, broken or from somebody not trusted with it."""


def networks(text: str) -> tuple[Network, ...]:
    """Networks of a comma-separated list. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def is_trusted(host: str, proxies: Sequence[Network]) -> bool:
    """Whether the peer at ``host`` is one of the load balancers."""
    if not proxies:
        return False
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in proxies)


def is_header(data: bytes) -> bool:
    """Whether bytes begin like a header: no terminal's do."""
    return data.startswith((SIGNATURE, TEXT))


async def read_header(reader: asyncio.StreamReader) -> str | None:
    """Address and port the connection comes from, None for one of the load balancer's own. Raises BadProxy."""
    try:
        async with asyncio.timeout(HEADER_S):
            begun = await reader.readexactly(len(TEXT))
            if begun == TEXT:
                return _text(await reader.readuntil(b"\n"))
            begun += await reader.readexactly(len(SIGNATURE) - len(TEXT))
            if begun != SIGNATURE:
                raise BadProxy("no PROXY protocol header")
            kind, family, size = HEADER.unpack(await reader.readexactly(HEADER.size))
            if size > MOST_BYTES:
                raise BadProxy("PROXY protocol header is too long")
            return _binary(kind, family, await reader.readexactly(size))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
        raise BadProxy("no whole PROXY protocol header") from None


def _binary(kind: int, family: int, data: bytes) -> str | None:
    if kind == LOCAL:
        return None
    if kind != PROXIED:
        raise BadProxy(f"PROXY protocol header of an unknown kind {kind:02x}")
    if family == TCP4 and len(data) >= 12:
        return f"{IPv4Address(data[:4])}:{int.from_bytes(data[8:10])}"
    if family == TCP6 and len(data) >= 36:
        return f"[{IPv6Address(data[:16])}]:{int.from_bytes(data[32:34])}"
    raise BadProxy(f"PROXY protocol header without a TCP address ({family:02x})")


def _text(line: bytes) -> str | None:
    words = line.decode("latin-1").strip().split(" ")
    if len(line) + len(TEXT) > TEXT_BYTES or not line.endswith(b"\r\n"):
        raise BadProxy("PROXY protocol header is too long or has no end")
    if words[0] == "UNKNOWN":
        return None
    try:
        kind, source, _, port, _ = words
        address = ip_address(source)
        if kind == f"TCP{address.version}" and 0 <= int(port) < 65536:
            return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    except ValueError:
        pass
    raise BadProxy("PROXY protocol header that cannot be read")
