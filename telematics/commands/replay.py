"""Send a track file to a gateway as a real terminal would: register, authenticate, positions, logout.

Every position waits for its answer and is sent again without one; a lost connection is made again. Prints one JSON
object, {"sent", "acknowledged", "resent"}, and exits 0 only if every position was acknowledged.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

from telematics.files import TrackFileError, read_track
from telematics.gateway.terminal import NoAnswer, Refused, Terminal
from telematics.model import Fix
from telematics.protocols.jt808 import BODY_MAX_BYTES, FrameError, ProtocolError
from telematics.protocols.jt808_body import encode_location

BATCH_FIXES = 25
HEARTBEAT_S = 60.0
RECONNECTS = 5
RECONNECT_S = 1.0


@dataclass(slots=True)
class Summary:
    """What is printed: positions sent at least once, positions acknowledged, messages sent more than once."""

    sent: int = 0
    acknowledged: int = 0
    resent: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``replay``."""
    parser.add_argument("file", type=Path, metavar="FILE", help="track: GPX, CSV, JSON lines or hex frames")
    parser.add_argument("--terminal", required=True, metavar="PHONE", help="number the terminal is registered with")
    parser.add_argument("--host", default="127.0.0.1", help="gateway (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=6808, help="its JT/T 808 port (default 6808)")
    parser.add_argument(
        "--speed", type=float, default=0.0, metavar="N", help="N times real time; 0: as fast as answers come"
    )
    parser.add_argument("--auth", metavar="CODE", help="authentication code; without it the terminal registers first")
    parser.add_argument("--header", choices=("2013", "2019"), default="2013", help="edition of the message header")
    parser.add_argument("--batch", action="store_true", help=f"send 0x0704 batches of up to {BATCH_FIXES} positions")
    parser.add_argument("--shift-to", type=_moment, metavar="ISO", help="move all times so that the first is this one")
    parser.add_argument(
        "--timeout", type=float, default=10.0, metavar="S", help="first wait for an answer (default 10)"
    )


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no ISO 8601 time, such as 2026-11-23T08:00:00+08:00") from None
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} names no time zone: add Z or +08:00")
    return at


def run(args: argparse.Namespace) -> int:
    """Replay; 0 if every position was acknowledged, 1 if not, 2 if the file or the number cannot be used."""
    summary = Summary()
    try:
        fixes = shifted(read_track(args.file), args.shift_to)
        asyncio.run(_replay(args, fixes, summary))
    except (TrackFileError, FrameError) as error:
        print(error, file=sys.stderr)
        return 2
    except (Refused, ProtocolError, OSError) as error:
        print(f"Not everything was delivered: {error}.", file=sys.stderr)
    print(json.dumps(asdict(summary)))
    complete = summary.acknowledged == summary.sent and summary.sent == len(fixes)
    return 0 if complete else 1


def shifted(fixes: Sequence[Fix], first_at: datetime | None) -> list[Fix]:
    """Fixes in time order, moved so that the first is at ``first_at`` if one is given."""
    ordered = sorted(fixes, key=lambda fix: fix.at)
    if first_at is None or not ordered:
        return ordered
    by = first_at - ordered[0].at
    return [replace(fix, at=fix.at + by) for fix in ordered]


def groups(fixes: Sequence[Fix], *, batch: bool) -> Iterator[list[Fix]]:
    """Fixes message by message: one each, or as many as a 0x0704 body holds."""
    group: list[Fix] = []
    size_bytes = 3
    for fix in fixes:
        more_bytes = 2 + len(encode_location(fix))
        if group and (not batch or len(group) == BATCH_FIXES or size_bytes + more_bytes > BODY_MAX_BYTES):
            yield group
            group, size_bytes = [], 3
        group.append(fix)
        size_bytes += more_bytes
    if group:
        yield group


async def _replay(args: argparse.Namespace, fixes: Sequence[Fix], summary: Summary) -> None:
    code: str | None = args.auth
    todo = list(groups(fixes, batch=args.batch))
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    done = 0
    lost = 0
    while True:
        terminal = Terminal(args.host, args.port, args.terminal, version=args.header, wait_s=args.timeout)
        try:
            async with terminal:
                code = await terminal.log_in(code)
                await terminal.heartbeat()
                while done < len(todo):
                    group = todo[done]
                    if args.speed > 0:
                        due_s = begun_s + (group[-1].at - fixes[0].at).total_seconds() / args.speed
                        await _pass_time(terminal, due_s)
                    summary.sent = summary.acknowledged + len(group)
                    await (terminal.send_batch(group) if args.batch else terminal.send(group[0]))
                    summary.acknowledged += len(group)
                    done += 1
                    lost = 0
                await terminal.logout()
        except (NoAnswer, OSError) as error:
            if done == len(todo):
                return  # only the farewell went unheard
            lost += 1
            if lost > RECONNECTS:
                raise
            print(f"{error}; connecting again", file=sys.stderr)
            await asyncio.sleep(RECONNECT_S)
            summary.resent += summary.sent > summary.acknowledged
        else:
            return
        finally:
            summary.resent += terminal.resent


async def _pass_time(terminal: Terminal, due_s: float) -> None:
    """Wait until the event loop's ``due_s``, with a heartbeat a minute."""
    loop = asyncio.get_running_loop()
    while (left_s := due_s - loop.time()) > 0:
        await asyncio.sleep(min(left_s, HEARTBEAT_S))
        if left_s > HEARTBEAT_S:
            await terminal.heartbeat()
