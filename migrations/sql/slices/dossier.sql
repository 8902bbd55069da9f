-- A vehicle's file: facts are superseded by newer ones, never changed.
CALL fleet_append_only('vehicle_fact');
REVOKE UPDATE ON vehicle_fact FROM fleet_app;
CALL fleet_scope('vehicle_fact', 'EXISTS (SELECT 1 FROM vehicle v WHERE v.id = vehicle_id)');
