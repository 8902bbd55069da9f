"""Emergency reserve (应急保底车辆): how many vehicles must stay free, by pool, body, level of emergency and time of day.

Who uses it: the vehicle office sets floors, dispatchers, leaders and auditors read them; planning asks before it proposes.
Tables: ``reserve_floor``, ``reserve_alert`` (the level of emergency in force, written by the emergency slice).
States: a floor or alert is in force over its period; ending one shortens the period, nothing is removed.
Never: normal dispatch that leaves fewer vehicles free than the floor at any moment of the booking (checked in the database
whenever an assignment is made, moved or taken up again); two floors of one pool, body and level over one time.
"""
