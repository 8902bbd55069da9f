"""What papers and ledgers say of a vehicle, frozen: parts of ``known.Known``. CNY, litres, kilowatt hours, metres, aware UTC times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from fleetapp.findings.inputs import ApprovedStop
from fleetapp.findings.rules import Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """One order as the office has it, pooled or not, with what people did about it."""

    order_id: int
    slip: str
    kind: str
    purpose: str
    state: str
    start_at: datetime
    end_at: datetime
    created_at: datetime
    applicant_id: int
    filed_by_id: int | None = None
    approver_id: int | None = None
    driver_id: int | None = None
    driver_user_id: int | None = None
    checked_out_by: int | None = None
    passenger_count: int = 1
    supplementary: bool = False
    route_m: float | None = None
    area: str | None = None
    expenses: float = 0.0
    unapproved_changes: int = 0
    licence: str | None = None
    licence_valid_to: date | None = None
    driven: bool = True
    stops: tuple[ApprovedStop, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One filling or charging; ``lat`` and ``lon`` are the station's where it is known."""

    id: int
    kind: str
    at: datetime
    quantity: float
    amount: float
    odometer_m: int | None = None
    full: bool = False
    soc_percent: int | None = None
    breaks: str | None = None
    product: str | None = None
    station: str | None = None
    lat: float | None = None
    lon: float | None = None
    card: str | None = None
    card_vehicle_id: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading of the vehicle's ``meter``."""

    at: datetime
    meter: int
    reading_m: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A work order: its time in the shop, who did it under which contract, the parts and the cost."""

    id: int
    number: str
    supplier: str
    contracted: bool
    in_at: datetime | None
    out_at: datetime | None
    cost: float = 0.0
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealFacts:
    """A vehicle under a notice of sealing over the local days ``[start_on, end_on)``."""

    id: int
    start_on: date
    end_on: date
    state: str
    sealed_at: datetime | None = None
    unsealed_at: datetime | None = None
    exempt_from: date | None = None
    exempt_until: date | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A traffic violation."""

    id: int
    at: datetime
    place: str
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class External:
    """A record of somebody else's: ``parking``, ``toll`` or ``complaint``."""

    id: int
    kind: str
    at: datetime
    place: str
    lat: float
    lon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """The ledgers of a vehicle's life; ``papers_until`` the day its papers of a kind run out.

    ``running_cny`` is what it cost this year up to the day, purchase left out.
    """

    quota: int | None = None
    active: int = 0
    contract_on: date | None = None
    indicator_no: str | None = None
    indicator_on: date | None = None
    indicator_id: int | None = None
    special_approval: bool = False
    old_registered_on: date | None = None
    replaced_on: date | None = None
    owner: str | None = None
    unit: str | None = None
    marked: bool | None = None
    papers_until: Mapping[str, date] = field(default_factory=dict)
    deal_on: date | None = None
    remitted_on: date | None = None
    borrowed_since: date | None = None
    figures_on_contract: Figures | None = None
    running_cny: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rental:
    """A vehicle rented for an order over ``[start, end)`` since no own one was to be had.

    ``idle`` are the unit's vehicles with the seats that nothing was planned for then, the lowest id first.
    """

    id: int
    number: str
    start_at: datetime
    end_at: datetime
    passengers: int
    price: float
    idle: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Peers:
    """What the unit says: share of supplementary orders, the others' fillings, who else stood where, what was rented."""

    supplementary: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    small_fills: Mapping[str, float] = field(default_factory=dict)
    large_fills: Mapping[str, float] = field(default_factory=dict)
    gatherings: Sequence[tuple[str, datetime, datetime, int]] = ()
    rentals: Sequence[Rental] = ()
