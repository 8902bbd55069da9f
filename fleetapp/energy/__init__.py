"""Fuel and charging: ledger, cards, import, consumption."""
