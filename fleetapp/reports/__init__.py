"""The auditor's exports and the first screen of every role.

Who uses it: auditors export trip-compliance reports and case files; everybody opens the home page.
Tables: ``export_record``.
States: none.
Never: an export without a reason, or one that is not in the audit log.
"""
