"""Events (重大活动): one project with many orders, vehicles and drivers kept for it, a roster of its own, a summary at its end.

Who uses it: the vehicle office, dispatchers and fleet managers plan and run an event; units order for it by naming it in their
application; leaders, finance and auditors read.
Tables: ``occasion`` (with the orders), ``occasion_shift``, ``occasion_event``; what is kept are rows of ``hold``.
States: PLANNED > ACTIVE > DONE; CANCELLED.
Never: a kept vehicle on an order of something else, half of a choice kept, a driver on two vehicles of the roster on a day, an
event over with vehicles still kept.
"""
