"""Dispatch: plans from the optimizer and the assignment of vehicle and driver to an order.

Who uses it: dispatchers.
Tables: ``assignment``, ``plan_run``.
States: an assignment is ACTIVE or RELEASED; a run is DONE, CONFIRMED or FAILED.
Never: one vehicle or one driver booked twice over any moment, buffers included; a plan that the judge refuses.
"""
