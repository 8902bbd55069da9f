-- What telematics/tables.py cannot say: partitions, append-only tables, grants of the gateway's role.

CREATE FUNCTION gps_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: what was received is never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON gps_fix FOR EACH ROW EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON gps_fix FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON gps_raw FOR EACH ROW EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON gps_raw FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse();
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['gps_seal', 'gps_archive', 'gps_archive_event'] LOOP
        EXECUTE format('CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON %I FOR EACH ROW EXECUTE FUNCTION gps_refuse()', name);
        EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse()', name);
    END LOOP;
END $$;
ALTER TABLE gps_raw ALTER COLUMN content SET STORAGE EXTERNAL; -- compressed already
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON gps_quarantine FOR EACH ROW EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON gps_quarantine FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON terminal_event FOR EACH ROW EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON terminal_event FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse();

-- A command goes forward only: what was asked never changes, what became of it is written once.
CREATE FUNCTION terminal_command_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.result IS NOT NULL
        OR (NEW.id, NEW.terminal_id, NEW.kind, NEW.parameters, NEW.asked_by, NEW.reason, NEW.created_at, NEW.expires_at)
            IS DISTINCT FROM (OLD.id, OLD.terminal_id, OLD.kind, OLD.parameters, OLD.asked_by, OLD.reason, OLD.created_at, OLD.expires_at)
        OR (OLD.sent_at IS NOT NULL AND NEW.sent_at IS DISTINCT FROM OLD.sent_at) THEN
        RAISE EXCEPTION 'command % is refused a change: what was asked and answered stays', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER forward_only BEFORE UPDATE ON terminal_command FOR EACH ROW EXECUTE FUNCTION terminal_command_keep();
CREATE TRIGGER kept BEFORE DELETE ON terminal_command FOR EACH ROW EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER kept_all BEFORE TRUNCATE ON terminal_command FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON gps_upstream_gap FOR EACH ROW EXECUTE FUNCTION gps_refuse();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON gps_upstream_gap FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse();

-- Moment of the UTC day in steps of 25 microseconds, so that it takes four bytes and an index entry (terminal, moment, digest) 16.
-- Fixes of one terminal with one content and less than that apart are one fix: no clock of a device is as fine. With the
-- terminal as a column of its own PostgreSQL leaves full pages behind when a terminal's newest fix splits one, not half empty
-- ones. Leakproof, or row-level security would keep it from using that index.
CREATE FUNCTION gps_moment(moment timestamptz) RETURNS int
LANGUAGE plpgsql IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS $$
BEGIN
    RETURN (date_part('epoch', moment AT TIME ZONE 'UTC') * 1000000)::bigint % 86400000000 / 25 - 2147483648;
END $$;

-- Makes the partitions of one UTC day unless they are there. Each table is made first and attached then, because ATTACH
-- lets readers and writers of the other days go on while CREATE ... PARTITION OF would lock them all out.
CREATE FUNCTION gps_ensure_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    suffix constant text := to_char(day, 'YYYYMMDD');
BEGIN
    IF to_regclass('gps_fix_' || suffix) IS NOT NULL THEN
        RETURN;
    END IF;
    IF day NOT BETWEEN date '2000-01-01' AND date '2099-12-31' THEN
        RAISE EXCEPTION 'no partition for %: outside 2000 to 2099', day USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('gps_ensure_partition', 0));
    -- Another connection may have made it while this one waited. A query sees that, to_regclass's cache does not yet.
    IF EXISTS (SELECT FROM pg_class WHERE relname = 'gps_fix_' || suffix AND relnamespace = 'public'::regnamespace) THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE gps_fix INCLUDING ALL)', 'gps_fix_' || suffix);
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (terminal_id, gps_moment(at), digest) WITH (fillfactor = 100)',
                   'uq_gps_fix_' || suffix, 'gps_fix_' || suffix);
    EXECUTE format('ALTER TABLE gps_fix ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   'gps_fix_' || suffix, day::timestamptz, (day + 1)::timestamptz);
    EXECUTE format('CREATE TABLE %I (LIKE gps_raw INCLUDING ALL)', 'gps_raw_' || suffix);
    EXECUTE format('ALTER TABLE gps_raw ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', 'gps_raw_' || suffix, day, day + 1);
    -- Row triggers come with ATTACH, statement triggers do not.
    EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse()',
                   'gps_fix_' || suffix);
    EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse()',
                   'gps_raw_' || suffix);
    -- The gateway copies straight into the day.
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_gateway') THEN
        EXECUTE format('GRANT INSERT ON %I TO fleet_gateway', 'gps_fix_' || suffix);
    END IF;
END $$;
COMMENT ON FUNCTION gps_ensure_partition(date) IS 'Makes the partitions of gps_fix and gps_raw for one UTC day; idempotent, safe under concurrency.';
REVOKE EXECUTE ON FUNCTION gps_ensure_partition(date) FROM PUBLIC;

