"""The web shell: who is asking, in which language, how failures look, security headers, assets."""
