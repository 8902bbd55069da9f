-- Sealing: steps are appended, nothing is removed, what was proved or decided is frozen, and a sealed vehicle stays where it is.
CALL fleet_append_only('seal_event');
REVOKE UPDATE ON seal_event FROM fleet_app;
CALL fleet_keep('seal_campaign', 'seal_record', 'seal_exception');
CALL fleet_scope('seal_record', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('seal_exception', 'org_id IN (SELECT fleet_visible_orgs())');
CALL fleet_scope('seal_campaign', 'org_id IN (SELECT fleet_visible_orgs()) OR id IN (SELECT r.campaign_id FROM seal_record r)');
ALTER POLICY scope ON seal_campaign WITH CHECK (org_id IN (SELECT fleet_visible_orgs()));
CALL fleet_scope('seal_event', 'CASE WHEN record_id IS NULL THEN campaign_id IN (SELECT c.id FROM seal_campaign c)'
    ' ELSE record_id IN (SELECT r.id FROM seal_record r) END');
ALTER POLICY scope ON seal_event WITH CHECK (CASE WHEN record_id IS NULL
    THEN campaign_id IN (SELECT c.id FROM seal_campaign c WHERE c.org_id IN (SELECT fleet_visible_orgs()))
    ELSE record_id IN (SELECT r.id FROM seal_record r) END);

CREATE FUNCTION seal_campaign_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (('DRAFT', 'PUBLISHED'), ('DRAFT', 'CANCELLED'), ('PUBLISHED', 'RUNNING'),
                                                               ('PUBLISHED', 'CANCELLED'), ('RUNNING', 'CLOSED')) THEN
        RAISE EXCEPTION 'notice % cannot go from % to %', OLD.number, OLD.state, NEW.state USING ERRCODE = 'restrict_violation';
    END IF;
    IF OLD.state <> 'DRAFT' AND to_jsonb(NEW) - '{state,closed_at,version}'::text[]
       IS DISTINCT FROM to_jsonb(OLD) - '{state,closed_at,version}'::text[] THEN
        RAISE EXCEPTION 'notice % is published: its content is frozen', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON seal_campaign FOR EACH ROW EXECUTE FUNCTION seal_campaign_guard();

-- A record is made for a notice in force. SEALED stands on a photograph of its own and a vehicle taken out of service, EXEMPT on an approval.
CREATE FUNCTION seal_record_guard() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'TO_SEAL' OR NOT EXISTS (
            SELECT 1 FROM seal_campaign c, vehicle v WHERE c.id = NEW.campaign_id AND c.state IN ('PUBLISHED', 'RUNNING')
            AND NEW.during = daterange(c.start_on, c.end_on) AND v.id = NEW.vehicle_id AND v.org_id = NEW.org_id) THEN
            RAISE EXCEPTION 'a record begins unsealed, under a notice in force' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END IF;
    IF OLD.state IN ('UNSEALED', 'MISSED', 'CANCELLED')
       OR (NEW.org_id, NEW.campaign_id, NEW.vehicle_id, NEW.during, NEW.created_at)
          IS DISTINCT FROM (OLD.org_id, OLD.campaign_id, OLD.vehicle_id, OLD.during, OLD.created_at)
       OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
           ('TO_SEAL', 'SEALED'), ('TO_SEAL', 'EXEMPT'), ('TO_SEAL', 'MISSED'), ('TO_SEAL', 'CANCELLED'), ('EXEMPT', 'SEALED'),
           ('EXEMPT', 'CANCELLED'), ('SEALED', 'UNSEALED'), ('SEALED', 'EXEMPT')))
       OR (OLD.state = 'SEALED' AND (NEW.parking_id, NEW.keys_with, NEW.attachment_id, NEW.sealed_odometer_m, NEW.sealed_at, NEW.sealed_by, NEW.state_before)
           IS DISTINCT FROM (OLD.parking_id, OLD.keys_with, OLD.attachment_id, OLD.sealed_odometer_m, OLD.sealed_at, OLD.sealed_by, OLD.state_before)) THEN
        RAISE EXCEPTION 'seal record % is closed, proved, or cannot go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state = 'SEALED' AND OLD.state <> 'SEALED' THEN
        IF NOT EXISTS (SELECT 1 FROM attachment a WHERE a.id = NEW.attachment_id AND a.subject_type = 'seal_record' AND a.subject_id = NEW.id
                       AND a.media_type LIKE 'image/%') THEN
            RAISE EXCEPTION 'seal record % has no photograph', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_seal_record_photo';
        END IF;
        IF (SELECT v.state FROM vehicle v WHERE v.id = NEW.vehicle_id) IS DISTINCT FROM 'SEALED' THEN
            RAISE EXCEPTION 'the vehicle of seal record % is not sealed', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_seal_record_vehicle';
        END IF;
    END IF;
    IF NEW.state = 'EXEMPT' AND NOT EXISTS (
        SELECT 1 FROM seal_exception e WHERE e.record_id = NEW.id AND e.state = 'APPROVED' AND e.start_on = NEW.exempt_from AND e.end_on = NEW.exempt_until) THEN
        RAISE EXCEPTION 'seal record % has no approved duty', NEW.id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_seal_record_exception';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON seal_record FOR EACH ROW EXECUTE FUNCTION seal_record_guard();

CREATE FUNCTION seal_exception_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'REQUESTED' OR to_jsonb(NEW) - '{state,decided_by,decided_at,note}'::text[]
       IS DISTINCT FROM to_jsonb(OLD) - '{state,decided_by,decided_at,note}'::text[] THEN
        RAISE EXCEPTION 'exception % is decided, or asked as it is', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON seal_exception FOR EACH ROW EXECUTE FUNCTION seal_exception_guard();

CREATE FUNCTION vehicle_sealed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM seal_record r WHERE r.vehicle_id = NEW.id AND r.state = 'SEALED') THEN
        RAISE EXCEPTION '% is sealed: it goes back by unsealing only', NEW.plate USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_vehicle_sealed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sealed BEFORE UPDATE OF state ON vehicle FOR EACH ROW
    WHEN (OLD.state = 'SEALED' AND NEW.state <> 'SEALED') EXECUTE FUNCTION vehicle_sealed();

CREATE FUNCTION assignment_sealed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    IF (SELECT v.state FROM vehicle v WHERE v.id = NEW.vehicle_id) = 'SEALED' THEN
        RAISE EXCEPTION 'vehicle % is sealed', NEW.vehicle_id USING ERRCODE = 'check_violation', CONSTRAINT = 'ck_assignment_sealed';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sealed BEFORE INSERT ON assignment FOR EACH ROW WHEN (NEW.state = 'ACTIVE') EXECUTE FUNCTION assignment_sealed();
