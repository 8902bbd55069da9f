"""Upward exchange (向上报送): records of the fleet to the superior platform, each version once, with its receipt.

Who uses it: the scheduler sends; the vehicle office looks after interfaces, rejections and replays; auditors read.
Tables: ``exchange_link``, ``exchange_interface``, ``exchange_cursor``, ``exchange_outbox``, ``exchange_receipt``, ``exchange_replay``.
States: a version of a record is QUEUED > SENDING > ACCEPTED or REJECTED; INVALID when it does not keep to the form, WITHHELD when
its source is no longer to be sent, SUPERSEDED when a newer version stands in its place. ACCEPTED goes back to QUEUED by a replay only.
Never: a version sent under two keys, a record lost with the process that was sending it, a restricted or secret vehicle or a
confidential order by name, an interface below its share of filled mandatory fields, a password on a page or in the database.
"""
