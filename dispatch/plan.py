"""Plans: what is to be done with every request."""

from collections.abc import Mapping
from dataclasses import dataclass

from dispatch.bounds import LONGEST_S, whole


@dataclass(frozen=True, slots=True)
class Assignment:
    """A request given to a vehicle and a driver (None where the instance has no drivers) over ``[start_s, end_s)``.

    Assignments with the same `ride` share the vehicle: their passengers ride together.
    """

    request_id: str
    vehicle_id: str
    driver_id: str | None
    start_s: int
    end_s: int
    ride: str | None = None

    def __post_init__(self) -> None:
        who = f"Assignment of {self.request_id}"
        whole(self.start_s, who, "start_s", -LONGEST_S, LONGEST_S)
        whole(self.end_s, who, "end_s", self.start_s, 2 * LONGEST_S)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with every request: assigned, rented, or left unassigned with a reason code.

    `bound_fen` is a proven lower bound of the cost of any plan or None; `gap` = (cost - bound) / cost.
    `stopped`: optimal, gap, no_improvement, rounds, time_limit or cancelled.
    """

    assignments: tuple[Assignment, ...]
    unassigned: Mapping[str, str]
    rented: tuple[str, ...]
    cost_fen: int
    bound_fen: int | None = None
    gap: float | None = None
    stopped: str = "given"
    method: str = "manual"
    seed: int = 0
    elapsed_s: float = 0.0

    def __post_init__(self) -> None:
        whole(self.cost_fen, "Plan", "cost_fen", 0, 10**15)
        if self.bound_fen is not None:
            whole(self.bound_fen, "Plan", "bound_fen", 0, 10**15)
