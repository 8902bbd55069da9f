"""A small city whose every misuse is known: what the rules find in it is compared with what was really done.

``python -m fleetapp.demo.labelled --cars 60 --days 90 --seed 1`` makes vehicles, orders and drives along the roads of the
gazetteer's city, with the faults real terminals have, runs the GPS library and all rules in memory and prints a scorecard.
The makers of behaviour know no figure of any rule: stops, margins and delays are drawn from what people do, on both sides of
whatever a rule compares. An act says which rules it is what they mean (``must``), and which may speak as well (``may``).
"""
