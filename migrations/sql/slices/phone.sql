-- What a phone sent is added with its answer and never changed; each row is the sender's own. Codes of vehicles are superseded.
CALL fleet_append_only('phone_action', 'phone_position', 'vehicle_code');
REVOKE UPDATE ON phone_action, phone_position, vehicle_code FROM fleet_app;
CALL fleet_scope('phone_action', 'org_id IN (SELECT fleet_visible_orgs()) OR user_id = fleet_actor_id()');
CALL fleet_scope('phone_position', 'org_id IN (SELECT fleet_visible_orgs()) OR user_id = fleet_actor_id()');
CALL fleet_scope('vehicle_code', 'EXISTS (SELECT 1 FROM vehicle v WHERE v.id = vehicle_id)');
ALTER POLICY scope ON vehicle_code WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CREATE POLICY own_hand ON phone_action AS RESTRICTIVE FOR INSERT TO fleet_app WITH CHECK (fleet_sees_all() OR user_id = fleet_actor_id());
CREATE POLICY own_hand ON phone_position AS RESTRICTIVE FOR INSERT TO fleet_app WITH CHECK (fleet_sees_all() OR user_id = fleet_actor_id());

-- A position is taken of the driver of a journey under way, of nobody else and at no other time.
CREATE FUNCTION phone_position_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (
        SELECT 1 FROM assignment a JOIN travel_order o ON o.id = a.order_id JOIN driver d ON d.id = a.driver_id
        WHERE a.id = NEW.assignment_id AND a.state = 'ACTIVE' AND d.user_id = NEW.user_id AND o.state IN ('CHECKED_OUT', 'EN_ROUTE')) THEN
        RAISE EXCEPTION 'no journey of this driver is under way' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_phone_position_journey';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON phone_position FOR EACH ROW EXECUTE FUNCTION phone_position_guard();

-- The code of a vehicle counts on by one and belongs to its holder.
CREATE FUNCTION vehicle_code_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NEW.serial <> (SELECT count(*) + 1 FROM vehicle_code c WHERE c.vehicle_id = NEW.vehicle_id) THEN
        RAISE EXCEPTION 'the next code of vehicle % has another serial', NEW.vehicle_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_vehicle_code_next';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON vehicle_code FOR EACH ROW EXECUTE FUNCTION vehicle_code_guard();
