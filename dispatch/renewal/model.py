"""Lots of cars, what they can be renewed with, what must hold, and a plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from dispatch.bounds import InvalidModel

NEW_ENERGY = frozenset(["bev", "phev", "fcev"])
PLUG_IN = frozenset(["bev", "phev"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """``count`` cars alike; ages in whole years at the start of the first year, costs a car and year in fen."""

    id: str
    unit: str
    category: str
    energy: str
    age: int
    count: int
    km_per_year: int
    upkeep_fen: int
    upkeep_growth: float = 0.06

    def running_fen(self, year: int) -> float:
        """Return what keeping one car costs in a year of the plan, the first being 0."""
        return self.upkeep_fen * (1 + self.upkeep_growth) ** year


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An energy that cars of a class can be renewed with: price, yearly upkeep when new, fen a kilometre, value lost a year."""

    category: str
    energy: str
    price_fen: int
    upkeep_fen: int
    per_km_fen: float
    value_loss: float = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """At least this share of new energy in a scope (units; empty: all): of the stock at the end of a year or of its purchases."""

    year: int
    share: float
    of: str
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewalProblem:
    """Years of the plan from 0; ``per_km_fen`` by energy of old cars; ``chargers`` are cars a unit can charge, extended at a price.

    A car may be renewed once its age is above ``min_age`` and must be by ``max_age``. ``budgets_fen`` by year.
    """

    years: int
    lots: tuple[Lot, ...]
    options: tuple[Option, ...]
    per_km_fen: Mapping[str, float]
    budgets_fen: tuple[int, ...]
    targets: tuple[Target, ...] = ()
    chargers: Mapping[str, int] = field(default_factory=dict)
    charger_fen: int = 3_000_000
    charger_most: int = 20
    min_age: int = 8
    max_age: int = 15

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 1 <= self.years <= 10:
            raise InvalidModel(f"RenewalProblem: years must be 1 to 10, got {self.years}.")
        if len(self.budgets_fen) != self.years or any(budget < 0 for budget in self.budgets_fen):
            raise InvalidModel("RenewalProblem: budgets_fen must have one value of 0 or more for each year.")
        if len({lot.id for lot in self.lots}) != len(self.lots):
            raise InvalidModel("RenewalProblem: two lots have the same id.")
        for lot in self.lots:
            if lot.count < 1 or lot.age < 0 or lot.km_per_year < 0 or lot.upkeep_fen < 0:
                raise InvalidModel(f"Lot {lot.id}: count must be 1 or more, age, km and upkeep 0 or more.")
            if lot.energy not in self.per_km_fen:
                raise InvalidModel(f"Lot {lot.id}: per_km_fen names no {lot.energy!r}.")
        for target in self.targets:
            if not (0 <= target.share <= 1 and 0 <= target.year < self.years and target.of in {"stock", "purchases"}):
                raise InvalidModel(
                    f"Target of year {target.year}: share 0 to 1, a year of the plan, of stock or purchases."
                )

    def choices(self) -> Iterator[tuple[Lot, int, Option]]:
        """Yield (lot, year, option) for every renewal that the ages allow."""
        by_category: dict[str, list[Option]] = {}
        for option in self.options:
            by_category.setdefault(option.category, []).append(option)
        for lot, year in product(self.lots, range(self.years)):
            if lot.age + year > self.min_age:
                for option in by_category.get(lot.category, ()):
                    yield lot, year, option

    def must_by(self, lot: Lot) -> int | None:
        """Return the last year in which a lot can still be renewed in time, None if its cars may be kept throughout."""
        last = self.max_age - lot.age
        return None if last >= self.years else max(last, 0, self.min_age + 1 - lot.age)

    def kept_fen(self, lot: Lot) -> float:
        """Return what one car of a lot costs if it is kept to the end."""
        return sum(lot.running_fen(year) + lot.km_per_year * self.per_km_fen[lot.energy] for year in range(self.years))

    def renewed_fen(self, lot: Lot, year: int, option: Option) -> float:
        """Return what one car costs that is renewed at the beginning of a year: until then the old one, from then the new one."""
        old = sum(lot.running_fen(y) + lot.km_per_year * self.per_km_fen[lot.energy] for y in range(year))
        used = self.years - year
        new = used * (option.upkeep_fen + lot.km_per_year * option.per_km_fen)
        value_left = option.price_fen * (1 - option.value_loss) ** used
        return old + option.price_fen + new - value_left


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What stands in the way of a plan: a target short of cars, a budget short of fen, or cars that no charger is left for."""

    what: str
    year: int
    units: tuple[str, ...]
    amount: float


@dataclass(frozen=True, slots=True)
class RenewalPlan:
    """``renewals``: (lot id, year, energy) -> cars; ``new_chargers`` by unit. With ``shortfalls`` it is the nearest plan."""

    renewals: Mapping[tuple[str, int, str], int]
    new_chargers: Mapping[str, int]
    cost_fen: int
    bound_fen: int
    shortfalls: tuple[Shortfall, ...]
    seconds: float

    @property
    def gap(self) -> float:
        """Share by which the plan may be above the best one."""
        return 0.0 if not self.cost_fen else max(0.0, (self.cost_fen - self.bound_fen) / self.cost_fen)
