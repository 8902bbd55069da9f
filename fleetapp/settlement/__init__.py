"""Settlement of paid service: a charge for every confirmed journey, a monthly statement between two units, the way to CLOSED.

Who uses it: the system charges and issues on the 1st; the unit that travelled confirms or disputes line by line; the unit
that holds the vehicles answers, issues and notes the payment; finance, auditors and leaders read.
Tables: ``charge``, ``charge_line``, ``charge_gap``, ``statement``, ``statement_dispute``, ``statement_event``, ``adjustment``.
States of a statement: DRAFT > ISSUED > CONFIRMED > PAID; ISSUED > DISPUTED > ISSUED (answered, next edition).
Never: an order settled twice or before its mileage is confirmed, a paid charge outside a statement, a charge or a
confirmed statement changed (corrections are numbered adjustment lines), a total that is not the sum of its lines, the
price of an approved order moved by a later book.
"""
