-- What telematics/tables.py cannot say: partitions, append-only tables, grants of the gateway's role.

CREATE FUNCTION gps_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: what was received is never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON gps_fix FOR EACH ROW EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON gps_fix FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON gps_quarantine FOR EACH ROW EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON gps_quarantine FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse();

-- Makes the partition of one UTC day unless it is there. The table is made first and attached then, because ATTACH
-- lets readers and writers of the other days go on while CREATE ... PARTITION OF would lock them all out.
CREATE FUNCTION gps_ensure_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    name constant text := 'gps_fix_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    IF day NOT BETWEEN date '2000-01-01' AND date '2099-12-31' THEN
        RAISE EXCEPTION 'no partition for %: outside 2000 to 2099', day USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('gps_ensure_partition', 0));
    -- Another connection may have made it while this one waited. A query sees that, to_regclass's cache does not yet.
    IF EXISTS (SELECT FROM pg_class WHERE relname = name AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE gps_fix INCLUDING ALL)', name);
    EXECUTE format('ALTER TABLE gps_fix ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   name, day::timestamptz, (day + 1)::timestamptz);
    -- Row triggers come with ATTACH, statement triggers do not.
    EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse()', name);
END $$;
COMMENT ON FUNCTION gps_ensure_partition(date) IS 'Makes the partition of gps_fix for one UTC day; idempotent, safe under concurrency.';
REVOKE EXECUTE ON FUNCTION gps_ensure_partition(date) FROM PUBLIC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_gateway') THEN
        GRANT SELECT ON gps_terminal TO fleet_gateway;
        GRANT UPDATE (auth_code, registered_at, last_seen_at) ON gps_terminal TO fleet_gateway;
        GRANT SELECT, INSERT ON gps_fix TO fleet_gateway;
        GRANT SELECT, INSERT, UPDATE ON gps_last, gps_touched TO fleet_gateway;
        GRANT SELECT, INSERT ON gps_quarantine TO fleet_gateway;
        GRANT EXECUTE ON FUNCTION gps_ensure_partition(date) TO fleet_gateway;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_app') THEN
        GRANT EXECUTE ON FUNCTION gps_ensure_partition(date) TO fleet_app;
    END IF;
END $$;
