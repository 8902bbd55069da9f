"""The end of a journey for those who travelled: the distance confirmed or objected to, the service rated.

Who uses it: applicants (and who filed for them, and the unit's administrator) confirm, object and rate; dispatchers and
fleet managers answer; fleet managers read the ratings, drivers their own without names.
Tables: ``mileage_confirmation``, ``mileage_remark``, ``trip_rating``.
States: moves the order RETURNED or OUTSOURCED > MILEAGE_CONFIRMED; by itself 48 h after check-in or the last answer.
Never: a journey confirmed twice, by its driver, by itself while an objection is open, or without its row; a rating changed
or told to the driver together with who gave it.
"""
