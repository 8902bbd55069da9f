-- Positions of phones are never changed, and removed only by the function below, once they are older than it was told.
DROP TRIGGER append_only ON phone_position;
CREATE FUNCTION phone_position_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < nullif(current_setting('fleet.forget_before', true), '')::timestamptz THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% on phone_position is refused: rows are removed by age alone', TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON phone_position FOR EACH ROW EXECUTE FUNCTION phone_position_kept();

-- Removes the rows of one of three tables that are older than a moment, for the system alone, and says which they were.
CREATE FUNCTION fleet_forget(name text, before timestamptz, moment timestamptz,
                             OUT number bigint, OUT oldest timestamptz, OUT newest timestamptz, OUT digest text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE age text := CASE name WHEN 'phone_position' THEN 'at' WHEN 'sign_in' THEN 'expires_at' WHEN 'sign_in_failure' THEN 'at' END;
BEGIN
    IF NOT fleet_sees_all() OR age IS NULL THEN
        RAISE EXCEPTION 'nothing of % is removed so', name USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF before > least(moment, clock_timestamp()) - interval '7 days' THEN
        RAISE EXCEPTION 'nothing younger than a week is removed' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM set_config('fleet.forget_before', before::text, true);
    EXECUTE format('WITH gone AS (DELETE FROM %I t WHERE t.%I < $1 RETURNING t.id, t.%I AS at)'
        ' SELECT count(*), min(at), max(at), encode(sha256(convert_to(coalesce(string_agg(id::text, '','' ORDER BY id), ''''), ''UTF8'')), ''hex'')'
        ' FROM gone', name, age, age) INTO number, oldest, newest, digest USING before;
    PERFORM set_config('fleet.forget_before', '', true);
END $$;
REVOKE EXECUTE ON FUNCTION fleet_forget(text, timestamptz, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fleet_forget(text, timestamptz, timestamptz) TO fleet_app;
