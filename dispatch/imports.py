"""Published benchmark instances as instances of this model: MDVSP (.inp) and Li & Lim (pick-up and delivery).

Both have plain numbers instead of places, clocks and money. Places get the position 0, 0; what a unit of the file
becomes is said at each format. All readers raise `FileError` with line and number.
"""

import heapq
import lzma
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from dispatch.bounds import LONGEST_M, LONGEST_S, InvalidModel
from dispatch.model import VEHICLE_CLASSES, Instance, Matrix, Place, Request, Span, Stop, Travel, Vehicle
from dispatch.params import Params
from dispatch.problem import Ints
from dispatch.schema import FileError

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MOST_BYTES = 400_000_000  # of an unpacked file; a matrix of 8,000 trips has about 300 MB
MOST_FEN = 10**8  # of a penalty
XZ = b"\xfd7zXZ\x00"

UNIT_S = 60  # of a Li & Lim file
UNIT_M = 1_000
MOST_TIME, MOST_UNITS = LONGEST_S // UNIT_S, LONGEST_M // UNIT_M
MOST_SEATS = 60
DETOUR_S = 60 * UNIT_S
LILIM_DAY_FEN = 10**7


FORMATS = ("mdvsp", "lilim")


def read(path: str, form: str) -> tuple[Instance, Params]:
    """Read a file of a format, unpacked where its name or its first bytes say that it is an xz file."""
    try:
        return {"mdvsp": mdvsp, "lilim": lilim}[form](_lines(path))
    except FileError as error:
        raise FileError(f"{path}: {error}") from None


def _lines(path: str) -> list[str]:
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror}. Give the path of a readable file.") from None
    if path.endswith(".xz") or data.startswith(XZ):
        data = _unpacked(data)
    try:
        return data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise FileError("this is not text. Give a file of numbers as published, packed with xz or not.") from None


def _unpacked(data: bytes) -> bytes:
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    try:
        text = unpacker.decompress(data, MOST_BYTES)
    except (lzma.LZMAError, EOFError):
        raise FileError("this is no sound xz file. Fetch it again or unpack it first.") from None
    if not unpacker.eof:
        raise FileError(
            f"the xz file holds more than {MOST_BYTES} bytes. Give a smaller instance."
            if len(text) >= MOST_BYTES
            else "the xz file ends too early. Fetch it again."
        )
    return text


def _numbers(line: str, number: int, kind: type[int] | type[float], name: str) -> list[Any]:
    """Read one line; `name` says what numbers are wanted."""
    found: list[Any] = []
    for at, word in enumerate(line.split(), 1):
        try:
            found.append(kind(word))
        except ValueError:
            raise FileError(f"line {number}, number {at}: {name} expected, got {word[:40]!r}.") from None
    return found


