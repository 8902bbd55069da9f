"""Drivers: licence and home fleet.

Who uses it: fleet managers keep it, dispatchers choose from it.
Tables: ``driver``.
States: active or left.
Never: a driver dispatched with an expired licence or one of the wrong class.
"""
