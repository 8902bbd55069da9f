-- What was seen of a vehicle's day, records of others, and runs of rules over the past: each to its organisation.
REVOKE UPDATE ON external_record, rule_run FROM fleet_app;
CALL fleet_append_only('external_record', 'rule_run');
CALL fleet_scope('vehicle_day', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('external_record', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('rule_run', 'org_id IN (SELECT fleet_visible_orgs())');
