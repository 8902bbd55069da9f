"""Compiled inner loops (numba) over tracks, frames and rows; pure: arrays in, arrays out."""
