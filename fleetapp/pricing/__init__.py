"""What paid service costs: a versioned price book (价目表) of the city or a district, and the fee of one use of a vehicle.

Who uses it: finance and the vehicle office keep the books, one writes and another publishes; everybody reads what is
published, and every estimate and bill is made from it.
Tables: ``price_book``, ``price_rate``.
States of a book: DRAFT > PUBLISHED or DISCARDED. The newest published version whose first day has come is in force.
Never: a published price changed, a version that reaches back before the day it was published, two versions beginning on
one day, a fee whose lines do not add up to it.
"""
