"""Hostile input in quantity: mutated frames through both ways of decoding, and more connections than the gateway takes.

`make torture` (TORTURE=long) makes it a million frames and 20,000 connections; here it is a small share of both.
"""

import asyncio
import json
import os
import random
import re
import resource
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from telematics.gateway.wire_rows import Run, header_of, runs
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import FLAG, FrameSplitter, Message, encode_frame
from tests.telematics.running import NOW, add_terminal, fix, gateway, stored, wire
from tests.telematics.test_gateway_hostile import FORM, GOOD, read_or_refused

LONG = os.environ.get("TORTURE") == "long"
FRAMES, TOGETHER = (1_000_000 if LONG else 20_000), 50
CONNECTIONS = 20_000 if LONG else 1_000
GROWTH_MAX_KB = 50_000
PER_CONNECTION_MAX_KB = 40
BODIES = [body.encode_location(fix(1)), body.encode_batch([fix(1), fix(2)])]


def memory_kb() -> int:
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


def open_files(wanted: int) -> int:
    """Let this process have so many open files, or as many as it may; returns how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(most, wanted)))
    except (ValueError, PermissionError):
        wanted = most
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return wanted


def mutated(chance: random.Random) -> bytes:
    """A frame with wrong bytes, or one whose checksum is right and whose body is wrong."""
    if chance.random() < 0.5:
        content = bytearray(chance.choice(BODIES))
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        del content[chance.randint(0, 3 * len(content)) :]  # a third are cut short
        return encode_frame(chance.choice((body.LOCATION, body.BATCH)), bytes(content), like=FORM, serial=5)
    frame = bytearray(chance.choice(GOOD))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(frame))
        frame[at : at + chance.randint(0, 1)] = chance.randbytes(chance.randint(0, 2))
    return bytes(frame)


@pytest.mark.timeout(2400)
def test_mutated_frames_are_read_or_refused_and_the_next_is_whole_and_nothing_grows():
    chance, header, before_kb, quick, slow = random.Random(808), header_of(FORM), 0, 0, 0
    content = body.encode_location(fix(9))
    for number in range(FRAMES // TOGETHER):
        last = encode_frame(body.LOCATION, content, like=FORM, serial=number % 65536)
        data = FLAG + b"".join(mutated(chance) for _ in range(TOGETHER)) + last
        pieces = list(runs(data, header, 1, NOW, most=1000))
        assert isinstance(pieces[-1], Run)
        assert (pieces[-1].msg_ids[-1], pieces[-1].serials[-1]) == (body.LOCATION, number % 65536)
        for piece in pieces:
            if isinstance(piece, Run):
                quick += len(piece.serials)
                continue
            for message in FrameSplitter().feed(piece.frames):
                slow += 1
                if isinstance(message, Message):
                    read_or_refused(message)
        whole = [one for one in FrameSplitter().feed(data) if isinstance(one, Message)]
        assert (whole[-1].serial, whole[-1].body) == (number % 65536, content)
        if number == FRAMES // TOGETHER // 5:
            before_kb = memory_kb()
    assert quick > FRAMES // TOGETHER  # some mutated positions are positions still
    assert slow > FRAMES // 4
    assert memory_kb() - before_kb < GROWTH_MAX_KB


@pytest.mark.timeout(1200)
def test_silent_connections_beyond_the_limit_are_refused_and_those_at_work_are_served(gps_dsn):
    wanted = open_files(2 * CONNECTIONS + 500) // 2 - 250  # both ends are in this process
    terminal_id, phone = add_terminal(gps_dsn)

    async def scene() -> tuple[int, bool, int]:
        async with gateway(gps_dsn, connections=wanted, login_s=900) as running, AsyncExitStack() as ends:
            line = await ends.enter_async_context(wire(running.terminals.port, phone))
            await line.log_in()
            before_kb = memory_kb()
            for _ in range(wanted - 1):
                _, writer = await asyncio.open_connection("127.0.0.1", running.terminals.port)
                ends.callback(writer.close)
            each_kb = (memory_kb() - before_kb) // wanted
            reader, writer = await asyncio.open_connection("127.0.0.1", running.terminals.port)
            ends.callback(writer.close)
            refused = await asyncio.wait_for(reader.read(), 30) == b""
            answer = await line.ask(body.LOCATION, body.encode_location(fix(1)), 7)
            return answer.result, refused, each_kb

    result, refused, each_kb = asyncio.run(scene())
    print(json.dumps({"connections": wanted, "kb_per_connection_both_ends": each_kb}))
    assert (result, refused) == (body.RESULT_OK, True)
    assert each_kb < PER_CONNECTION_MAX_KB
    assert [one.at for one in stored(gps_dsn, terminal_id)] == [fix(1).at]
