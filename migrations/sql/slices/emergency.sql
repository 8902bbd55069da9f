-- Emergencies: steps and effects are appended, what was activated is frozen, a drill takes nothing from anybody.
CALL fleet_append_only('emergency_event', 'emergency_effect');
REVOKE UPDATE ON emergency_event, emergency_effect FROM fleet_app;
CALL fleet_keep('emergency_plan', 'emergency_level', 'emergency_officer', 'emergency_activation', 'emergency_car');
GRANT DELETE ON emergency_call_up TO fleet_app; -- a level's list is written anew as a whole; the audit log keeps the former one
CALL fleet_scope('emergency_plan', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('emergency_level', 'EXISTS (SELECT 1 FROM emergency_plan p WHERE p.id = plan_id)');
CALL fleet_scope('emergency_call_up', 'EXISTS (SELECT 1 FROM emergency_level l WHERE l.id = level_id)');
CALL fleet_scope('emergency_officer', 'EXISTS (SELECT 1 FROM emergency_plan p WHERE p.id = plan_id)');
CALL fleet_scope('emergency_activation', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('emergency_car', 'EXISTS (SELECT 1 FROM emergency_activation a WHERE a.id = activation_id)');
CALL fleet_scope('emergency_effect', 'EXISTS (SELECT 1 FROM emergency_activation a WHERE a.id = activation_id)');
CALL fleet_scope('emergency_event', 'EXISTS (SELECT 1 FROM emergency_activation a WHERE a.id = activation_id)');

CREATE FUNCTION emergency_activation_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'DRAFT' THEN
            RAISE EXCEPTION 'an activation begins as a draft' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state IN ('STOOD_DOWN', 'CANCELLED') AND to_jsonb(NEW) - '{signed_at,version}'::text[] IS DISTINCT FROM to_jsonb(OLD) - '{signed_at,version}'::text[]
       OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (('DRAFT', 'ACTIVE'), ('DRAFT', 'CANCELLED'), ('ACTIVE', 'STOOD_DOWN')))
       OR (OLD.signed_at IS NOT NULL AND NEW.signed_at IS DISTINCT FROM OLD.signed_at)
       OR (OLD.state = 'ACTIVE' AND to_jsonb(NEW) - '{state,level,signed_at,ended_at,version}'::text[]
                                    IS DISTINCT FROM to_jsonb(OLD) - '{state,level,signed_at,ended_at,version}'::text[]) THEN
        RAISE EXCEPTION 'activation % is %: what was activated is frozen', OLD.number, OLD.state USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON emergency_activation FOR EACH ROW EXECUTE FUNCTION emergency_activation_guard();

CREATE FUNCTION emergency_effect_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF (SELECT a.drill OR a.state <> 'ACTIVE' FROM emergency_activation a WHERE a.id = NEW.activation_id) THEN
        RAISE EXCEPTION 'a drill takes no vehicle from an order' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_emergency_effect_drill';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT ON emergency_effect FOR EACH ROW EXECUTE FUNCTION emergency_effect_guard();

-- An order of an emergency is driven by nobody who approved or applied for it (as of any order), and a drill's is no emergency.
CREATE FUNCTION emergency_car_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND ((NEW.activation_id, NEW.vehicle_id, NEW.driver_id, NEW.called_at) IS DISTINCT FROM (OLD.activation_id, OLD.vehicle_id, OLD.driver_id, OLD.called_at)
       OR (OLD.sent_at IS NOT NULL AND (NEW.order_id, NEW.sent_at) IS DISTINCT FROM (OLD.order_id, OLD.sent_at)) OR OLD.released_at IS NOT NULL) THEN
        RAISE EXCEPTION 'vehicle % was called up as it was', OLD.vehicle_id USING ERRCODE = 'restrict_violation';
    END IF;
    IF EXISTS (SELECT 1 FROM emergency_activation a, driver d WHERE a.id = NEW.activation_id AND d.id = NEW.driver_id
               AND d.user_id IN (a.leader_id, a.officer_id, a.confirmed_by)) THEN
        RAISE EXCEPTION 'the driver approved, applied or activated' USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_emergency_car_driver';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON emergency_car FOR EACH ROW EXECUTE FUNCTION emergency_car_guard();

-- An order of an activation in force, or of a drill, with its officer as the applicant and its leader as the approver.
CREATE FUNCTION emergency_approved(o travel_order) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS $$
    SELECT EXISTS (SELECT 1 FROM emergency_activation a WHERE a.state = 'ACTIVE' AND a.org_id = o.org_id AND a.officer_id = o.applicant_id
        AND a.leader_id = o.approver_id AND a.leader_id <> o.filed_by_id AND o.approved_at IS NOT NULL AND starts_with(o.reason, a.number || ' ')
        AND (o.kind, o.purpose) = (CASE WHEN a.drill THEN 'service' ELSE 'emergency' END, CASE WHEN a.drill THEN 'drill' ELSE 'emergency' END))
$$;
