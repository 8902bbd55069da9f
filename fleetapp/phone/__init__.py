"""The driver's phone as an app: works without a network, keeps what was tapped, sends it once; codes on dashboards.

Who uses it: drivers on a phone; fleet managers and unit administrators issue and print the codes of vehicles.
Tables: ``phone_action``, ``phone_position``, ``vehicle_code``.
States: none of its own; its steps move the order through the duty slice.
Never: an action applied twice (key with its answer kept), an action of somebody else's, a time of the phone taken for that of the
server, a check-out through the app without the walk-round and the vehicle's own code, a position outside a journey.
"""
