"""Evidence packages (取证包): one zip a clue that proves itself without this system.

Who uses it: auditors and the vehicle office make them; ``tools/verify_evidence.py`` checks them anywhere.
Tables: ``evidence_request``.
States: a request is REQUESTED > CONSENTED | REFUSED.
Never: a package of a restricted vehicle without a second person's consent, or of a secret one at all; two different packages
of one state of a case.
"""
