"""Holiday sealing (节假日封存): a notice, proof of every vehicle parked, duty vehicles exempted, a light that shows the rest.

Who uses it: the vehicle office publishes, unit administrators and fleet managers prove parking and unseal, unit
administrators ask to keep a vehicle for duty, approvers or leaders decide; auditors, dispatchers and leaders read.
Tables: ``seal_campaign``, ``seal_record``, ``seal_exception``, ``seal_event``.
States: campaign DRAFT > PUBLISHED > RUNNING > CLOSED, CANCELLED; record TO_SEAL > SEALED > UNSEALED, EXEMPT, MISSED, CANCELLED.
Never: a vehicle sealed without place, odometer and photograph, one under two notices at a time, a sealed one dispatched or
put back into service other than by unsealing, an exception decided by whoever asked.
"""
