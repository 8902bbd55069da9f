"""Upkeep: maintenance plans and work orders, inspection and insurance, parts and tyres, accidents and violations, downtime."""
