"""The interfaces of upward exchange in one table, after the list of DB32/T 3826-2020; units go before what belongs to them.

An interface without feeds is one that the system holds nothing for; it says so on the page and in ``docs/exchange.md``.
"""

from dataclasses import dataclass

from fleetapp.duty.rules import ExpenseKind
from fleetapp.exchange import sources
from fleetapp.exchange.sources import Reader
from fleetapp.vehicles.rules import CostKind


@dataclass(frozen=True, slots=True)
class Feed:
    """Where records come from; ``mend`` is the page they are mended on, with the name of its variable for the subject's id."""

    name: str
    read: Reader
    mend: str
    variable: str | None = None


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface. Its names are texts ``exchange.interface.<code>``, its form is ``forms/<code>.json``."""

    code: str
    feeds: tuple[Feed, ...] = ()

    @property
    def held(self) -> bool:
        """Whether the system holds anything for it."""
        return bool(self.feeds)

    def feed(self, name: str) -> Feed:
        """Return a feed by its name."""
        return next(feed for feed in self.feeds if feed.name == name)


def _one(code: str, read: Reader, mend: str, variable: str | None = None) -> Interface:
    return Interface(code, (Feed("main", read, mend, variable),))


def _spent(code: str, costs: Reader, kind: ExpenseKind) -> Interface:
    """Return an interface of money spent: entered at the desk, or paid by a driver on the way."""
    return Interface(code, (
        Feed("desk", costs, "costs.vehicle", "vehicle_id"),
        Feed("duty", sources.expenses(kind), "orders.show", "order_id"),
    ))  # fmt: skip


LOGIN = Interface("login")
ALL: tuple[Interface, ...] = (
    LOGIN,
    _one("units", sources.units, "accounts.orgs"),
    _one("vehicles", sources.vehicles, "vehicles.show", "vehicle_id"),
    _one("over_standard", sources.over_standard, "vehicles.show", "vehicle_id"),
    _one("drivers", sources.drivers, "drivers.index"),
    _one("dispatches", sources.dispatches, "orders.show", "order_id"),
    _one("maintenance", sources.maintenance, "work.show", "order_id"),
    _one("inspections", sources.inspections, "vehicles.show", "vehicle_id"),
    _one("energy", sources.energy, "energy.vehicle", "vehicle_id"),
    _one("insurance", sources.insurance, "vehicles.show", "vehicle_id"),
    _spent("tolls", sources.costs(CostKind.TOLL), ExpenseKind.TOLL),
    _spent("parking", sources.costs(CostKind.PARKING_FEE), ExpenseKind.PARKING),
    _spent("other_costs", sources.costs(CostKind.TOLL, CostKind.PARKING_FEE, but=True), ExpenseKind.OTHER),
    _one("supervision", sources.supervision, "cases.show", "case_id"),
    Interface("hotline"),
    _one("rentals", sources.rentals, "orders.show", "order_id"),
    _one("violations", sources.violations, "work.incident", "incident_id"),
    _one("disposals", sources.disposals, "disposal.show", "case_id"),
)
BY_CODE = {interface.code: interface for interface in ALL}
SENT = tuple(interface for interface in ALL if interface.held)
