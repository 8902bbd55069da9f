"""Registry: one vehicle, one file (一车一档).

Who uses it: fleet managers keep it, dispatchers and auditors read it.
Tables: ``vehicle``, ``terminal_binding``.
States: IN_SERVICE, MAINTENANCE, SEALED, RETIRED.
Never: two active vehicles with one plate or VIN, one terminal in two cars at once, a row deleted.
"""
