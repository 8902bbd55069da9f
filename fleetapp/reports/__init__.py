"""The auditor's exports and the first screen of every role.

Who uses it: auditors export trip-compliance reports and case files; everybody opens the home page.
Tables: ``report_task``, ``report_piece``.
States: a report in the background is QUEUED > RUNNING > DONE | FAILED | CANCELLED.
Never: an export without a reason, or one that is not in the audit log; a report in the hands of somebody who did not ask for it.
"""
