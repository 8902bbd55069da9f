-- Row-level security. fleet.scope holds the tree paths granted to the actor of this transaction, '/' being all;
-- unset means none, so a forgotten scope shows nothing.
CREATE FUNCTION fleet_visible_orgs() RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT o.id FROM organisation o
    WHERE EXISTS (SELECT 1 FROM unnest(string_to_array(current_setting('fleet.scope', true), ',')) AS s(prefix)
                  WHERE s.prefix <> '' AND starts_with(o.path, s.prefix))
$$;
CREATE FUNCTION fleet_sees_all() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT coalesce('/' = ANY (string_to_array(current_setting('fleet.scope', true), ',')), false)
$$;
CREATE FUNCTION fleet_actor_id() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('fleet.actor_id', true), '')::bigint
$$;

-- What somebody is asked to decide now, in their own name or in another's, and what they decided, they may see wherever it belongs.
CREATE FUNCTION fleet_approval_subjects() RETURNS SETOF bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT c.subject_id FROM approval_task t JOIN approval_case c ON c.id = t.case_id
    WHERE t.state = 'OPEN' AND c.org_id NOT IN (SELECT fleet_visible_orgs()) AND t.user_ids && (SELECT array_agg(who) FROM (
        SELECT fleet_actor_id() AS who UNION SELECT d.delegator_id FROM approval_delegation d
        WHERE d.delegate_id = fleet_actor_id() AND d.ended_at IS NULL) AS names)
    UNION
    SELECT c.subject_id FROM approval_step s JOIN approval_case c ON c.id = s.case_id
    WHERE s.user_id = fleet_actor_id() AND s.org_id NOT IN (SELECT fleet_visible_orgs())
$$;

GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO fleet_app;
REVOKE INSERT, UPDATE ON audit_head, alembic_version, spatial_ref_sys FROM fleet_app;
REVOKE UPDATE ON audit_entry, order_event, duty_event, finding_event, export_record, gps_fix, gps_raw, gps_seal, gps_archive,
    gps_archive_event, gps_quarantine FROM fleet_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO fleet_app;

