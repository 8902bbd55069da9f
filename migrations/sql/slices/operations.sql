-- What programs say of themselves is written by the system alone; the results of walks over the audit chain stay as they are.
CALL fleet_scope('scheduler_lead', 'fleet_sees_all()');
CALL fleet_scope('job_run', 'fleet_sees_all()');
CALL fleet_scope('chain_check', 'fleet_sees_all()');
CALL fleet_append_only('chain_check');
REVOKE UPDATE ON chain_check FROM fleet_app;

-- The queue itself is none of the application's business, its length is of whoever watches over it.
CREATE FUNCTION gps_upstream_waiting() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT count(*) FROM gps_upstream_queue
$$;
REVOKE EXECUTE ON FUNCTION gps_upstream_waiting() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION gps_upstream_waiting() TO fleet_app;
