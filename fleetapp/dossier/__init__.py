"""One car, one file (一车一档): every fact of a vehicle and its whole life on one page, from indicator to deregistration.

Who uses it: unit administrators, fleet managers and the vehicle office complete the file; whoever may read a vehicle reads
it, each part as far as their role reads that part.
Tables: ``vehicle_fact``.
States: none; a fact is superseded by the next one of its attribute.
Never: a fact changed or removed, a value that is not of its attribute's kind, a completeness counted over what does not
apply to the vehicle.
"""
