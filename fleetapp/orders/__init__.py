"""Travel orders (用车单): application, approval, change of state, dispatch slip (派车单).

Who uses it: applicants order, approvers decide, planning and duty move the order on, auditors read.
Tables: ``travel_order``, ``order_stop``, ``order_event``, ``dispatch_slip``.
States: SUBMITTED > APPROVED > DISPATCHED > DRIVER_ACCEPTED > CHECKED_OUT > EN_ROUTE > RETURNED > CLOSED, and
REJECTED, WITHDRAWN, CANCELLED, NO_SHOW (``rules.TRANSITIONS``).
Never: self-approval, an approved order edited in place, a slip number used twice or missing without a void record.
"""
