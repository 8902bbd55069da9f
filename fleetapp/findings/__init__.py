"""Clues (疑似线索) raised by compliance rules, explained by the person concerned, reviewed by somebody else.

Who uses it: drivers and unit admins explain, fleet managers and the vehicle office review, auditors reopen.
Tables: ``finding``, ``finding_event``.
States: DETECTED > NOTIFIED > EXPLAINED > CLEARED | PROCEDURAL | DEVICE | CONFIRMED > REOPENED; WITHDRAWN when
recomputed data no longer support it.
Never: a verdict by the machine, a finding closed by the person it concerns, a finding deleted.
"""
