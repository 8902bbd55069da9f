"""Ledgers as spreadsheets (台账导入导出): template, check with the cell of every fault, commit in one transaction, export.

Who uses it: units and fleet managers fill in and upload, fleet managers and the vehicle office commit; whoever reads a
ledger may export it.
Tables: ``ledger_import``.
States: UPLOADED > CHECKING > CHECKED > COMMITTING > DONE; REFUSED (the file as a whole), FAILED, DISCARDED.
Never: half a file written, a row changed that somebody changed after the check, a formula run or taken for a value.
"""
