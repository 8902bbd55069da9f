-- The register of slips has no gap: a slip takes the number after its unit's last one of the year, which is also the one the
-- series has just given, and a number taken from the series is a slip by the end of the transaction.
CREATE FUNCTION dispatch_slip_next() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    series text;
    given integer;
BEGIN
    SELECT o.code || '-' || NEW.year INTO STRICT series FROM organisation o WHERE o.id = NEW.org_id;
    SELECT n.last INTO given FROM number_series n WHERE n.key = series FOR SHARE;
    IF NEW.seq IS DISTINCT FROM given OR NEW.number <> series || '-' || lpad(NEW.seq::text, 5, '0') OR NEW.void_at IS NOT NULL
       OR NEW.seq <> 1 + (SELECT coalesce(max(s.seq), 0) FROM dispatch_slip s WHERE s.org_id = NEW.org_id AND s.year = NEW.year AND s.id <> NEW.id) THEN
        RAISE EXCEPTION 'slip % is not the next one of %', NEW.number, series USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER next AFTER INSERT ON dispatch_slip FOR EACH ROW EXECUTE FUNCTION dispatch_slip_next();

CREATE FUNCTION number_series_slip() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM organisation o WHERE o.code = left(NEW.key, -5)) AND NEW.key ~ '-[0-9]{4}$'
       AND NOT EXISTS (SELECT 1 FROM dispatch_slip s WHERE s.number = NEW.key || '-' || lpad(NEW.last::text, 5, '0')) THEN
        RAISE EXCEPTION 'number % of % was taken and no slip issued', NEW.last, NEW.key USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slip AFTER INSERT OR UPDATE ON number_series DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION number_series_slip();
