"""Sharing between the city, its districts and their units (资源共享): offers, requests, loans, and the way out without a vehicle.

Who uses it: fleet managers and unit administrators offer, dispatchers ask and answer, borrowers give back; planning reads who
may be served by what.
Tables: ``share_offer``, ``share_request``, ``share_loan``, ``share_event``, ``fallback``.
States: a request is PENDING > ACCEPTED | DECLINED | WITHDRAWN | EXPIRED; a loan is AGREED > RECALLED > RETURNED | ENDED, or
CALLED_OFF before it begins (``rules.REQUESTS``, ``rules.LOANS``).
Never: a vehicle lent twice at once, lent while it is sealed or out of service, or lent by whom it does not belong to and who
has no offer of it; a borrower who changes the vehicle's record or sees it after the loan; a loan that moves a quota.
"""
