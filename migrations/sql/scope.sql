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

GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO fleet_app;
REVOKE INSERT, UPDATE ON audit_head, alembic_version, spatial_ref_sys FROM fleet_app;
REVOKE UPDATE ON audit_entry, order_event, duty_event, finding_event, export_record FROM fleet_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO fleet_app;

-- Table by table: which rows the actor may touch. Organisations, accounts' names, places, calendar and policy are
-- the directory that everybody signed in needs to read a form; lists of accounts are narrowed by visible_to.
DO $$
DECLARE
    entry record;
    visible constant text := 'org_id IN (SELECT fleet_visible_orgs())';
BEGIN
    FOR entry IN SELECT * FROM (VALUES
        ('parking_area', visible || ' OR id IN (SELECT parking_id FROM vehicle)'),
        ('vehicle', visible || ' OR id IN (SELECT vehicle_id FROM assignment)'),
        ('terminal_binding', visible),
        ('driver', visible || ' OR user_id = fleet_actor_id() OR id IN (SELECT driver_id FROM assignment)'),
        ('travel_order', visible || ' OR serving_org_id IN (SELECT fleet_visible_orgs()) OR applicant_id = fleet_actor_id()'),
        ('order_stop', 'EXISTS (SELECT 1 FROM travel_order o WHERE o.id = order_id)'),
        ('order_event', 'EXISTS (SELECT 1 FROM travel_order o WHERE o.id = order_id)'),
        ('assignment', visible || ' OR order_org_id IN (SELECT fleet_visible_orgs())'),
        ('dispatch_slip', visible || ' OR id IN (SELECT slip_id FROM assignment)'),
        ('plan_run', visible),
        ('duty_event', visible || ' OR EXISTS (SELECT 1 FROM assignment a WHERE a.id = assignment_id)'),
        ('trip', visible),
        ('trip_match', visible),
        ('finding', visible || ' OR concerned_id = fleet_actor_id()'),
        ('finding_event', 'EXISTS (SELECT 1 FROM finding f WHERE f.id = finding_id)'),
        ('export_record', visible),
        ('sign_in', 'user_id = fleet_actor_id() OR fleet_sees_all()')
    ) AS t(name, condition) LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', entry.name);
        EXECUTE format('CREATE POLICY scope ON %I TO fleet_app USING (%s) WITH CHECK (%s)', entry.name, entry.condition, entry.condition);
    END LOOP;
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
GRANT DELETE ON gps_touched TO fleet_app;
ALTER TABLE gps_fix ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON gps_fix FOR SELECT TO fleet_app USING (fleet_sees_all() OR EXISTS (
    SELECT 1 FROM terminal_binding b WHERE b.terminal_id = gps_fix.terminal_id AND b.during @> gps_fix.at));
CREATE POLICY upload ON gps_fix FOR INSERT TO fleet_app WITH CHECK (fleet_sees_all() OR EXISTS (
    SELECT 1 FROM terminal_binding b WHERE b.terminal_id = gps_fix.terminal_id AND b.during @> gps_fix.at));
CREATE POLICY gateway ON gps_fix TO fleet_gateway USING (true) WITH CHECK (true);
ALTER TABLE gps_last ENABLE ROW LEVEL SECURITY;
CREATE POLICY scope ON gps_last TO fleet_app USING (fleet_sees_all() OR terminal_id IN (SELECT b.terminal_id FROM terminal_binding b))
    WITH CHECK (fleet_sees_all() OR terminal_id IN (SELECT b.terminal_id FROM terminal_binding b));
CREATE POLICY gateway ON gps_last TO fleet_gateway USING (true) WITH CHECK (true);