-- Puts the rows of a closed day in the order of its index: a vehicle's day then lies on neighbouring pages, and the index
-- is as small as it can be. Rewrites the partition, which its readers and late writers wait for (seconds).
CREATE FUNCTION gps_settle_day(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '10s' SET maintenance_work_mem = '256MB' AS $$
DECLARE
    suffix constant text := to_char(day, 'YYYYMMDD');
BEGIN
    EXECUTE format('CLUSTER %I USING %I', 'gps_fix_' || suffix, 'uq_gps_fix_' || suffix);
    EXECUTE format('ANALYZE %I', 'gps_fix_' || suffix);
END $$;
REVOKE EXECUTE ON FUNCTION gps_settle_day(date) FROM PUBLIC;

-- Takes the rows of pg_temp.gps_merged for all segments of a day: the same frames in fewer segments, which the caller has
-- compared. For the owner alone: the database cannot look into a segment.
CREATE FUNCTION gps_swap_raw(day date) RETURNS void LANGUAGE plpgsql SET lock_timeout = '10s' AS $$
DECLARE
    name constant text := 'gps_raw_' || to_char(day, 'YYYYMMDD');
    same boolean;
BEGIN
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', name);
    EXECUTE format('SELECT (SELECT coalesce(sum(frames), 0) FROM %I) = (SELECT coalesce(sum(frames), 0) FROM pg_temp.gps_merged)', name)
    INTO same;
    IF NOT same THEN
        RAISE EXCEPTION 'frames of % arrived meanwhile: merge them again', day USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('ALTER TABLE gps_raw DETACH PARTITION %I', name);
    EXECUTE format('DROP TABLE %I', name);
    EXECUTE format('CREATE TABLE %I (LIKE gps_raw INCLUDING ALL)', name);
    EXECUTE format('INSERT INTO %I SELECT * FROM pg_temp.gps_merged', name);
    EXECUTE format('ALTER TABLE gps_raw ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, day, day + 1);
    EXECUTE format('CREATE TRIGGER append_only_all BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION gps_refuse()', name);
END $$;
REVOKE EXECUTE ON FUNCTION gps_swap_raw(date) FROM PUBLIC;

-- Removes a closed day whose every row is in its archive files. The caller has compared rows and files and says how many
-- rows that were; rows are only ever added, so an unchanged count under the lock means unchanged rows.
CREATE FUNCTION gps_drop_day(day date, fixes bigint, frames bigint, moment timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '10s' SET timezone = 'UTC' AS $$
DECLARE
    fix_name constant text := 'gps_fix_' || to_char(day, 'YYYYMMDD');
    raw_name constant text := 'gps_raw_' || to_char(day, 'YYYYMMDD');
    found record;
    archived record;
BEGIN
    IF day >= moment::date - 1 THEN
        RAISE EXCEPTION 'day % is not closed yet', day USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT coalesce(sum(a.fixes), 0) AS fixes, coalesce(sum(a.frames), 0) AS frames INTO archived
    FROM gps_archive a WHERE a.day = gps_drop_day.day;
    EXECUTE format('LOCK TABLE %I, %I IN ACCESS EXCLUSIVE MODE', fix_name, raw_name);
    EXECUTE format('SELECT (SELECT count(*) FROM %I) AS fixes, (SELECT coalesce(sum(frames), 0) FROM %I) AS frames', fix_name, raw_name)
    INTO found;
    IF (found.fixes, found.frames) IS DISTINCT FROM (gps_drop_day.fixes, gps_drop_day.frames::numeric)
       OR found.fixes > archived.fixes OR found.frames > archived.frames THEN
        RAISE EXCEPTION 'day % holds % fixes and % frames, % and % are archived: archive it again', day, found.fixes, found.frames,
            archived.fixes, archived.frames USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    EXECUTE format('ALTER TABLE gps_fix DETACH PARTITION %I', fix_name);
    EXECUTE format('ALTER TABLE gps_raw DETACH PARTITION %I', raw_name);
    EXECUTE format('DROP TABLE %I, %I', fix_name, raw_name);
    INSERT INTO gps_archive_event (day, at, action, fixes) VALUES (day, moment, 'dropped', found.fixes);
END $$;
REVOKE EXECUTE ON FUNCTION gps_drop_day(date, bigint, bigint, timestamptz) FROM PUBLIC;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_gateway') THEN
        GRANT SELECT ON gps_terminal TO fleet_gateway;
        GRANT UPDATE (auth_code, registered_at, last_seen_at, logged_in_at, protocol, properties, properties_at) ON gps_terminal TO fleet_gateway;
        GRANT SELECT, INSERT ON gps_fix, gps_raw TO fleet_gateway;
        GRANT SELECT, INSERT, UPDATE ON gps_last, gps_day, gps_touched, gps_unsealed, gps_link, gps_gateway TO fleet_gateway;
        GRANT SELECT, INSERT ON gps_quarantine, terminal_event, gps_upstream_gap TO fleet_gateway;
        GRANT SELECT, UPDATE (sent_at, answered_at, result, answer) ON terminal_command TO fleet_gateway;
        GRANT SELECT, INSERT, UPDATE, DELETE ON gps_upstream, gps_upstream_queue, gps_upstream_sent TO fleet_gateway;
        GRANT EXECUTE ON FUNCTION gps_ensure_partition(date) TO fleet_gateway;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_app') THEN
        GRANT EXECUTE ON FUNCTION gps_ensure_partition(date) TO fleet_app;
        GRANT EXECUTE ON FUNCTION gps_settle_day(date) TO fleet_app;
        GRANT EXECUTE ON FUNCTION gps_drop_day(date, bigint, bigint, timestamptz) TO fleet_app;
    END IF;
END $$;
