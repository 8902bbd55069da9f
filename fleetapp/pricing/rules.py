"""The fee of one use of a vehicle, and how a shared one is split: values in, values or ``RuleBroken`` out.

``fee = base(half or full days) + km over what the base holds × rate + max(0, waiting − free) × rate + night and holiday
allowance``, not below the least fee, across levels not above a share of what the market asks; toll and parking are passed
on as paid. No public price of the city exists: the book that comes with the system is its own default.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from enum import StrEnum

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken

FEN = Decimal("0.01")
ZERO = Decimal("0.00")
DAY = timedelta(days=1)
HALF = Decimal("0.5")


class BookState(StrEnum):
    """Where a version of a book stands."""

    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    DISCARDED = "DISCARDED"


class Item(StrEnum):
    """What a line of a fee is for, in the order of a bill."""

    BASE_FULL = "base_full"
    BASE_HALF = "base_half"
    KM = "km"
    WAITING = "waiting"
    NIGHT = "night"
    HOLIDAY = "holiday"
    MINIMUM = "minimum"
    CAP = "cap"
    ROUNDING = "rounding"
    TOLL = "toll"
    PARKING = "parking"


PASSED_ON = frozenset({Item.TOLL, Item.PARKING})
"""Paid to others: neither rounded nor capped."""
ROUNDINGS = (FEN, Decimal("0.10"), Decimal("1.00"))
"""Steps in CNY that a book may round the service part to."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Prices of one body type, CNY; ``market_day`` is what the local market asks for 24 hours."""

    half_day: Decimal
    half_day_km: int
    full_day: Decimal
    full_day_km: int
    per_km: Decimal
    wait_per_h: Decimal
    free_wait_min: int
    night: Decimal
    holiday: Decimal
    minimum: Decimal
    market_day: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every line of a book; hours of the night on the office's clock, ``cap_share`` of the market's price."""

    half_day_h: int = 4
    night_from_h: int = 22
    night_to_h: int = 6
    rounding: Decimal = Decimal("1.00")
    cap_share: Decimal = Decimal("0.65")


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a vehicle over ``[start_at, end_at)``; toll and parking in CNY as paid."""

    start_at: datetime
    end_at: datetime
    distance_m: int
    wait_min: int = 0
    toll: Decimal = ZERO
    parking: Decimal = ZERO
    cross_level: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a fee: ``amount = quantity × price × part`` to the fen; ``part`` is below 1 where several share a car."""

    item: Item
    quantity: Decimal
    price: Decimal
    amount: Decimal
    part: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Fee:
    """Lines and their sum, CNY."""

    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.amount for line in self.lines), ZERO)

    def of(self, *items: Item) -> Decimal:
        """Return the sum of some items."""
        return sum((line.amount for line in self.lines if line.item in items), ZERO)


@dataclass(frozen=True, slots=True)
class Share:
    """One order of a shared journey: how far it would have gone alone, with how many people."""

    direct_m: int
    passengers: int

    @property
    def weight(self) -> int:
        """Metres times people; an order without people weighs like one person."""
        return self.direct_m * max(1, self.passengers)


def days(start_at: datetime, end_at: datetime, half_day_h: int) -> tuple[int, int]:
    """Return full and half days begun: 24 hours are a full day; a rest of up to ``half_day_h`` hours is half a day."""
    full, rest = divmod(end_at - start_at, DAY)
    if not rest and full:
        return full, 0
    return (full, 1) if rest <= timedelta(hours=half_day_h) else (full + 1, 0)


def nights(start_at: datetime, end_at: datetime, from_h: int, to_h: int) -> int:
    """Return how many nights ``[from_h, to_h)`` on the office's clock a use touches."""
    first = clock.local_date(start_at) - DAY
    found = 0
    for number in range((clock.local_date(end_at) - first).days + 1):
        begins = clock.start_of(first + number * DAY) + timedelta(hours=from_h)
        ends = clock.start_of(first + (number + 1) * DAY) + timedelta(hours=to_h)
        found += start_at < ends and end_at > begins
    return found


def dates(start_at: datetime, end_at: datetime) -> list[date]:
    """Return the local days that ``[start_at, end_at)`` touches."""
    first, last = clock.local_date(start_at), clock.local_date(end_at - timedelta(microseconds=1))
    return [first + number * DAY for number in range((last - first).days + 1)]


