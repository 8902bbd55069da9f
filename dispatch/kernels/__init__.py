"""Compiled inner loops of the optimizer: plain functions over arrays."""
