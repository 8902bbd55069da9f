"""A working day of a whole fleet, lived through the web server on a clock that can be set.

``clock`` is that clock and ``web`` the server that goes by it; ``fleet`` makes vehicles, people and wishes; ``people`` speaks HTTP as
somebody; ``office``, ``road`` and ``trouble`` are what they do; ``life`` puts it all in the order of time and sums it up.
"""
