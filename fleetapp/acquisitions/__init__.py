"""The chain quota > indicator > budget > procurement > acceptance (编制 > 指标 > 预算 > 采购 > 验收).

Who uses it: units apply, the bureau's vehicle office sets quotas, reviews and approves, finance links budgets, the office
or fleet manager procures and accepts; auditors and leaders read.
Tables: ``quota_entry``, ``indicator``, ``indicator_event``, ``budget_line``, ``procurement``.
States: indicator DRAFT > SUBMITTED > REVIEWED > APPROVED > USED | EXPIRED | CANCELLED; RETURNED to be changed, REJECTED,
WITHDRAWN. Procurement OPEN > CONTRACTED > DELIVERED > ACCEPTED > REGISTERED; CANCELLED.
Never: a budget without an approved indicator, more vehicles and approved indicators than the quota, a price above the
cap in force, an indicator decided by whoever applied, a quota entry changed.
"""
