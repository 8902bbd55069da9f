"""Shared kernel without business words: who acts, when, in which transaction, and how things fail."""
