"""Statistics reporting (统计报告制度): tables T1–T15 derived from transactions, reports frozen at submission, the indicator dictionary.

Who uses it: a unit's clerk (unit administrator, fleet manager) fills what the system cannot know, checks and submits; district and
city gather and submit in turn; finance, auditors and leaders read.
Tables: ``statistic_report``, ``statistic_version``, ``statistic_entry``, ``statistic_note``, ``statistic_event``; facts are counted by
the functions ``stat_*`` of the database.
States: DRAFT > CHECKED > SUBMITTED; a check falls back to DRAFT when something is typed.
Never: a cell that no row stands behind or nobody typed, a submitted figure changed other than by a numbered correction with its
reason, a report submitted whose stock does not balance or whose files are too empty, a vehicle counted at two units.
"""
