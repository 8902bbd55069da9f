"""The driver's phone page: accept, check out, arrive, check in, and what was paid on the way.

Who uses it: drivers on a phone; fleet managers and finance read what was paid.
Tables: ``duty_event``, ``trip_expense``.
States: moves the order DISPATCHED > DRIVER_ACCEPTED > CHECKED_OUT > EN_ROUTE > RETURNED, with it those that share
the journey.
Never: an event or expense applied twice (idempotency key), an odometer that goes back, an event or expense for somebody
else's order, an expense added or made void once the journey is confirmed.
"""
