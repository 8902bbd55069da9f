"""Running the system (运维): whether it is ready, its figures for monitoring, backups that prove themselves, restores that leave no half.

Who uses it: the bureau's engineer, monitoring programs and load balancers; no page of it is for officials.
Tables: ``scheduler_lead``, ``job_run``, ``chain_check``; reads ``gps_gateway``, where gateways say that they live.
States: none.
Never: a backup that was not read back counted as one, a restore over data that is there, secrets or people's data in a
log line or a figure, a figure given to whoever has no token.
"""
