-- A study is what was asked for, and once it has ended it stays as it is.
CALL fleet_keep('lab_study');
CALL fleet_scope('lab_study', 'org_id IN (SELECT fleet_visible_orgs())');

CREATE FUNCTION lab_study_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('DONE', 'FAILED', 'CANCELLED') THEN
        RAISE EXCEPTION 'study % has ended', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.org_id, NEW.kind, NEW.asked, NEW.requested_by, NEW.requested_at)
       IS DISTINCT FROM (OLD.org_id, OLD.kind, OLD.asked, OLD.requested_by, OLD.requested_at)
       OR OLD.state = 'RUNNING' AND NEW.state = 'QUEUED' OR OLD.state = 'QUEUED' AND NEW.state = 'DONE' THEN
        RAISE EXCEPTION 'study % is what was asked for', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON lab_study FOR EACH ROW EXECUTE FUNCTION lab_study_frozen();
