"""Virtual JT/T 808 terminals that drive, report, misbehave on request, and keep books of what was acknowledged."""
