"""Which cars to renew when, and with what energy, over some years at least total cost.

Cars that are alike (same unit, class, energy, age, use) are one lot with a count, so a city's three thousand cars are some
hundred lots. The relaxation by GLOP is nearly whole-numbered: its rounded-down part is fixed and the rest, as many cars as
there are binding constraints, is decided by SCIP. The relaxation's value is the proven bound.
"""

from dispatch.renewal.check import check
from dispatch.renewal.model import Lot, Option, RenewalPlan, RenewalProblem, Shortfall, Target
from dispatch.renewal.solve import UnsoundRenewal, solve

__all__ = ["Lot", "Option", "RenewalPlan", "RenewalProblem", "Shortfall", "Target", "UnsoundRenewal", "check", "solve"]
