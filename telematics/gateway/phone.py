"""Positions of phones over HTTP (OsmAnd, Traccar Client), and ``GET /healthz``.

A phone repeats its oldest point until it gets a 2xx answer. So whatever an authenticated phone sends is kept, bad
points in quarantine, and answered 200; 401 and 403 mean a missing or wrong token, 503 that the store failed.
"""

import asyncio
import hmac
import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from telematics import store
from telematics.gateway.directory import Known
from telematics.gateway.http import HttpError, Request, Response, serve_connection
from telematics.gateway.link import StoreUnavailable
from telematics.gateway.proxy import Network
from telematics.gateway.server import Gateway
from telematics.gateway.session import Services
from telematics.gateway.writer import Incoming
from telematics.protocols.osmand import Report, RequestError, SpeedUnit, parse_request
from telematics.rows import Quarantined

TOKEN_PARAMETER = re.compile(rb"(^|[&?])token=[^&]*")
LATER = {"Retry-After": "5"}


class PhoneEndpoint:
    """The HTTP server beside the gateway."""

    def __init__(self, services: Services, gateway: Gateway, *, proxies: Sequence[Network] = ()) -> None:
        self._services = services
        self._proxies = proxies
        self._gateway = gateway
        self._server: asyncio.Server | None = None
        self._busy: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; returns the address in use. Raises OSError if it is taken."""
        limit = self._services.limits.header_bytes
        self._server = await asyncio.start_server(self._serve, host, port, limit=limit, backlog=1024)
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def stop(self) -> None:
        """Stop accepting, end idle connections; requests being stored get a moment for their answer."""
        if self._server is not None:
            self._server.close()
        await self._services.writer.flushed()
        await asyncio.sleep(0)  # the answers are written by tasks that this wakes
        for writer in self._busy.values():
            writer.close()
        if self._busy:
            await asyncio.wait(list(self._busy))

    def connections(self) -> list[asyncio.Task[None]]:
        """Tasks of the connections still open."""
        return list(self._busy)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._busy[task] = writer
        try:
            limits = self._services.limits
            await serve_connection(reader, writer, handle=self._handle, limits=limits, proxies=self._proxies)
        finally:
            del self._busy[task]

    async def _handle(self, request: Request) -> Response:
        if request.path == "/healthz":
            return self._health()
        try:
            return await self._take(request)
        except StoreUnavailable:
            return Response(HTTPStatus.SERVICE_UNAVAILABLE, "the store is not available, try again", LATER)

    def _health(self) -> Response:
        writer = self._services.writer
        tally = writer.tally
        return Response(
            HTTPStatus.SERVICE_UNAVAILABLE if tally.failing else HTTPStatus.OK,
            {
                "status": "store unavailable" if tally.failing else "ok",
                "terminals": len(self._gateway.terminals),
                "queue_depth": writer.depth,
                "committed": tally.committed,
                "added": tally.added,
                "quarantined": tally.quarantined,
                "commits": tally.commits,
                "last_commit_at": tally.last_commit_at.isoformat() if tally.last_commit_at else None,
            },
        )

    async def _take(self, request: Request) -> Response:
        services = self._services
        report = self._read(request, "knots")
        phone = await self._authenticated(request, report)
        if phone.speed_unit != "knots":
            report = self._read(request, phone.speed_unit)
        now = services.clock()
        raws = evidence(request, len(report.fixes), others=len(report.bad) + report.heartbeats)
        rows, quarantined = store.split(
            ((phone.id, fix, raw) for fix, raw in zip(report.fixes, raws, strict=True)),
            now,
            peer=request.peer,
            phone=phone.phone,
        )
        quarantined += [Quarantined(now, request.peer, phone.phone, bad.reason, bad.raw.encode()) for bad in report.bad]
        try:
            async with asyncio.timeout(services.limits.store_wait_s):
                stored = await services.writer.submit(Incoming(rows, quarantined))
                await asyncio.wait([stored])
        except TimeoutError:
            raise StoreUnavailable("not stored in time") from None
        if stored.exception() is not None:
            raise StoreUnavailable("the values cannot be stored")
        self._gateway.note_alive(phone.id)
        return Response()

    def _read(self, request: Request, speed_unit: SpeedUnit) -> Report:
        try:
            return parse_request(request.query, request.body, received_at=self._services.clock(), speed_unit=speed_unit)
        except RequestError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, str(error)) from None

    async def _authenticated(self, request: Request, report: Report) -> Known:
        token = report.token or _header_token(request)
        if not token:
            raise HttpError(HTTPStatus.UNAUTHORIZED, "a token is needed: parameter token or header Authorization")
        guesses, now = self._services.guesses, self._services.clock()
        if guesses.too_many(request.peer, report.device_id, now):
            raise HttpError(
                HTTPStatus.TOO_MANY_REQUESTS, "too many wrong tokens from this address, try again in a minute"
            )
        phone = await self._services.directory.find(report.device_id, "phone")
        expected = (phone.token_sha256 if phone else None) or ""
        if phone is None or not hmac.compare_digest(store.token_hash(token), expected):
            guesses.note(request.peer, report.device_id, now)
            raise HttpError(HTTPStatus.FORBIDDEN, "unknown device or wrong token: ask the fleet manager for a new one")
        return phone


def _header_token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.headers.get("x-token")


def evidence(request: Request, fixes: int, *, others: int) -> list[bytes | None]:
    """Bytes to keep with each fix, the secret token taken out.

    A single fix keeps its whole request; fixes of an array keep their own elements. Where points without a fix stand
    between them it cannot be told which is which, and nothing is kept rather than the wrong bytes.
    """
    body = request.body.strip()
    if body[:1] in {b"{", b"["}:
        content = json.loads(body)
        points = content if isinstance(content, list) else [content]
        kept = [json.dumps(_without_token(point)).encode() for point in points]
    else:
        kept = [TOKEN_PARAMETER.sub(rb"\1token=", request.query.encode("latin-1") + b"&" * bool(body) + body)]
    return list(kept) if len(kept) == fixes and not others else [None] * fixes


def _without_token(point: Any) -> Any:
    return {key: value for key, value in point.items() if key != "token"}
