"""What people are told: one row per person and matter, written with the change it tells of.

Who uses it: every slice that has somebody to tell; each person reads their own.
Tables: ``notice``.
States: unread, read.
Never: a notice of a change that was not committed, the same matter told twice to a person, another person's notices.
"""
