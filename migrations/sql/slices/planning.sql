-- A vehicle or driver that is kept for a cause serves that cause alone while it is kept.
CREATE FUNCTION fleet_hold_admits(h hold, order_id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE h.cause
        WHEN 'occasion' THEN o.occasion_id IS NOT DISTINCT FROM h.cause_id
        WHEN 'emergency' THEN o.kind = 'emergency'
        ELSE EXISTS (SELECT 1 FROM organisation unit, organisation borrower
                     WHERE unit.id = o.org_id AND borrower.id = h.for_org_id AND starts_with(unit.path, borrower.path))
    END FROM travel_order o WHERE o.id = order_id
$$;

CREATE FUNCTION assignment_hold() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('planning'));
    IF NEW.state = 'ACTIVE' AND EXISTS (
        SELECT 1 FROM hold h WHERE h.released_at IS NULL AND h.during && NEW.during
        AND (h.vehicle_id = NEW.vehicle_id OR h.driver_id = NEW.driver_id) AND NOT fleet_hold_admits(h, NEW.order_id)
    ) THEN
        RAISE EXCEPTION 'vehicle % or driver % is kept for something else', NEW.vehicle_id, NEW.driver_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_hold';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hold BEFORE INSERT OR UPDATE OF state, during, vehicle_id, driver_id ON assignment
    FOR EACH ROW EXECUTE FUNCTION assignment_hold();

CREATE FUNCTION hold_assignment() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('planning'));
    IF NEW.released_at IS NULL AND EXISTS (
        SELECT 1 FROM assignment a WHERE a.state = 'ACTIVE' AND a.during && NEW.during
        AND (a.vehicle_id = NEW.vehicle_id OR a.driver_id = NEW.driver_id) AND NOT fleet_hold_admits(NEW, a.order_id)
    ) THEN
        RAISE EXCEPTION 'vehicle % or driver % has orders in the span', NEW.vehicle_id, NEW.driver_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_hold_assignment';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER assignment BEFORE INSERT OR UPDATE ON hold FOR EACH ROW EXECUTE FUNCTION hold_assignment();
