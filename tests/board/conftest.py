"""What the tests of planning have: approved orders, assignments, policy figures."""

from tests.planning.conftest import approved, assign, known, policy_figures, row

__all__ = ["approved", "assign", "known", "policy_figures", "row"]
