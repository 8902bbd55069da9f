"""Upkeep: maintenance plans and what comes due, work orders with quotes, renewals of papers, accidents and violations.

Who uses it: drivers report faults; unit administrators and fleet managers report and run work orders; the vehicle office approves
(a fleet manager up to an amount) and keeps the designated suppliers; finance, auditors and leaders read.
Tables: ``supplier``, ``upkeep_plan``, ``upkeep_done``, ``upkeep_reminder``, ``work_order``, ``work_quote``, ``work_line``,
``work_event``, ``vehicle_incident``. The odometer ledger is the vehicles slice's.
States: REPORTED > QUOTED > APPROVED > IN_WORK > DONE > ACCEPTED; REJECTED, CANCELLED. Incidents: OPEN > CLOSED.
Never: two works on one vehicle at a time, a vehicle in work that is not in maintenance, an approval by whoever asked or quoted,
a cost above the approved limit accepted without a second approval, fewer quotes than wanted without a reason.
"""
