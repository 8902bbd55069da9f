"""Optimizer of a day's vehicle dispatch: who drives which vehicle to which approved request, at what cost.

A library without web framework, database, clock or network: values in, a plan out. Every plan that leaves
``solve`` has passed ``check``, a judge that shares no code with the solvers.
"""

from dispatch.bounds import InvalidModel
from dispatch.check import Violation, check, check_locked
from dispatch.costs import Cost, plan_cost
from dispatch.explain import Explanation, Option, explain
from dispatch.files import dump_instance, dump_plan, load_instance, load_plan
from dispatch.live import Answer, Live
from dispatch.model import (
    Assignment,
    Driver,
    Instance,
    Lending,
    Place,
    Plan,
    Request,
    Reserve,
    Span,
    Stop,
    Travel,
    Vehicle,
    estimate_travel,
)
from dispatch.params import Params, Rental
from dispatch.remedies import Remedy, remedies
from dispatch.roads import Ways
from dispatch.schema import FileError
from dispatch.solve import LockedBroken, Progress, Until, solve

__all__ = [
    "Answer",
    "Assignment",
    "Cost",
    "Driver",
    "Explanation",
    "FileError",
    "Instance",
    "InvalidModel",
    "Lending",
    "Live",
    "LockedBroken",
    "Option",
    "Params",
    "Place",
    "Plan",
    "Progress",
    "Remedy",
    "Rental",
    "Request",
    "Reserve",
    "Span",
    "Stop",
    "Travel",
    "Until",
    "Vehicle",
    "Violation",
    "Ways",
    "check",
    "check_locked",
    "dump_instance",
    "dump_plan",
    "estimate_travel",
    "explain",
    "load_instance",
    "load_plan",
    "plan_cost",
    "remedies",
    "solve",
]
