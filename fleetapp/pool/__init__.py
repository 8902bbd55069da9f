"""The shared pool (资源共享) as one page: what is offered, asked for and lent, what is free, what was not served, what sharing saved.

Who uses it: dispatchers, fleet managers and unit administrators work on it; vehicle office, leaders and auditors read and export.
Tables: none of its own; it reads orders, assignments and what ``sharing`` keeps.
States: none.
Never: a figure without its formula, an export without a reason on record, a loan called back without its effect being shown.
"""
