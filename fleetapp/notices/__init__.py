"""What people are told: one row per person and matter, written with the change it tells of, and its way to their phones.

Who uses it: every slice that has somebody to tell; each person reads their own; system administrators and fleet managers look
after what could not be delivered.
Tables: ``notice``, ``notice_delivery``, ``notice_address``, ``notice_preference``, ``notice_route``.
States: a notice is unread or read. A delivery is QUEUED > SENDING > SENT; FAILED after the last attempt, SUPPRESSED with a reason.
Never: a notice of a change that was not committed, the same matter told twice to a person, another person's notices, a delivery
lost with the process that was sending it, the content of a confidential matter outside, a whole telephone number on a page.
"""
