"""Parameters of planning: prices as planning weights, and the figures behind the hard rules."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatch.bounds import InvalidModel, whole
from dispatch.model import ENERGIES, VEHICLE_CLASSES


@dataclass(frozen=True, slots=True)
class Rental:
    """Price of a rented vehicle with driver: base + per loaded km + per hour."""

    base_fen: int
    km_fen: int
    hour_fen: int

    def __post_init__(self) -> None:
        for name in ("base_fen", "km_fen", "hour_fen"):
            whole(getattr(self, name), "Params", f"Rental.{name}", 0, 10**7)


_DAY = (8_000, 9_000, 10_000, 13_000, 18_000, 32_000, 9_000, 12_000)
_KM = (110, 130, 150, 190, 260, 420, 140, 220)
_RENTAL = (
    Rental(7_000, 420, 3_600),
    Rental(8_000, 470, 4_000),
    Rental(9_000, 520, 4_500),
    Rental(11_000, 650, 5_500),
    Rental(15_000, 900, 8_000),
    Rental(25_000, 1_400, 13_000),
    Rental(8_000, 480, 4_000),
)


@dataclass(frozen=True, slots=True)
class Params:
    """Planning weights (fen) and rule figures; the defaults are plausible weights, not an official tariff.

    With the defaults an own vehicle is cheaper than a rented one for nearly every request: rental is a supplement.

    Parameters
    ----------
    day_fen, km_fen
        Per vehicle class: using a vehicle at all in the plan; each km driven, empty or loaded.
    energy_permille
        Factor on `km_fen` per energy, in 1/1000.
    wait_hour_fen
        Waiting away from the yard between two requests, per hour.
    upgrade_km_fen
        Each loaded km in a class above the wanted one, on top of that class's own km price.
    rental
        Per wanted class; a class that is missing cannot be rented.
    penalty_fen
        Leaving a request without vehicle, per priority 1 to 4.
    max_wait_s
        A vehicle that would wait longer than this between two requests goes home if it can stand there
        `yard_stop_s`; a battery-electric vehicle goes home to charge whenever it can.
    yard_stop_s
        Least stand at the yard between two outings.
    charge_m_per_h
        Range regained per hour at the yard.
    range_reserve_permille
        Charge needed at departure, in 1/1000 of the distance until the next yard visit.
    drive_max_s, rest_min_s
        No more than 4 h of driving without 20 min of rest (source: 道路交通安全法实施条例 第62条第(七)项).
    between_shifts_s
        Least time off between two duties of a driver; the bureau's own rule, 0 where there is none.
    lent_fen
        Serving a request with a vehicle of another organisation: home vehicles come first.
    change_fen
        Changing vehicle, driver or start of an assignment people were told of, or leaving it out.
    pool_most, pool_shift_s, pool_detour_s
        Requests in one shared ride, how far a pick-up may move in it, and how much longer anybody may ride.

    Raises
    ------
    InvalidModel
        A figure is out of its bound; the message names it.
    """

    day_fen: Mapping[str, int] = field(default_factory=lambda: dict(zip(VEHICLE_CLASSES, _DAY, strict=True)))
    km_fen: Mapping[str, int] = field(default_factory=lambda: dict(zip(VEHICLE_CLASSES, _KM, strict=True)))
    energy_permille: Mapping[str, int] = field(
        default_factory=lambda: {"petrol": 1000, "diesel": 1000, "bev": 550, "phev": 800}
    )
    wait_hour_fen: int = 600
    upgrade_km_fen: int = 30
    rental: Mapping[str, Rental] = field(default_factory=lambda: dict(zip(VEHICLE_CLASSES, _RENTAL, strict=False)))
    penalty_fen: Mapping[int, int] = field(
        default_factory=lambda: {1: 500_000, 2: 1_000_000, 3: 2_000_000, 4: 10_000_000}
    )
    max_wait_s: int = 3_600
    yard_stop_s: int = 1_200
    charge_m_per_h: int = 120_000
    range_reserve_permille: int = 1_200
    drive_max_s: int = 14_400
    rest_min_s: int = 1_200
    between_shifts_s: int = 0
    lent_fen: int = 0
    change_fen: int = 0
    pool_most: int = 3
    pool_shift_s: int = 900
    pool_detour_s: int = 1_200

    def __post_init__(self) -> None:
        for name, keys, table in (
            ("day_fen", VEHICLE_CLASSES, self.day_fen),
            ("km_fen", VEHICLE_CLASSES, self.km_fen),
            ("energy_permille", ENERGIES, self.energy_permille),
        ):
            for key in keys:
                whole(table.get(key), "Params", f"{name}[{key}]", 0, 10**8)
        for priority in (1, 2, 3, 4):
            whole(self.penalty_fen.get(priority), "Params", f"penalty_fen[{priority}]", 0, 10**8)
        for name, low, high in (
            ("wait_hour_fen", 0, 10**6),
            ("upgrade_km_fen", 0, 10**6),
            ("max_wait_s", 0, 86_400),
            ("yard_stop_s", 0, 86_400),
            ("charge_m_per_h", 0, 10**6),
            ("range_reserve_permille", 1_000, 5_000),
            ("drive_max_s", 600, 86_400),
            ("rest_min_s", 60, 86_400),
            ("between_shifts_s", 0, 86_400),
            ("lent_fen", 0, 10**7),
            ("change_fen", 0, 10**7),
            ("pool_most", 1, 3),
            ("pool_shift_s", 0, 7_200),
            ("pool_detour_s", 0, 7_200),
        ):
            whole(getattr(self, name), "Params", name, low, high)
        unknown = sorted(set(self.rental) - set(VEHICLE_CLASSES))
        if unknown:
            raise InvalidModel(
                f"Params: rental must name vehicle classes ({', '.join(VEHICLE_CLASSES)}), got {unknown}."
            )
