"""Tamper-evident log of everything that changes or leaves the system.

Who uses it: every service writes to it last, auditors and system admins browse and verify it.
Tables: ``audit_entry``, ``export_record``, ``audit_published_head``.
States: none; entries are appended and never change.
Never: an entry altered, removed or put in between without ``verify`` naming the row.
"""
