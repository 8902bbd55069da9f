"""Dispatch: plans from the optimizer, the assignment of vehicle and driver to an order, shared journeys, vehicles kept.

Who uses it: dispatchers.
Tables: ``assignment``, ``journey_stop``, ``hold``, ``plan_run``.
States: an assignment is ACTIVE or RELEASED; a run is DONE, CONFIRMED or FAILED.
Never: one vehicle or one driver on two journeys at any moment, buffers included; an order sharing a vehicle without consent, or
more people than seats; a kept vehicle on an order of something else; a plan that the judge refuses.
"""
