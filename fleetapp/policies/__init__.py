"""Effective-dated figures of law and policy with their source; no such figure stands in code.

Who uses it: every slice reads; the bureau's vehicle office maintains.
Tables: ``policy_value``.
States: a row is in force over ``[valid_from, valid_to)``.
Never: two values of one code and scope in force on one day.
"""
