-- A plan is kept as it was computed.
CALL fleet_append_only('renewal_run');
REVOKE UPDATE ON renewal_run FROM fleet_app;
CALL fleet_scope('renewal_run', 'org_id IN (SELECT fleet_visible_orgs())');
