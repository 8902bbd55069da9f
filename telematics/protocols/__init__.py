"""Wire formats: bytes to messages and back, pure functions, no I/O."""
