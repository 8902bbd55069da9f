"""The leader's dashboard (领导驾驶舱): where the fleet stands now, each figure one click from the rows that it counts.

Who uses it: leaders, the vehicle office, finance, auditors, fleet managers, dispatchers, unit administrators, each over
the part of the tree that the grant reaches; on a wall, at a desk, on a phone.
Tables: none; every figure is counted when it is asked for.
States: none; a tile is filled, empty, closed to the viewer, or lacks a figure of policy.
Never: a figure that its list does not add up to, a number without definition and time, rows of a tile to whoever may see its sums only.
"""
