"""Costs of every vehicle: ledger, per kilometre and trip, whole-life cost."""
