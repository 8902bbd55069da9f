"""Files that prove something: certificates, photographs, quotes, reports; kept once by their content.

Who uses it: every slice whose rows carry papers; whoever may read the row may read its files.
Tables: ``attachment``, ``attachment_content``.
States: none.
Never: a file changed or removed, one that is not what its name says, one shown outside the organisation's scope.
"""
