-- A vehicle or driver that is kept for a cause serves that cause alone while it is kept.
CREATE FUNCTION fleet_hold_admits(h hold, order_id bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE h.cause
        WHEN 'occasion' THEN o.occasion_id IS NOT DISTINCT FROM h.cause_id
        ELSE o.kind = 'emergency'
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

-- Orders of one journey (拼车): none that goes alone, everybody agreed, all at one time, never more people than seats.
CREATE FUNCTION assignment_pool() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE journey record;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.pool_key <> OLD.pool_key THEN
        RAISE EXCEPTION 'assignment % stays in its journey', NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state <> 'ACTIVE' THEN
        RETURN NULL;
    END IF;
    SELECT count(*) AS orders, bool_or(o.kind IN ('confidential', 'emergency', 'service')) AS alone,
           bool_and(o.pooling_ok OR coalesce(length(a.consent), 0) > 0) AS agreed, max(o.start_at) < min(o.end_at) AS together,
           max((SELECT sum(p.passenger_count) FROM assignment b JOIN travel_order p ON p.id = b.order_id
                WHERE b.pool_key = NEW.pool_key AND b.state = 'ACTIVE' AND p.start_at <= o.start_at AND o.start_at < p.end_at)) AS peak
    INTO journey FROM assignment a JOIN travel_order o ON o.id = a.order_id WHERE a.pool_key = NEW.pool_key AND a.state = 'ACTIVE';
    IF journey.orders < 2 THEN
        RETURN NULL;
    END IF;
    IF journey.alone OR NOT journey.agreed OR NOT journey.together THEN
        RAISE EXCEPTION 'order % cannot share journey %', NEW.order_id, NEW.pool_key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_pool';
    END IF;
    IF journey.peak > (SELECT v.seats - 1 FROM vehicle v WHERE v.id = NEW.vehicle_id) THEN
        RAISE EXCEPTION 'journey % has more people than seats', NEW.pool_key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_seats';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER pool AFTER INSERT OR UPDATE ON assignment FOR EACH ROW EXECUTE FUNCTION assignment_pool();

CALL fleet_keep('journey_stop');
CALL fleet_scope('journey_stop', 'EXISTS (SELECT 1 FROM assignment a WHERE a.id = assignment_id)');

-- An approved change of an order's hours moves its booking along, buffers and all. Where somebody else has the vehicle or the driver
-- by then, the booking stays as it was and ``order_booked`` says that it no longer covers the order: the dispatcher decides.
CREATE FUNCTION order_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    BEGIN
        UPDATE assignment SET during = tstzrange(lower(during) + (NEW.start_at - OLD.start_at), upper(during) + (NEW.end_at - OLD.end_at))
        WHERE order_id = NEW.id AND state = 'ACTIVE';
    EXCEPTION WHEN exclusion_violation OR check_violation THEN
        NULL;
    END;
    RETURN NULL;
END $$;
CREATE TRIGGER moved AFTER UPDATE OF start_at, end_at ON travel_order FOR EACH ROW
    WHEN ((NEW.start_at, NEW.end_at) IS DISTINCT FROM (OLD.start_at, OLD.end_at)) EXECUTE FUNCTION order_moved();

CREATE FUNCTION order_booked(wanted bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT coalesce(bool_and(a.during @> tstzrange(o.start_at, o.end_at)), true)
    FROM assignment a JOIN travel_order o ON o.id = a.order_id WHERE a.order_id = wanted AND a.state = 'ACTIVE'
$$;
