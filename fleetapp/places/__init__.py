"""Gazetteer and designated parking.

Who uses it: applicants search places, fleet managers draw parking areas, findings look up what is near.
Tables: ``place``, ``parking_area``.
States: none.
Never: a coordinate in any datum but WGS-84.
"""
