"""As much of HTTP/1.1 as phones and health checks need (RFC 9112), bounded; no TLS: a reverse proxy does that."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from telematics.gateway.limits import Limits
from telematics.gateway.proxy import Network, is_trusted


class HttpError(Exception):
    """A request that is answered with an error status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request; header names in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""
    peer: str = ""

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants to go on with the connection."""
        return self.headers.get("connection", "").lower() != "close" and self.headers[":version"] != "HTTP/1.0"


@dataclass(frozen=True, slots=True)
class Response:
    """Status and either nothing, a sentence or a JSON value."""

    status: HTTPStatus = HTTPStatus.OK
    content: str | Mapping[str, Any] = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def encode(self, *, keep_alive: bool) -> bytes:
        """Bytes on the wire."""
        is_text = isinstance(self.content, str)
        text = self.content if isinstance(self.content, str) else json.dumps(self.content)
        body = (text + "\n" if text else "").encode()
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {'text/plain' if is_text else 'application/json'}; charset=utf-8",
            f"Content-Length: {len(body)}",
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join((*lines, "", "")).encode("latin-1") + body


Handler = Callable[[Request], Awaitable[Response]]


async def serve_connection(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    handle: Handler,
    limits: Limits,
    proxies: Sequence[Network] = (),
) -> None:
    """Answer the requests of one connection in turn until it ends, is silent, or sends what is not HTTP.

    One of the ``proxies`` is believed the last address of its X-Forwarded-For.
    """
    name = writer.get_extra_info("peername")
    peer = f"{name[0]}:{name[1]}" if name else ""
    try:
        while True:
            try:
                async with asyncio.timeout(limits.login_s):
                    request = await read_request(reader, writer, peer=peer, limits=limits)
            except HttpError as error:
                writer.write(Response(error.status, str(error)).encode(keep_alive=False))
                break
            if request is None:
                break
            forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            if forwarded and name and is_trusted(name[0], proxies):
                request = replace(request, peer=forwarded)
            try:
                response = await handle(request)
            except HttpError as error:
                response = Response(error.status, str(error))
            writer.write(response.encode(keep_alive=request.keeps_alive))
            await writer.drain()
            if not request.keeps_alive:
                break
    except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
        pass  # the phone is gone or silent: it will come back
    finally:
        writer.close()


async def read_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, peer: str, limits: Limits
) -> Request | None:
    """Read one request; None when the connection ends before one begins. Raises HttpError."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request header is too long") from None
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise
        return None
    if len(head) > limits.header_bytes:
        raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request header is too long")
    first, *lines = head.decode("latin-1").strip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or words[2] not in {"HTTP/1.0", "HTTP/1.1"}:
        raise HttpError(HTTPStatus.BAD_REQUEST, "this is not an HTTP/1.1 request")
    headers = {":version": words[2]}
    for line in lines:
        key, colon, value = line.partition(":")
        if not colon or not key or key != key.strip():
            raise HttpError(HTTPStatus.BAD_REQUEST, "a header line has no name")
        headers[key.lower()] = value.strip()
    path, _, query = words[1].partition("?")
    length = _body_length(headers, limits)
    if length and headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await reader.readexactly(length)
    return Request(words[0], path, query, headers, body, peer)


def _body_length(headers: Mapping[str, str], limits: Limits) -> int:
    if "transfer-encoding" in headers:
        raise HttpError(HTTPStatus.LENGTH_REQUIRED, "chunked bodies are not taken: send Content-Length")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise HttpError(HTTPStatus.BAD_REQUEST, "Content-Length is not a number")
    if len(text) > 10 or int(text) > limits.body_bytes:
        raise HttpError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is too long: at most {limits.body_bytes} bytes, send less at once",
        )
    return int(text)
