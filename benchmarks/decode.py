"""JT/T 808 frames decoded a second on one core: bytes of a stream to typed messages, their positions, table rows.

The frames are 0x0200 with six items as vehicles send them, of 500 terminals, one a second each. ``messages`` are verified
headers and ``positions`` typed locations with their items as Python objects, one by one: the long way, which anything
unusual goes. ``rows`` is what the gateway does with the rest: typed columns, identity and packed items, in the reads of a
connection (``--read`` bytes of one terminal); ``rows_alone`` is the same with one frame a read. Needs neither gateway nor
database.

    python -m benchmarks.decode [--frames 100000] [--read 16384]
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from telematics.gateway.wire_rows import Run, header_of, runs
from telematics.model import Fix
from telematics.protocols import jt808_body as body
from telematics.protocols.jt808 import FrameSplitter, Message, encode_frame, header_form

START = datetime(2024, 5, 20, 1, 0, tzinfo=UTC)
TERMINALS = 500


def frames(count: int) -> list[bytes]:
    """Return frames in the order in which they arrive: every second one of each terminal."""
    forms = [header_form(f"139{n:08}") for n in range(TERMINALS)]
    found = []
    for n in range(count):
        second, terminal = divmod(n, TERMINALS)
        fix = Fix(
            at=START + timedelta(seconds=second),
            lat=30.25 + terminal * 1e-4 + second * 1e-5,
            lon=120.15 + second * 2e-5,
            speed_kmh=45.0 + second % 10,
            direction_deg=(second + terminal) % 360,
            altitude_m=12,
            acc=True,
            odometer_m=(terminal * 1000 + second) * 100,
            status=3,
            items={"fuel_l": 40.5, "recorder_speed_kmh": 44.0, "io_bits": 0, "signal": 25, "satellites": 12},
        )
        found.append(encode_frame(body.LOCATION, body.encode_location(fix), like=forms[terminal], serial=second))
    return found


def rate(work: Callable[[], int], *, rounds: int = 3) -> int:
    """Things done a second, the best of some rounds."""
    best = 0.0
    for _ in range(rounds):
        began_s = time.process_time()
        done = work()
        best = max(best, done / (time.process_time() - began_s))
    return round(best)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--read", type=int, default=1 << 14, help="bytes a read")
    args = parser.parse_args()
    made = frames(args.frames)
    stream = b"".join(made)
    reads = [stream[at : at + args.read] for at in range(0, len(stream), args.read)]
    now = START + timedelta(hours=1)

    def messages() -> list[Message]:
        splitter = FrameSplitter()
        found = [piece for data in reads for piece in splitter.feed(data)]
        return [piece for piece in found if isinstance(piece, Message)]

    def positions() -> int:
        splitter = FrameSplitter()
        done = 0
        for data in reads:
            for piece in splitter.feed(data):
                assert isinstance(piece, Message)
                done += isinstance(body.parse_body(piece), body.Location)
        return done

    def rows(each: int) -> Callable[[], int]:
        """Frames of one terminal after the other, so many a read."""
        streams = [
            (header_of(header_form(f"139{n:08}")), [b"".join(own[at : at + each]) for at in range(0, len(own), each)])
            for n in range(TERMINALS)
            if (own := made[n::TERMINALS])
        ]

        def work() -> int:
            done = 0
            for header, parts in streams:
                for data in parts:
                    for run in runs(data, header, 1, now, most=1000):
                        assert isinstance(run, Run)
                        done += len(run.block)
            return done

        return work

    assert len(messages()) == args.frames
    print(
        json.dumps(
            {
                "frames": args.frames,
                "bytes_per_frame": round(len(stream) / args.frames, 1),
                "messages_per_s": rate(lambda: len(messages())),
                "positions_per_s": rate(positions),
                "rows_per_s": rate(rows(max(args.read * len(made) // len(stream), 1))),
                "rows_alone_per_s": rate(rows(1)),
            }
        )
    )


if __name__ == "__main__":
    main()