def _filled(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


# ---- multi-depot vehicle scheduling ---------------------------------------------------------------------------------


def mdvsp(lines: Sequence[str]) -> tuple[Instance, Params]:
    """Read a multi-depot vehicle scheduling problem; the cost of a plan in fen is its MDVSP cost exactly.

    The file has ``m n capacity_1 .. capacity_m`` and then the (m + n) x (m + n) matrix of costs, one row a line, depots
    first: a whole number >= 0 from trip or depot i to trip or depot j, -1 where j cannot follow i (Pepin et al. 2009,
    doi:10.1007/s10951-008-0072-x). The file knows no times: every trip becomes a request without duration whose fixed
    start is its place in an order of all trips in which followers come later, one second apart. A possible leg takes
    no time and as many metres as it costs, at 1 fen a metre; an impossible one takes longer than any day has. Trips are
    neither rented nor left out as long as a plan with all of them exists, and nobody can stand at a yard in between.
    """
    filled = _filled(lines)
    depots, trips, capacities = _head(filled)
    cost = _cost_matrix(filled, depots, trips)
    names = [f"depot-{k + 1}" for k in range(depots)]
    digits = len(str(trips))
    names += [f"trip-{k + 1:0{digits}}" for k in range(trips)]
    possible = cost >= 0
    start_s = _order(possible[depots:, depots:])
    fleet = tuple(
        Vehicle(f"{names[d]}/{k + 1:0{len(str(count))}}", names[d], "depots", "sedan", 1, (Span(0, trips + 1),))
        for d, count in enumerate(capacities)
        for k in range(count)
    )
    time_s: Matrix = np.where(possible, 0, LONGEST_S).astype(np.int32)
    distance_m: Matrix = np.where(possible, cost, 0).astype(np.int32)
    for matrix in (time_s, distance_m):
        np.fill_diagonal(matrix, 0)
    travel = Travel(tuple(Place(name, 0.0, 0.0) for name in names), time_s, distance_m, "mdvsp")
    requests = tuple(
        Request(
            names[depots + k],
            (Stop(names[depots + k]), Stop(names[depots + k])),
            int(start_s[k]),
            int(start_s[k]),
            0,
            1,
            "sedan",
            "trip",
            "depots",
            rentable=False,
        )
        for k in range(trips)
    )
    return Instance(EPOCH, travel, requests, fleet, before_s=0, after_s=0), _bare_params(
        day_fen=0, km_fen=1_000, penalty_fen=_dearest(cost, depots, len(fleet))
    )


def _head(filled: Iterator[tuple[int, str]]) -> tuple[int, int, list[int]]:
    number, line = next(filled, (1, ""))
    head = _numbers(line, number, int, "a whole number")
    if len(head) < 2:
        raise FileError(
            f"line {number}: depots, trips and the capacity of every depot expected, got {len(head)} numbers."
        )
    depots, trips = head[:2]
    if depots < 1 or trips < 1:
        raise FileError(f"line {number}: at least 1 depot and 1 trip expected, got {depots} and {trips}.")
    if len(head) != 2 + depots:
        raise FileError(
            f"line {number}: {depots} capacities expected after depots and trips, got {len(head) - 2} numbers."
        )
    for at, capacity in enumerate(head[2:], 3):
        if capacity < 0:
            raise FileError(f"line {number}, number {at}: a capacity of 0 or more expected, got {capacity}.")
    return depots, trips, [min(capacity, trips) for capacity in head[2:]]


def _cost_matrix(filled: Iterator[tuple[int, str]], depots: int, trips: int) -> Ints:
    size = depots + trips
    rows: list[Ints] = []
    for number, line in filled:
        if len(rows) == size:
            raise FileError(f"line {number}: the file should end after {size} rows of the matrix. Remove the rest.")
        row = _numbers(line, number, int, "a whole number")
        if len(row) != size:
            raise FileError(f"line {number}: a row of {size} numbers expected, got {len(row)}.")
        if min(row) < -1 or max(row) > LONGEST_M:
            at = next(k for k, value in enumerate(row) if not -1 <= value <= LONGEST_M)
            raise FileError(
                f"line {number}, number {at + 1}: a cost from 0 to {LONGEST_M}, or -1 where impossible, "
                f"expected, got {row[at]}."
            )
        if len(rows) >= depots and row[len(rows)] >= 0:
            raise FileError(f"line {number}, number {len(rows) + 1}: a trip cannot follow itself, -1 expected.")
        rows.append(np.array(row, dtype=np.int64))
    if len(rows) < size:
        raise FileError(f"the matrix has {len(rows)} rows, {size} expected. The file may be cut off: fetch it again.")
    return np.array(rows)


def _order(follows: np.ndarray[Any, np.dtype[np.bool_]]) -> Ints:
    """Return each trip's place in an order in which followers come later, lowest numbers first."""
    waiting_for = follows.sum(axis=0)
    free = [int(k) for k in np.flatnonzero(waiting_for == 0)]
    place: Ints = np.full(len(follows), -1, dtype=np.int64)
    for at in range(len(follows)):
        if not free:
            trip = int(np.flatnonzero(place < 0)[0]) + 1
            raise FileError(
                f"the trips follow each other in a circle (trip {trip} is on or behind one), so that no order in time "
                "exists. Set one cost of every circle to -1."
            )
        trip = heapq.heappop(free)
        place[trip] = at
        waiting_for[follows[trip]] -= 1
        for k in np.flatnonzero(follows[trip] & (waiting_for == 0)):
            heapq.heappush(free, int(k))
    return place


def _dearest(cost: Ints, depots: int, vehicles: int) -> int:
    """Return a price that no plan of all trips reaches (while it can be said), so that leaving one out never pays."""
    trips = len(cost) - depots
    reach = cost[:, depots:].max(axis=0).clip(0).sum()
    back = np.sort(cost[depots:, :depots].max(axis=1).clip(0))[::-1][: min(vehicles, trips)].sum()
    alone = int(cost[:depots].max() + cost[:, :depots].max())
    if alone >= MOST_FEN:
        raise FileError(f"a trip alone may cost {alone}, more than {MOST_FEN}. Divide all costs by a number.")
    return min(int(reach + back) + 1, MOST_FEN)


def _bare_params(*, day_fen: int, km_fen: int, penalty_fen: int) -> Params:
    """Return parameters in which only vehicles, distance and what is left out cost anything, and nobody goes home."""
    return Params(
        day_fen=dict.fromkeys(VEHICLE_CLASSES, day_fen),
        km_fen=dict.fromkeys(VEHICLE_CLASSES, km_fen),
        wait_hour_fen=0,
        upgrade_km_fen=0,
        rental={},
        penalty_fen=dict.fromkeys((1, 2, 3, 4), penalty_fen),
        max_wait_s=86_400,
        yard_stop_s=86_400,
        pool_shift_s=0,
        pool_detour_s=DETOUR_S,
    )


# ---- pick-up and delivery with time windows -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Node:
    line: int
    x: float
    y: float
    demand: float
    ready: float
    due: float
    service: float
    pickup: int
    delivery: int


def lilim(lines: Sequence[str]) -> tuple[Instance, Params]:
    """Read a pick-up and delivery problem with time windows of Li & Lim (2001, doi:10.1109/ICTAI.2001.974461).

    The file has ``vehicles capacity speed`` and then ``id x y demand ready due service pickup delivery`` a line, node 0
    the depot. A unit of time becomes 60 s and a unit of distance 1,000 m at 1 fen for 10 m; a used vehicle costs more
    than all its distance, so that fewer vehicles come first. Driving is rounded up to whole seconds and distance to
    whole metres. Loads above 60 are scaled to 60 seats, each rounded up.

    Every plan of the instance keeps the windows, the capacity and the order of the file. It cannot say everything the
    file allows, so its best plan may be dearer than the file's: vehicles are shared by rides of up to `pool_most`
    requests in which each overlaps another, nobody waits between the calls of a ride, and a vehicle is empty between
    rides. A delivery that opens only after the latest pick-up is served by waiting there, alone. A request shares a ride
    only if its delivery stays open for `pool_detour_s` after the quickest journey from the latest pick-up. A vehicle
    that would wait a day or more waits at the depot, which the file does not know.

    Raises
    ------
    FileError
        Counts, pairs or windows that cannot be used; a pair that no vehicle could serve in time.
    """
    filled = _filled(lines)
    vehicles, capacity, speed = _fleet(filled)
    nodes = _nodes(filled, capacity)
    xy = np.array([(node.x, node.y) for node in nodes])
    units = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
    seconds, metres = np.ceil(units / speed * UNIT_S - 1e-9), np.rint(units * UNIT_M)
    if seconds.max() > LONGEST_S or metres.max() > LONGEST_M:
        raise FileError(f"two nodes are {units.max():g} units apart, which is too far. Divide coordinates and times.")
    names = ["depot", *(f"node-{k:0{len(str(len(nodes)))}}" for k in range(1, len(nodes)))]
    travel = Travel(
        tuple(Place(name, 0.0, 0.0) for name in names), seconds.astype(np.int32), metres.astype(np.int32), "lilim"
    )
    scale, seats = min(1.0, MOST_SEATS / capacity), int(min(MOST_SEATS, capacity))
    try:
        requests = tuple(
            _pair(nodes, names, k, int(seconds[k, node.delivery]), scale)
            for k, node in enumerate(nodes)
            if k and node.pickup == 0
        )
        day = (Span(math.ceil(nodes[0].ready * UNIT_S), math.floor(nodes[0].due * UNIT_S)),)
        count = min(vehicles, len(requests))
        fleet = tuple(
            Vehicle(f"vehicle-{k + 1:0{len(str(count))}}", "depot", "depot", "coach", seats, day) for k in range(count)
        )
        instance = Instance(EPOCH, travel, requests, fleet, before_s=0, after_s=0, start_step_s=UNIT_S)
    except InvalidModel as error:
        raise FileError(f"the file does not fit the model. {error}") from None
    return instance, _bare_params(day_fen=LILIM_DAY_FEN, km_fen=100, penalty_fen=MOST_FEN)


def _fleet(filled: Iterator[tuple[int, str]]) -> tuple[int, float, float]:
    number, line = next(filled, (1, ""))
    head = _numbers(line, number, float, "a number")
    if len(head) != 3:
        raise FileError(f"line {number}: vehicles, capacity and speed expected, got {len(head)} numbers.")
    for at, (name, value, low) in enumerate(zip(("vehicles", "capacity", "speed"), head, (1, 1, 1e-6), strict=True), 1):
        if not low <= value <= 10**9:
            raise FileError(f"line {number}, number {at}: {name} of at least {low:g} expected, got {value:g}.")
    return int(head[0]), head[1], head[2]


def _nodes(filled: Iterator[tuple[int, str]], capacity: float) -> list[_Node]:
    nodes: list[_Node] = []
    for number, line in filled:
        row = _numbers(line, number, float, "a number")
        if len(row) != 9:
            raise FileError(
                f"line {number}: id x y demand ready due service pickup delivery expected, got {len(row)} numbers."
            )
        if not all(map(math.isfinite, row)):
            raise FileError(f"line {number}: finite numbers expected.")
        if row[0] != len(nodes):
            raise FileError(
                f"line {number}: node {len(nodes)} expected, got {row[0]:g}. Number the nodes from 0 on in order."
            )
        if abs(row[3]) > capacity:
            raise FileError(f"line {number}: a demand within the capacity of {capacity:g} expected, got {row[3]:g}.")
        if max(abs(row[1]), abs(row[2])) > MOST_UNITS:
            raise FileError(f"line {number}: coordinates of at most {MOST_UNITS} expected, got {row[1]:g} {row[2]:g}.")
        if not 0 <= row[4] <= row[5] <= MOST_TIME or not 0 <= row[6] <= MOST_TIME:
            raise FileError(
                f"line {number}: 0 <= ready <= due <= {MOST_TIME} and a service from 0 to {MOST_TIME} expected, "
                f"got {row[4]:g}, {row[5]:g} and {row[6]:g}."
            )
        _, x, y, demand, ready, due, service, pickup, delivery = row
        nodes.append(_Node(number, x, y, demand, ready, due, service, int(pickup), int(delivery)))
    if len(nodes) < 3:
        raise FileError(f"a depot and at least one pair of nodes expected, got {len(nodes)} nodes.")
    for k, node in enumerate(nodes[1:], 1):
        partner = node.delivery if node.pickup == 0 else node.pickup
        if not 0 < partner < len(nodes) or (node.pickup == 0) == (node.delivery == 0):
            raise FileError(
                f"line {node.line}: either a pickup or a delivery node from 1 to {len(nodes) - 1} expected."
            )
        other = nodes[partner]
        if (other.pickup if node.pickup == 0 else other.delivery) != k:
            raise FileError(f"line {node.line}: node {partner} is its partner but names another one.")
        if node.demand != -other.demand or (node.demand < 0) == (node.pickup == 0):
            raise FileError(
                f"line {node.line}: demand of a pick-up above 0, of its delivery the same below 0 expected, "
                f"got {node.demand:g} and {other.demand:g}."
            )
    return nodes


def _pair(nodes: Sequence[_Node], names: Sequence[str], at: int, drive_s: int, scale: float) -> Request:
    """Make the request of a pick-up node; its start is the begin of service there."""
    pick, drop = nodes[at], nodes[nodes[at].delivery]
    service_s, drop_service_s = math.ceil(pick.service * UNIT_S), math.ceil(drop.service * UNIT_S)
    quickest_s = service_s + drive_s
    first_s, last_s = math.ceil(pick.ready * UNIT_S), math.floor(pick.due * UNIT_S)
    opens_s, closes_s = math.ceil(drop.ready * UNIT_S), math.floor(drop.due * UNIT_S)
    if first_s + quickest_s > closes_s:
        raise FileError(
            f"line {drop.line}: delivery {pick.delivery} is due before anybody can come there from pick-up {at}."
        )
    latest_s = min(last_s, closes_s - quickest_s)
    earliest_s = min(latest_s, max(first_s, opens_s - quickest_s))
    wait_s = max(0, opens_s - quickest_s - latest_s)
    return Request(
        f"pair-{names[at].removeprefix('node-')}",
        (Stop(names[at], service_s), Stop(names[pick.delivery], drop_service_s)),
        earliest_s,
        latest_s,
        quickest_s + wait_s + drop_service_s if wait_s else 0,
        math.ceil(pick.demand * scale - 1e-9),
        "coach",
        "delivery",
        "depot",
        pooling=latest_s + quickest_s + DETOUR_S <= closes_s,
        rentable=False,
    )
