"""GPS library and gateway: decode, store, clean, segment, measure and match tracks.

Knows neither the web application nor any web framework. Everything except ``store``, ``gateway`` and
``commands`` is pure: values in, values out, no clock, no I/O.

Datum is WGS-84 degrees, distances metres, durations seconds, times aware UTC datetimes, intervals half-open.
"""
