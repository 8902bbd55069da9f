"""Terminals, live map, playback, GPX upload.

Who uses it: dispatchers and fleet managers watch, auditors replay with a stated purpose.
Tables: ``ignored_sender``, ``terminal_sim``; reads the library's ``gps_*`` through ``bridge`` and ``terminal_binding`` of the registry.
States: a terminal is online, offline or never seen.
Never: a track read without a logged purpose, a restricted vehicle on the normal map.
"""
