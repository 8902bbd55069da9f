"""Energy: what every vehicle was filled and charged with, by which card, from files or by hand, and what it consumed.

Who uses it: fleet managers, unit administrators and finance enter and import; the vehicle office, auditors and leaders read.
Tables: ``energy_card``, ``energy_entry``, ``energy_import``.
States: a card is ACTIVE, SUSPENDED or CANCELLED; a file is CHECKED, then COMMITTED.
Never: petrol in an electric car, a card used for two cars at a time, an amount that is not quantity by price, the same
filling twice, half a file. Hydrogen is kept with the costs: its stations sell by weight.
"""
