"""Approval (审批): chains as data per unit, cases that freeze the chain they run by, decisions, standing-in for absent people.

Who uses it: approvers decide, the vehicle office and unit administrators publish chains, whoever approves names a deputy;
the slices above open a case for what they want approved (``orders``) and ask what its outcome is.
Tables: ``approval_chain``, ``approval_level``, ``approval_case``, ``approval_task``, ``approval_step``, ``approval_delegation``.
States: case OPEN > AGREED, REJECTED, RETURNED, ENDED; task WAITING > OPEN > AGREED, REDONE, DROPPED.
Never: a decision by whoever applied or filed, in their own name or in another's; a case agreed while a signature is missing;
an open case that waits for nobody; a chain changed after it was published.
"""
