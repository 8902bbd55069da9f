"""The dispatcher's live board: vehicles by time with queue and map, plans beside it, what goes wrong on the day, emergencies in sight.

Who uses it: dispatchers; whoever may read plans looks on.
Tables: none of its own; it writes through ``planning``, ``upkeep`` and ``notices``.
States: those of assignments and of plan runs, see ``planning``.
Never: a move over somebody else's change; a what-if that touches what stands before it is accepted; a handover without a word to
driver and applicant; a phone's position taken for the vehicle's.
"""
