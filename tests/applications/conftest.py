"""Applications to try with: those of the orders, with the gazetteer and the calendar loaded."""

from tests.orders.conftest import application, dispatched, policy_figures, step, submit

__all__ = ["application", "dispatched", "policy_figures", "step", "submit"]
