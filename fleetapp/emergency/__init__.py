"""Emergency plans, their activation and drills (应急预案、启动、演练): which vehicles are called up, and how fast they came.

Who uses it: the vehicle office keeps plans; dispatchers and the vehicle office activate, raise, lower and stand down; the leader
named signs afterwards what was approved by word of mouth; leaders, fleet managers and auditors read.
Tables: ``emergency_plan``, ``emergency_level``, ``emergency_call_up``, ``emergency_officer``, ``emergency_activation``,
``emergency_car``, ``emergency_effect``, ``emergency_event``.
States: an activation is DRAFT > ACTIVE > STOOD_DOWN, or CANCELLED before it begins.
Never: two activations of one organisation at a time, an order approved by its driver or by whoever activated, a drill that takes a
vehicle from another order or breaks the reserve, an order bumped without a notice, a step without its event.
"""
