"""Organisation tree (city > district > unit), users, roles and sign-in.

Who uses it: everyone signs in; system admins keep units, accounts and grants.
Tables: ``organisation``, ``user_account``, ``role_grant``, ``sign_in``.
States: an account is active, locked for a while after failures, or closed; a sign-in is open, expired or ended.
Never: a password in clear, a session of a closed account, a grant that its giver could not give.
"""
