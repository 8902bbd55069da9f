-- Confirmed distances, remarks and ratings are added, never changed; an order moves on only with its confirmed distance.
CALL fleet_append_only('mileage_confirmation', 'mileage_remark', 'trip_rating');
REVOKE UPDATE ON mileage_confirmation, mileage_remark, trip_rating FROM fleet_app;
CALL fleet_scope('mileage_confirmation', 'EXISTS (SELECT 1 FROM travel_order o WHERE o.id = order_id)');
CALL fleet_scope('mileage_remark', 'EXISTS (SELECT 1 FROM travel_order o WHERE o.id = order_id)');
CALL fleet_scope('trip_rating', 'org_id IN (SELECT fleet_visible_orgs()) OR rated_by = fleet_actor_id()');

-- The driven distance of an order over its matched trips, without places and times: whoever may read the order may know it,
-- although the trips belong to the vehicle's holder.
CREATE FUNCTION order_driven(wanted bigint) RETURNS TABLE (metres double precision, sources text, coverage double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT sum(m.distance_m), string_agg(DISTINCT t.best_source, ',' ORDER BY t.best_source),
           sum(t.coverage * m.distance_m) / nullif(sum(m.distance_m), 0)
    FROM trip_match m JOIN trip t ON t.id = m.trip_id
    WHERE m.order_id = wanted AND m.kind IN ('matched', 'weak') AND m.superseded_at IS NULL AND t.superseded_at IS NULL
$$;

-- Whether a person ends a journey: who travelled, who filed it, or the administrator of the unit; never its driver.
CREATE FUNCTION order_ended_by(wanted bigint, person bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT EXISTS (SELECT 1 FROM travel_order o WHERE o.id = wanted AND (person IN (o.applicant_id, o.filed_by_id) OR EXISTS (
               SELECT 1 FROM role_grant g WHERE g.user_id = person AND g.role = 'unit_admin' AND g.org_id = o.org_id)))
       AND NOT EXISTS (SELECT 1 FROM assignment a JOIN driver d ON d.id = a.driver_id
                       WHERE a.order_id = wanted AND a.state = 'ACTIVE' AND d.user_id = person)
$$;

CREATE FUNCTION mileage_confirmation_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE state_now text := (SELECT o.state FROM travel_order o WHERE o.id = NEW.order_id AND o.org_id = NEW.org_id);
BEGIN
    IF state_now IS NULL OR state_now NOT IN ('RETURNED', 'OUTSOURCED') OR (state_now = 'OUTSOURCED') <> (NEW.source = 'BILL') THEN
        RAISE EXCEPTION 'order % is not to be confirmed now', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_mileage_confirmation_state';
    END IF;
    IF NEW.auto AND (SELECT count(*) % 2 = 1 FROM mileage_remark r WHERE r.order_id = NEW.order_id) THEN
        RAISE EXCEPTION 'an objection to order % is open', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_mileage_confirmation_open';
    END IF;
    IF NEW.auto AND NOT fleet_sees_all() OR NOT NEW.auto AND NOT (
        order_ended_by(NEW.order_id, NEW.confirmed_by) AND (fleet_sees_all() OR NEW.confirmed_by = fleet_actor_id())) THEN
        RAISE EXCEPTION 'order % is not this person''s to confirm', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_mileage_confirmation_person';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard AFTER INSERT ON mileage_confirmation FOR EACH ROW EXECUTE FUNCTION mileage_confirmation_guard();

CREATE FUNCTION mileage_remark_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM travel_order o WHERE o.id = NEW.order_id AND o.org_id = NEW.org_id AND o.state = 'RETURNED')
       OR NEW.seq <> (SELECT count(*) FROM mileage_remark r WHERE r.order_id = NEW.order_id) THEN
        RAISE EXCEPTION 'order % takes no such remark now', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_mileage_remark_turn';
    END IF;
    IF NOT fleet_sees_all() AND NEW.said_by IS DISTINCT FROM fleet_actor_id() OR (NEW.seq % 2 = 1) <> order_ended_by(NEW.order_id, NEW.said_by)
       OR NEW.seq % 2 = 0 AND NOT EXISTS (
           SELECT 1 FROM travel_order o JOIN organisation at ON at.id IN (o.org_id, o.serving_org_id)
           JOIN role_grant g ON g.user_id = NEW.said_by AND g.role IN ('dispatcher', 'fleet_manager')
           JOIN organisation over ON over.id = g.org_id AND starts_with(at.path, over.path) WHERE o.id = NEW.order_id) THEN
        RAISE EXCEPTION 'the remark on order % is not this person''s', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_mileage_remark_person';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard AFTER INSERT ON mileage_remark FOR EACH ROW EXECUTE FUNCTION mileage_remark_guard();

CREATE FUNCTION trip_rating_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT fleet_sees_all() AND NEW.rated_by IS DISTINCT FROM fleet_actor_id() OR NOT EXISTS (
        SELECT 1 FROM travel_order o JOIN assignment a ON a.order_id = o.id AND a.state = 'ACTIVE' JOIN driver d ON d.id = a.driver_id
        WHERE o.id = NEW.order_id AND o.state IN ('RETURNED', 'MILEAGE_CONFIRMED', 'SETTLED', 'CLOSED')
        AND (a.org_id, a.driver_id) = (NEW.org_id, NEW.driver_id) AND NEW.rated_by IN (o.applicant_id, o.filed_by_id)
        AND d.user_id <> NEW.rated_by) THEN
        RAISE EXCEPTION 'order % is not this person''s to rate', NEW.order_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_trip_rating_person';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard AFTER INSERT ON trip_rating FOR EACH ROW EXECUTE FUNCTION trip_rating_guard();

CREATE FUNCTION travel_order_confirmed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM mileage_confirmation c WHERE c.order_id = NEW.id) THEN
        RAISE EXCEPTION 'order % has no confirmed distance', NEW.number USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_travel_order_confirmed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER confirmed BEFORE INSERT OR UPDATE OF state ON travel_order FOR EACH ROW
    WHEN (NEW.state = 'MILEAGE_CONFIRMED') EXECUTE FUNCTION travel_order_confirmed();
