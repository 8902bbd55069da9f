-- Disposal: steps are appended, a case is never removed, and a vehicle is retired by its deregistered case only.
CALL fleet_append_only('disposal_event');
REVOKE UPDATE ON disposal_event FROM fleet_app;
CALL fleet_keep('disposal_case');
CALL fleet_scope('disposal_case', 'org_id IN (SELECT fleet_visible_orgs()) OR receiver_org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('disposal_event', 'EXISTS (SELECT 1 FROM disposal_case c WHERE c.id = case_id)');

CREATE FUNCTION disposal_case_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('ARCHIVED', 'REJECTED', 'WITHDRAWN') THEN
        RAISE EXCEPTION 'case % is closed', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state NOT IN ('REQUESTED', 'APPRAISED') AND (NEW.vehicle_id, NEW.mode, NEW.org_id, NEW.receiver_org_id, NEW.decided_by, NEW.appraised_value)
       IS DISTINCT FROM (OLD.vehicle_id, OLD.mode, OLD.org_id, OLD.receiver_org_id, OLD.decided_by, OLD.appraised_value) THEN
        RAISE EXCEPTION 'case % is decided: what was decided is frozen', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER closed BEFORE UPDATE ON disposal_case FOR EACH ROW EXECUTE FUNCTION disposal_case_closed();

CREATE FUNCTION vehicle_retired() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM disposal_case c WHERE c.vehicle_id = NEW.id AND c.mode <> 'transfer' AND c.state IN ('DEREGISTERED', 'ARCHIVED')) THEN
        RAISE EXCEPTION '% is retired by its deregistered disposal only', NEW.plate
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_vehicle_retired';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER retired BEFORE UPDATE OF state ON vehicle FOR EACH ROW
    WHEN (NEW.state = 'RETIRED' AND OLD.state <> 'RETIRED') EXECUTE FUNCTION vehicle_retired();
