"""Personal data that is kept as long as it is needed and no longer.

Who uses it: the scheduler, once a day; auditors find in the log what was removed.
Tables: none of its own; it removes old rows of ``phone_position``, ``sign_in`` and ``sign_in_failure`` through a function of
the database, which removes nothing younger than a week whoever asks.
States: none.
Never: a removal that the chained log does not show with number, span and digest; a removal of what is evidence: orders,
trips, cases and the log itself stay.
"""
