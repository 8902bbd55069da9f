"""The application form (用车申请): answers while it is filled, favourite and weekly trips, papers of an order.

Who uses it: applicants, and colleagues who file for them; drivers and fleet managers for service orders.
Tables: ``favourite_trip``; the application itself is a ``travel_order``, written by ``orders.service.submit`` alone.
States: none of its own.
Never: another unit's order told by the form with more than unit, time and way; a confidential one at all; a series half filed.
"""
