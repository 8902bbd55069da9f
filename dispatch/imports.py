"""Published problems as instances: multi-depot vehicle scheduling (MDVSP) and Li & Lim's pick-up and delivery (PDPTW)."""

import lzma
from datetime import UTC, datetime
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dispatch.bounds import LONGEST_M
from dispatch.model import Instance, Place, Request, Span, Stop, Travel, Vehicle
from dispatch.params import Params
from dispatch.schema import FileError

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
NO_WAY_S = 1_000_000  # driving time of what is impossible: longer than any day here
DAY = (Span(-500_000, 500_000),)
MOST_FEN = 10**8
Numbers = npt.NDArray[np.int64]

FORMATS = ("mdvsp", "lilim")


def read(path: str, kind: str) -> tuple[Instance, Params]:
    """Read a file of a published format, also compressed with xz; raise `FileError` saying what is wrong."""
    try:
        raw = Path(path).read_bytes()
        if raw[:6] == b"\xfd7zXZ\x00":
            raw = lzma.decompress(raw)
        text = raw.decode("ascii")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}. Give the path of a readable file.") from None
    except (UnicodeDecodeError, lzma.LZMAError):
        raise FileError(f"{path} is neither plain numbers nor such a text compressed with xz.") from None
    return mdvsp(text) if kind == "mdvsp" else lilim(text)


def _number(word: str, at: int) -> int:
    try:
        return int(word)
    except ValueError:
        raise FileError(f"number {at} must be a whole number, got {word[:40]!r}.") from None


def mdvsp(text: str) -> tuple[Instance, Params]:
    """Read ``m n cap_1 .. cap_m`` and the (m + n) x (m + n) matrix of m depots and n trips.

    An entry is the cost of going from a depot or trip to the next, -1 where that is impossible. Every trip becomes a
    request with places of its own, no duration, and its number in an order of time as its start; a cost becomes metres at
    one fen each, so that a plan's cost is the cost of the published problem. Trips cannot be left out at a sensible price.

    Raises
    ------
    FileError
        Wrong count of numbers, or trips that could follow each other in a circle.
    """
    words = text.split()
    if len(words) < 2:
        raise FileError("the file must begin with the numbers of depots and trips.")
    m, n = _number(words[0], 1), _number(words[1], 2)
    if m < 1 or n < 0:
        raise FileError(f"the file must name at least one depot and no fewer than 0 trips, got {m} and {n}.")
    want = 2 + m + (m + n) ** 2
    if len(words) != want:
        raise FileError(f"{m} depots and {n} trips need {want} numbers, got {len(words)}.")
    values: Numbers = np.array([_number(word, k + 1) for k, word in enumerate(words)], dtype=np.int64)
    caps, cost = values[2 : 2 + m], values[2 + m :].reshape(m + n, m + n)
    if caps.min() < 0:
        raise FileError(f"a depot must have 0 vehicles or more, got {int(caps.min())}.")
    if cost.min() < -1 or cost.max() > LONGEST_M:
        raise FileError(f"costs must lie between -1 and {LONGEST_M}, got {int(cost.min())} to {int(cost.max())}.")
    order = _in_time(cost[m:, m:])
    trips = [f"t{k}" for k in range(n)]
    places = [Place(f"depot{d}", 0.0, 0.0) for d in range(m)]
    places += [Place(f"{end}{k}", 0.0, 0.0) for end in ("to ", "from ") for k in range(n)]
    time_s = np.full((m + 2 * n, m + 2 * n), NO_WAY_S, dtype=np.int32)
    metres = np.zeros_like(time_s)
    at, gone = slice(m, m + n), slice(m + n, m + 2 * n)
    for rows, cols, part in (
        (slice(0, m), at, cost[:m, m:]),
        (gone, slice(0, m), cost[m:, :m]),
        (gone, at, cost[m:, m:]),
    ):
        time_s[rows, cols] = np.where(part >= 0, 0, NO_WAY_S)
        metres[rows, cols] = np.maximum(part, 0)
    time_s[np.arange(m, m + n), np.arange(m + n, m + 2 * n)] = 0
    np.fill_diagonal(time_s, 0)
    requests = tuple(
        Request(trips[k], (Stop(f"to {k}"), Stop(f"from {k}")), s, s, 0, 1, "sedan", "trip", "pool", rentable=False)
        for s, k in enumerate(order)
    )
    vehicles = tuple(
        Vehicle(f"v{d}-{k}", f"depot{d}", "pool", "sedan", 1, DAY)
        for d in range(m)
        for k in range(min(n, int(caps[d])))
    )
    travel = Travel(tuple(places), time_s, metres, "mdvsp")
    instance = Instance(EPOCH, travel, requests, vehicles, before_s=0, after_s=0)
    default = Params()
    params = Params(
        day_fen={**default.day_fen, "sedan": 0}, km_fen={**default.km_fen, "sedan": 1_000}, wait_hour_fen=0,
        penalty_fen=dict.fromkeys(default.penalty_fen, min(MOST_FEN, 20 * int(cost.max(initial=1)) + 1)),
        max_wait_s=86_400, yard_stop_s=86_400, pool_most=1,
    )  # fmt: skip
    return instance, params


