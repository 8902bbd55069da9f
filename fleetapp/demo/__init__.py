"""The demo city: places, roads, an organisation with its fleet, and a month of journeys with labelled truth.

Who uses it: the command that fills a new database, the simulated terminals, and tests that need labelled data.
Tables: none; everything here is plain values made from a seed and a given ``now``.
States: none.
Never: a clock, a database, a real person; the same seed and ``now`` always give the same city and the same month.
"""
