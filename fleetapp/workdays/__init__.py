"""Calendar of working days, rest days and statutory holidays with make-up workdays (调休).

Who uses it: orders and findings ask for the kind of a day; the vehicle office loads a year's notice.
Tables: ``calendar_day``.
States: none.
Never: a holiday rule judged by guesswork: for a year without a notice weekends count and the answer says so.
"""
