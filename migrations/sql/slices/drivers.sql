-- A driver on leave gets no orders, and leave is granted only where none stand.
CALL fleet_keep('driver_absence');
CALL fleet_scope('driver_absence', 'org_id IN (SELECT fleet_visible_orgs()) OR asked_by = fleet_actor_id()');

CREATE FUNCTION fleet_days(during daterange) RETURNS tstzrange LANGUAGE sql IMMUTABLE AS $$
    SELECT tstzrange(lower(during)::timestamp AT TIME ZONE 'Asia/Shanghai', upper(during)::timestamp AT TIME ZONE 'Asia/Shanghai')
$$;

CREATE FUNCTION assignment_absence() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NEW.state = 'ACTIVE' AND EXISTS (
        SELECT 1 FROM driver_absence d, travel_order o WHERE o.id = NEW.order_id AND d.driver_id = NEW.driver_id AND d.state = 'GRANTED'
        AND fleet_days(d.during) && tstzrange(o.start_at, o.end_at)
    ) THEN
        RAISE EXCEPTION 'driver % is on leave', NEW.driver_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_absence';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER absence BEFORE INSERT OR UPDATE OF state, driver_id ON assignment FOR EACH ROW EXECUTE FUNCTION assignment_absence();

CREATE FUNCTION driver_absence_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('planning'));
    IF TG_OP = 'UPDATE' AND (NEW.driver_id, NEW.org_id, NEW.during, NEW.reason, NEW.asked_by, NEW.asked_at) IS DISTINCT FROM
       (OLD.driver_id, OLD.org_id, OLD.during, OLD.reason, OLD.asked_by, OLD.asked_at) THEN
        RAISE EXCEPTION 'absence % is on record', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'GRANTED' AND EXISTS (
        SELECT 1 FROM assignment a JOIN travel_order o ON o.id = a.order_id WHERE a.driver_id = NEW.driver_id AND a.state = 'ACTIVE'
        AND fleet_days(NEW.during) && tstzrange(o.start_at, o.end_at)
    ) THEN
        RAISE EXCEPTION 'driver % has orders on those days', NEW.driver_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_driver_absence_booked';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON driver_absence FOR EACH ROW EXECUTE FUNCTION driver_absence_guard();
