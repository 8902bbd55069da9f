-- Papers of a vehicle: a wrong one is made void, once; nothing else of it changes.
CALL fleet_keep('vehicle_document');
CALL fleet_scope('vehicle_document', 'org_id IN (SELECT fleet_visible_orgs())');

CREATE FUNCTION vehicle_document_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.void_at IS NOT NULL OR to_jsonb(NEW) - '{void_at,void_reason}'::text[] IS DISTINCT FROM
        to_jsonb(OLD) - '{void_at,void_reason}'::text[] THEN
        RAISE EXCEPTION 'document % is on record: it can only be made void, once', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON vehicle_document FOR EACH ROW EXECUTE FUNCTION vehicle_document_frozen();
