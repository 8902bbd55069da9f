"""What may be entered, and what was consumed: values in, values or ``RuleBroken`` out.

Full to full: what went in after one full filling up to and including the next, over the kilometres between the two. A battery
is rarely charged to the brim, so the state of charge after charging stands for the level where the battery's size is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from statistics import median

from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import Energy


class EntryKind(StrEnum):
    """Litres of fuel, or kilowatt hours; also what a card pays for."""

    FUEL = "fuel"
    CHARGE = "charge"


class EntrySource(StrEnum):
    """Who wrote the entry: a person, or the file of a fuel company or a charging operator."""

    MANUAL = "manual"
    IMPORT = "import"


class CardState(StrEnum):
    """A suspended card may come back, a cancelled one may not."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    CANCELLED = "CANCELLED"


class ImportState(StrEnum):
    """A file is looked through first; its good rows go in together."""

    CHECKED = "CHECKED"
    COMMITTED = "COMMITTED"


class Break(StrEnum):
    """Why nothing can be computed up to this filling: one before it is missing, or the odometer was changed."""

    MISSED = "missed"
    METER = "meter"


_E = Energy
FITS: Mapping[EntryKind, frozenset[Energy]] = {
    EntryKind.FUEL: frozenset([_E.PETROL, _E.DIESEL, _E.HEV, _E.PHEV]),
    EntryKind.CHARGE: frozenset([_E.BEV, _E.PHEV]),
}
"""What each energy takes; a plug-in hybrid takes both."""
CARD_MOVES: Mapping[CardState, frozenset[CardState]] = {
    CardState.ACTIVE: frozenset([CardState.SUSPENDED, CardState.CANCELLED]),
    CardState.SUSPENDED: frozenset([CardState.ACTIVE, CardState.CANCELLED]),
    CardState.CANCELLED: frozenset(),
}
ROUNDING = Decimal("0.05")
"""CNY by which an amount may differ from quantity by price: receipts round both."""


def kinds_of(energy: str) -> tuple[EntryKind, ...]:
    """Return what a vehicle may take."""
    return tuple(kind for kind in EntryKind if energy in FITS[kind])


def check_entry(
    *, kind: EntryKind, energy: str, quantity: Decimal, unit_price: Decimal, amount: Decimal, soc_percent: int | None
) -> None:
    """Refuse the wrong energy, an amount that is not quantity by price, a state of charge of a tank.

    :raises RuleBroken: ``energy.kind_fits``, ``energy.amount``, ``energy.soc``.
    """
    if energy not in FITS[kind]:
        raise RuleBroken("energy.kind_fits")
    if quantity <= 0 or amount < 0 or abs(amount - quantity * unit_price) > ROUNDING:
        raise RuleBroken("energy.amount", expected=f"{quantity * unit_price:,.2f}")
    if soc_percent is not None and kind is not EntryKind.CHARGE:
        raise RuleBroken("energy.soc")


def check_card_move(state: str, to: CardState) -> None:
    """Refuse a step that a card's state does not have.

    :raises RuleBroken: ``energy.card_state``.
    """
    if to not in CARD_MOVES[CardState(state)]:
        raise RuleBroken("energy.card_state")


def overfilled(quantity: Decimal, store: Decimal | None, factor: Decimal) -> bool:
    """Tell whether more went in than tank or battery hold (rules G-02, G-11); unknown stores tell nothing."""
    return store is not None and quantity > store * factor


@dataclass(frozen=True, slots=True)
class Filling:
    """One filling or charging. ``level`` is what the store holds afterwards, less what it holds when full; None: unknown."""

    at: datetime
    quantity: Decimal
    odometer_m: int | None
    level: Decimal | None
    breaks: str | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """What was consumed from one known level to the next, over ``distance_m``."""

    start_at: datetime
    end_at: datetime
    used: Decimal
    distance_m: int

    @property
    def per_100km(self) -> Decimal:
        """Litres or kilowatt hours per 100 km."""
        return self.used * 100_000 / self.distance_m


