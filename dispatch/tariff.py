"""Prices of single legs, waits, loaded trips and rentals: integer fen, each rounded half up on its own, so that costs add."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dispatch.model import Request, Vehicle
from dispatch.params import Params

Amount = TypeVar("Amount", int, npt.NDArray[np.int64])


def km_rate(params: Params, vehicle: Vehicle) -> int:
    """Return the price of driving, in fen per 1,000 km (an integer for every class and energy)."""
    return params.km_fen[vehicle.vehicle_class] * params.energy_permille[vehicle.energy]


def drive_fen(rate: Any, distance_m: Amount) -> Amount:
    """Price a distance (or an array of them) at a rate (or one for each) in fen per 1,000 km."""
    result: Amount = (rate * distance_m + 500_000) // 1_000_000
    return result


def upgrade_fen(params: Params, request: Request, vehicle: Vehicle, loaded_m: int) -> int:
    """Price the loaded distance in a class above the wanted one."""
    if vehicle.vehicle_class == request.vehicle_class:
        return 0
    return (params.upgrade_km_fen * loaded_m + 500) // 1_000


def wait_fen(params: Params, wait_s: int) -> int:
    """Price waiting away from the yard."""
    return (params.wait_hour_fen * wait_s + 1_800) // 3_600


def rental_fen(params: Params, request: Request, loaded_m: int, busy_s: int) -> int | None:
    """Price a rented vehicle for a request, or None where the request must not or cannot be rented."""
    if request.secret or not request.rentable:
        return None
    if request.rental_fen is not None:
        return request.rental_fen
    table = params.rental.get(request.vehicle_class)
    if table is None:
        return None
    return table.base_fen + (table.km_fen * loaded_m + 500) // 1_000 + (table.hour_fen * busy_s + 1_800) // 3_600
