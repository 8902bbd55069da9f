"""Disposal of vehicles: asked for, appraised, approved, sold or handed over, proceeds remitted, deregistered, archived.

Who uses it: units ask, the vehicle office appraises and carries out, the vehicle office or a leader approves, finance
notes the remittance; auditors and leaders read.
Tables: ``disposal_case``, ``disposal_event``.
States: REQUESTED > APPRAISED > APPROVED > DEALT > REMITTED > DEREGISTERED > ARCHIVED; REJECTED, WITHDRAWN.
Never: a vehicle retired without a deregistered case, two living cases of one vehicle, a case archived before its proceeds
are remitted, a decision by whoever asked.
"""