def level(*, full: bool, soc_percent: int | None, battery_kwh: Decimal | None) -> Decimal | None:
    """Return the level after a filling, 0 being full, from the full mark or from state of charge and battery size."""
    if full or soc_percent == 100:
        return Decimal(0)
    if soc_percent is None or battery_kwh is None:
        return None
    return battery_kwh * (soc_percent - 100) / 100


def intervals(fillings: Iterable[Filling]) -> list[Interval]:
    """Return the intervals of one vehicle and kind, by time.

    What went in between two known levels is summed. An interval ends without a result where a filling was missed, the odometer
    was changed or went back, or less than nothing was used.
    """
    found: list[Interval] = []
    first: Filling | None = None
    put_in = Decimal(0)
    for one in sorted(fillings, key=lambda filling: filling.at):
        put_in += one.quantity
        if one.breaks is not None:
            first = None
        if one.level is None or one.odometer_m is None:
            continue
        if first is not None and first.level is not None and first.odometer_m is not None:
            used, distance_m = put_in - (one.level - first.level), one.odometer_m - first.odometer_m
            if used > 0 and distance_m > 0:
                found.append(Interval(first.at, one.at, used, distance_m))
        first, put_in = one, Decimal(0)
    return found


def mean_per_100km(found: Sequence[Interval]) -> Decimal | None:
    """Return the consumption over all intervals, long ones counting more; None without any."""
    distance_m = sum(one.distance_m for one in found)
    return sum((one.used for one in found), Decimal(0)) * 100_000 / distance_m if distance_m else None


def electric_share(*, litres: Decimal, kwh: Decimal, l_per_100km: Decimal, kwh_per_100km: Decimal) -> Decimal | None:
    """Return which share of its kilometres a plug-in hybrid drove on electricity; None when nothing went in.

    Electric km = kWh charged / reference kWh per 100 km x 100; fuel km = litres / reference litres per 100 km x 100;
    share = electric km / (electric km + fuel km). The references are policy figures.
    """
    electric_km, fuel_km = kwh / kwh_per_100km, litres / l_per_100km
    return electric_km / (electric_km + fuel_km) if electric_km + fuel_km else None


@dataclass(frozen=True, slots=True)
class Footprint:
    """Tonnes of coal equivalent and kilograms of CO2."""

    tce: Decimal = Decimal(0)
    co2_kg: Decimal = Decimal(0)

    def __add__(self, other: "Footprint") -> "Footprint":
        """Return both together."""
        return Footprint(self.tce + other.tce, self.co2_kg + other.co2_kg)


def footprint(kind: str, energy: str, quantity: Decimal, factors: Mapping[str, Decimal]) -> Footprint:
    """Return what a quantity stands for, by the factors of its year; fuel of anything but a diesel is petrol."""
    if kind == EntryKind.CHARGE:
        return Footprint(
            quantity * factors["energy.electricity_kgce_kwh"] / 1000, quantity * factors["energy.grid_co2_kg_kwh"]
        )
    fuel = "diesel" if energy == Energy.DIESEL else "petrol"
    kgce = quantity * factors[f"energy.{fuel}_kg_l"] * factors[f"energy.{fuel}_kgce_kg"]
    return Footprint(kgce / 1000, quantity * factors[f"energy.{fuel}_co2_kg_l"])


class Outlier(StrEnum):
    """Far above, or far below, what its like consume (rule G-01)."""

    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Limits:
    """When consumption is far from its baseline: above ``high`` times with ``excess`` more, or below ``low`` times."""

    high: Decimal
    low: Decimal
    excess: Decimal


def outlier(per_100km: Decimal, baseline: Decimal, limits: Limits) -> Outlier | None:
    """Tell whether a consumption is far from its baseline."""
    if per_100km > baseline * limits.high and per_100km - baseline > limits.excess:
        return Outlier.HIGH
    return Outlier.LOW if per_100km < baseline * limits.low else None


def baseline(values: Sequence[Decimal], *, least: int = 3) -> Decimal | None:
    """Return the median, None below ``least`` values: too few to say what is usual."""
    return median(values) if len(values) >= least else None
