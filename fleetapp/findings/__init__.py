"""Clues (疑似线索) raised by compliance rules, and the cases they form: explained, verified, reviewed, concluded by people.

Who uses it: drivers and unit admins explain on a phone, units verify and rectify, the vehicle office and auditors review at the
desk, auditors reopen, draw on samples, search by place and read who looked at which track.
Tables: ``finding``, ``finding_event``, ``finding_case``, ``case_event``, ``suppression``, ``sample_run``, ``sample_item``.
States: DETECTED > MERGED | SUPPRESSED | ASSIGNED > NOTIFIED > EXPLAINED > UNIT_VERIFIED > BUREAU_REVIEWED > CLEARED | PROCEDURAL |
DEVICE | CONFIRMED | REFERRED > RECTIFIED > CLOSED; REOPENED by an auditor; WITHDRAWN when recomputed data no longer support it.
Never: a verdict by the machine, a case concluded or closed by somebody with a part in it, a clue deleted or rewritten once
answered, a rule kept quiet by one person alone, a track looked at without a trace, a restricted vehicle found by place.
"""
