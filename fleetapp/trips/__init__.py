"""Trips derived from fixes, their mileage, and the order each belongs to.

Who uses it: drivers confirm, fleet managers and auditors read, findings judge.
Tables: ``trip``, ``trip_match``.
States: current or superseded; nothing is edited.
Never: a trip that cannot be recomputed from the stored fixes, two current trips of one vehicle that overlap.
"""
