"""Costs of every vehicle: tolls, parking and the like entered here, all other slices' costs beside them, whole-life cost.

Who uses it: fleet managers, unit administrators and finance enter; the vehicle office, auditors and leaders read.
Tables: ``cost_entry``.
Never: a cost without its vehicle, a toll or a parking fee that names neither task nor explanation, an order that another
vehicle drove, a cost kept twice: fuel and charging belong to energy, maintenance, repair, insurance, inspection and
accidents to upkeep, the purchase to the vehicle, proceeds to the disposal.
"""