def fee(use: Use, rate: Rate, terms: Terms, *, holidays: Collection[date] = ()) -> Fee:
    """Return the fee of one use; the lines add up to the total exactly.

    :raises RuleBroken: ``pricing.reversed``, or ``pricing.no_market`` for a use across levels without the market's price.
    """
    if use.start_at >= use.end_at:
        raise RuleBroken("pricing.reversed")
    full, half = days(use.start_at, use.end_at, terms.half_day_h)
    km = max(Decimal(0), _tenth(Decimal(use.distance_m) / 1000) - full * rate.full_day_km - half * rate.half_day_km)
    wait_h = _hundredth(Decimal(max(0, use.wait_min - rate.free_wait_min)) / 60)
    dark = nights(use.start_at, use.end_at, terms.night_from_h, terms.night_to_h)
    feasts = sum(day in holidays for day in dates(use.start_at, use.end_at))
    wanted = (
        (Item.BASE_FULL, Decimal(full), rate.full_day),
        (Item.BASE_HALF, Decimal(half), rate.half_day),
        (Item.KM, km, rate.per_km),
        (Item.WAITING, wait_h, rate.wait_per_h),
        (Item.NIGHT, Decimal(dark), rate.night),
        (Item.HOLIDAY, Decimal(feasts), rate.holiday),
    )
    lines = [Line(item, quantity, price, to_fen(quantity * price)) for item, quantity, price in wanted if quantity]
    service = _sum(lines)
    service += _add(lines, Item.MINIMUM, max(ZERO, rate.minimum - service))
    if use.cross_level:
        if rate.market_day is None:
            raise RuleBroken("pricing.no_market")
        most = to_fen(rate.market_day * (full + half * HALF) * terms.cap_share)
        service += _add(lines, Item.CAP, min(ZERO, most - service))
    # Across levels rounding up could pass the cap again.
    steps = (service / terms.rounding).quantize(Decimal(1), ROUND_DOWN if use.cross_level else ROUND_HALF_UP)
    _add(lines, Item.ROUNDING, steps * terms.rounding - service)
    _add(lines, Item.TOLL, to_fen(use.toll))
    _add(lines, Item.PARKING, to_fen(use.parking))
    return Fee(tuple(lines))


def split(whole: Fee, shares: Sequence[Share]) -> list[Fee]:
    """Return each order's part of a shared fee, in proportion to direct distance × passengers, to the fen.

    The parts of every line add up to it and each order's total is its part of the total: what is left after rounding
    down goes to the largest remainders, the first order first among equals. Without any distance everybody pays the same.
    """
    weights = [share.weight for share in shares]
    if not any(weights):
        weights = [1] * len(shares)
    each = [(Decimal(weight) / sum(weights)).quantize(Decimal("0.000001")) for weight in weights]
    lines: list[list[Line]] = [[] for _ in shares]
    so_far, before = ZERO, [ZERO] * len(shares)
    for line in whole.lines:
        # Dividing the running sum keeps the fen of one line from adding up over all of them.
        so_far += line.amount
        after = divided(so_far, weights)
        for number, part in enumerate(each):
            lines[number].append(replace(line, amount=after[number] - before[number], part=part))
        before = after
    return [Fee(tuple(own)) for own in lines]


def divided(amount: Decimal, weights: Sequence[int]) -> list[Decimal]:
    """Return an amount in fen-exact parts in proportion to weights (largest remainder).

    :raises ValueError: no weight above zero.
    """
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError(f"weights {weights}: give at least one above zero and none below")
    sign = -1 if amount < 0 else 1
    fen = int(abs(amount) / FEN)
    floors = [fen * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda number: (-(fen * weights[number] % total), number))
    for number in order[: fen - sum(floors)]:
        floors[number] += 1
    return [sign * part * FEN for part in floors]


def check_publish(*, valid_from: date, today: date, rates: int) -> None:
    """Refuse to publish an empty book, or one that begins today or before: orders approved by then keep their price.

    :raises RuleBroken: ``pricing.empty``, ``pricing.too_late``.
    """
    if not rates:
        raise RuleBroken("pricing.empty")
    if valid_from <= today:
        raise RuleBroken("pricing.too_late", first=(today + DAY).isoformat())


def to_fen(amount: Decimal) -> Decimal:
    """Return an amount to the fen, half up."""
    return amount.quantize(FEN, ROUND_HALF_UP)


def _add(lines: list[Line], item: Item, amount: Decimal) -> Decimal:
    if amount:
        lines.append(Line(item, Decimal(1), to_fen(amount), to_fen(amount)))
    return to_fen(amount)


def _sum(lines: Sequence[Line]) -> Decimal:
    return sum((line.amount for line in lines), ZERO)


def _tenth(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.1"), ROUND_HALF_UP)


def _hundredth(value: Decimal) -> Decimal:
    return value.quantize(FEN, ROUND_HALF_UP)