def _in_time(follows: Numbers) -> list[int]:
    """Put trips in an order in which every trip comes after all it may follow."""
    earlier, later = np.nonzero(follows >= 0)
    if (earlier < later).all():
        return list(range(len(follows)))
    before: dict[int, list[int]] = {k: [] for k in range(len(follows))}
    for a, b in zip(earlier.tolist(), later.tolist(), strict=True):
        before[b].append(a)
    try:
        return list(TopologicalSorter(before).static_order())
    except CycleError as error:
        circle = " > ".join(str(k + 1) for k in error.args[1][:6])
        raise FileError(
            f"trips must be in an order of time, but these follow each other in a circle: {circle}."
        ) from None


def lilim(text: str) -> tuple[Instance, Params]:
    """Read ``vehicles capacity speed`` and lines ``id x y demand ready due service pickup delivery``; node 0 is the depot.

    One unit of time is 60 s and one unit of distance 1 km. A pair of pick-up and delivery is a request that starts within
    both time windows; its passengers are the demand (halved, thirded, ... where a capacity is above 60). Vehicles are dear,
    so that fewer of them come first, then distance. Requests are served one after the other or as shared rides of two or
    three without waiting in between: plans keep the windows of the published problem, but it allows more.

    Raises
    ------
    FileError
        A line that is not nine whole numbers, or a pick-up without its delivery.
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    if not lines or len(lines[0]) != 3:
        raise FileError("line 1 must be the numbers of vehicles, their capacity and speed.")
    count, capacity, _ = (_number(word, k + 1) for k, word in enumerate(lines[0]))
    rows: dict[int, list[int]] = {}
    for k, line in enumerate(lines[1:], start=2):
        if len(line) != 9:
            raise FileError(f"line {k} must be nine whole numbers, got {len(line)} words.")
        row = [_number(word, k) for word in line]
        rows[row[0]] = row
    if 0 not in rows or capacity < 1 or count < 0:
        raise FileError("the file must have a node 0, the depot, and vehicles with a capacity of at least 1.")
    scale = -(-capacity // 60)
    names = list(rows)
    points = np.array([rows[k][1:3] for k in names], dtype=np.float64)
    apart = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    travel = Travel(
        tuple(Place(str(k), 0.0, 0.0) for k in names), np.ceil(apart * 60).astype(np.int32),
        np.rint(apart * 1_000).astype(np.int32), "lilim",
    )  # fmt: skip
    requests = []
    for k, (_, _, _, demand, ready, due, service, pickup, delivery) in rows.items():
        if k == 0 or pickup != 0 or demand <= 0:
            continue
        if delivery not in rows:
            raise FileError(f"pick-up {k} names delivery {delivery}, which is missing.")
        ride = -(-travel.leg(str(k), str(delivery))[0] // 60) + service
        first, last = max(ready, rows[delivery][4] - ride), min(due, rows[delivery][5] - ride)
        if first > last:
            raise FileError(f"pick-up {k} cannot reach its delivery {delivery} within both windows.")
        stops = (Stop(str(k), service * 60), Stop(str(delivery), rows[delivery][6] * 60))
        requests.append(
            Request(
                f"r{k}",
                stops,
                first * 60,
                last * 60,
                0,
                -(-demand // scale),
                "sedan",
                "delivery",
                "depot",
                pooling=True,
                rentable=False,
            )
        )
    horizon = (Span(min(0, rows[0][4]) * 60, max(rows[0][4] + 1, rows[0][5]) * 60),)
    vehicles = tuple(
        Vehicle(f"v{k}", "0", "depot", "sedan", max(1, capacity // scale), horizon)
        for k in range(min(count, len(requests)))
    )
    default = Params()
    params = Params(
        day_fen={**default.day_fen, "sedan": 10_000_000}, km_fen={**default.km_fen, "sedan": 100}, wait_hour_fen=0,
        penalty_fen=dict.fromkeys(default.penalty_fen, MOST_FEN), max_wait_s=86_400, yard_stop_s=86_400, pool_shift_s=0,
        pool_detour_s=7_200,
    )  # fmt: skip
    instance = Instance(EPOCH, travel, tuple(requests), vehicles, before_s=0, after_s=0, start_step_s=60)
    return instance, params
