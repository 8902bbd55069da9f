"""The driver's phone page: accept, check out, arrive, check in.

Who uses it: drivers on a phone.
Tables: ``duty_event``.
States: moves the order DISPATCHED > DRIVER_ACCEPTED > CHECKED_OUT > EN_ROUTE > RETURNED, with it those that share the journey.
Never: an event applied twice (idempotency key), an odometer that goes back, an event for somebody else's order.
"""
