"""Effective-dated figures of law and policy with their source; no such figure stands in code.

Who uses it: every slice reads; vehicle offices maintain, the city's nation, province and city, a district's its own part.
Tables: ``policy_value``.
States: a row is in force over ``[valid_from, valid_to)``; a later row of its scope ends it; before its first day it may be withdrawn.
The stricter scope stands, unless a lower one is marked as one that may relax by whoever maintains the scope above.
Never: two values of one code and scope in force on one day, a row altered, the past rewritten other than as a correction.
"""