-- Table by table: which rows the actor may touch. Organisations, accounts' names, places, calendar and policy are
-- the directory that everybody signed in needs to read a form; lists of accounts are narrowed by visible_to.
CREATE PROCEDURE fleet_scope(name text, condition text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY scope ON %I TO fleet_app USING (%s) WITH CHECK (%s)', name, condition, condition);
END $$;

-- EXISTS, not IN: the planner then looks one row up by an index, where IN reads all assignments of three years for it.
DO $$
DECLARE visible constant text := 'org_id IN (SELECT fleet_visible_orgs())';
BEGIN
    CALL fleet_scope('parking_area', visible || ' OR EXISTS (SELECT 1 FROM vehicle v WHERE v.parking_id = parking_area.id)');
    CALL fleet_scope('vehicle', visible || ' OR EXISTS (SELECT 1 FROM assignment a WHERE a.vehicle_id = vehicle.id)');
    CALL fleet_scope('terminal_binding', visible);
    CALL fleet_scope('driver', visible || ' OR user_id = fleet_actor_id() OR EXISTS (SELECT 1 FROM assignment a WHERE a.driver_id = driver.id)');
    CALL fleet_scope('travel_order', visible || ' OR serving_org_id IN (SELECT fleet_visible_orgs()) OR applicant_id = fleet_actor_id()'
        ' OR id IN (SELECT fleet_approval_subjects())');
    CALL fleet_scope('order_stop', 'EXISTS (SELECT 1 FROM travel_order o WHERE o.id = order_id)');
    CALL fleet_scope('order_event', 'EXISTS (SELECT 1 FROM travel_order o WHERE o.id = order_id)');
    CALL fleet_scope('assignment', visible || ' OR order_org_id IN (SELECT fleet_visible_orgs())');
    CALL fleet_scope('hold', visible);
    CALL fleet_scope('occasion', visible || ' OR EXISTS (SELECT 1 FROM organisation o, organisation mine'
        ' WHERE o.id = org_id AND mine.id IN (SELECT fleet_visible_orgs()) AND starts_with(mine.path, o.path))');
    CALL fleet_scope('dispatch_slip', visible || ' OR EXISTS (SELECT 1 FROM assignment a WHERE a.slip_id = dispatch_slip.id)');
    CALL fleet_scope('plan_run', visible);
    CALL fleet_scope('duty_event', visible || ' OR EXISTS (SELECT 1 FROM assignment a WHERE a.id = assignment_id)');
    CALL fleet_scope('trip', visible);
    CALL fleet_scope('trip_match', visible);
    CALL fleet_scope('finding', visible || ' OR concerned_id = fleet_actor_id()');
    CALL fleet_scope('finding_event', 'EXISTS (SELECT 1 FROM finding f WHERE f.id = finding_id)');
    CALL fleet_scope('export_record', visible);
    CALL fleet_scope('sign_in', 'user_id = fleet_actor_id() OR fleet_sees_all()');
END $$;

-- A vehicle, driver or parking area may be seen because it serves an order of ours; it is still its holder's to change.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['vehicle', 'driver', 'parking_area'] LOOP
        EXECUTE format('ALTER POLICY scope ON %I WITH CHECK (org_id IN (SELECT fleet_visible_orgs()))', name);
    END LOOP;
END $$;

ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_scope ON audit_entry FOR SELECT TO fleet_app USING (fleet_sees_all() OR org_id IN (SELECT fleet_visible_orgs()));
CREATE POLICY append ON audit_entry FOR INSERT TO fleet_app WITH CHECK (true);

-- Fixes belong to whoever held the vehicle that carried the terminal at that time.
GRANT DELETE ON gps_touched, gps_unsealed TO fleet_app;
-- Uploads are queued for superior platforms like the gateway's fixes; the queue itself is none of the application's business.
REVOKE SELECT, UPDATE ON gps_upstream_queue, gps_upstream_sent FROM fleet_app;
REVOKE INSERT, UPDATE ON gps_upstream, gps_upstream_sent, gps_upstream_gap, gps_gateway FROM fleet_app;
ALTER TABLE gps_fix ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON gps_fix FOR SELECT TO fleet_app USING (fleet_sees_all() OR EXISTS (
    SELECT 1 FROM terminal_binding b WHERE b.terminal_id = gps_fix.terminal_id AND b.during @> gps_fix.at));
CREATE POLICY upload ON gps_fix FOR INSERT TO fleet_app WITH CHECK (fleet_sees_all() OR EXISTS (
    SELECT 1 FROM terminal_binding b WHERE b.terminal_id = gps_fix.terminal_id AND b.during @> gps_fix.at));
CREATE POLICY gateway ON gps_fix TO fleet_gateway USING (true) WITH CHECK (true);
-- A segment holds the frames of several terminals: whoever may see one of them may open it, and is shown that one's alone.
ALTER TABLE gps_raw ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON gps_raw TO fleet_app USING (fleet_sees_all() OR EXISTS (
    SELECT 1 FROM terminal_binding b WHERE b.terminal_id BETWEEN first_terminal AND last_terminal))
    WITH CHECK (fleet_sees_all());
CREATE POLICY gateway ON gps_raw TO fleet_gateway USING (true) WITH CHECK (true);
-- Where a day's files are, everybody who reads a track needs to know; what is written there is the system's business.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['gps_archive', 'gps_archive_event', 'gps_seal'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY directory ON %I FOR SELECT TO fleet_app USING (%s)', name,
                       CASE name WHEN 'gps_seal' THEN 'fleet_sees_all()' ELSE 'true' END);
        EXECUTE format('CREATE POLICY system ON %I FOR INSERT TO fleet_app WITH CHECK (fleet_sees_all())', name);
    END LOOP;
END $$;
ALTER TABLE gps_last ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON gps_last TO fleet_app USING (fleet_sees_all() OR terminal_id IN (SELECT b.terminal_id FROM terminal_binding b))
    WITH CHECK (fleet_sees_all() OR terminal_id IN (SELECT b.terminal_id FROM terminal_binding b));
ALTER TABLE gps_day ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON gps_day TO fleet_app USING (fleet_sees_all() OR terminal_id IN (SELECT b.terminal_id FROM terminal_binding b))
    WITH CHECK (fleet_sees_all() OR terminal_id IN (SELECT b.terminal_id FROM terminal_binding b));
CREATE POLICY gateway ON gps_day TO fleet_gateway USING (true) WITH CHECK (true);
CREATE POLICY gateway ON gps_last TO fleet_gateway USING (true) WITH CHECK (true);
REVOKE UPDATE ON terminal_event, terminal_command FROM fleet_app;
ALTER TABLE terminal_event ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON terminal_event FOR SELECT TO fleet_app USING (fleet_sees_all() OR EXISTS (
    SELECT 1 FROM terminal_binding b WHERE b.terminal_id = terminal_event.terminal_id AND b.during @> terminal_event.at));
CREATE POLICY gateway ON terminal_event TO fleet_gateway USING (true) WITH CHECK (true);
-- A terminal does what the holder of the vehicle that carries it now asks.
ALTER TABLE terminal_command ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON terminal_command TO fleet_app USING (fleet_sees_all() OR EXISTS (
    SELECT 1 FROM terminal_binding b WHERE b.terminal_id = terminal_command.terminal_id AND b.during @> terminal_command.created_at))
    WITH CHECK (fleet_sees_all() OR EXISTS (
    SELECT 1 FROM terminal_binding b WHERE b.terminal_id = terminal_command.terminal_id AND b.during @> terminal_command.created_at));
CREATE POLICY gateway ON terminal_command TO fleet_gateway USING (true) WITH CHECK (true);
