-- Imports of ledgers: kept for good; what was uploaded is frozen, and so is everything once it has ended.
CALL fleet_keep('ledger_import');
CALL fleet_scope('ledger_import', 'org_id IN (SELECT fleet_visible_orgs())');

CREATE FUNCTION ledger_import_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state IN ('DONE', 'REFUSED', 'FAILED', 'DISCARDED') THEN
        RAISE EXCEPTION 'import % has ended', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.org_id, NEW.kind, NEW.file_name, NEW.sha256, NEW.uploaded_by, NEW.uploaded_at)
       IS DISTINCT FROM (OLD.org_id, OLD.kind, OLD.file_name, OLD.sha256, OLD.uploaded_by, OLD.uploaded_at) THEN
        RAISE EXCEPTION 'import % is what was uploaded', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('UPLOADED', 'CHECKING'), ('UPLOADED', 'REFUSED'), ('UPLOADED', 'FAILED'), ('UPLOADED', 'DISCARDED'),
        ('CHECKING', 'CHECKED'), ('CHECKING', 'REFUSED'), ('CHECKING', 'FAILED'), ('CHECKED', 'UPLOADED'),
        ('CHECKED', 'COMMITTING'), ('CHECKED', 'DISCARDED'), ('COMMITTING', 'CHECKED'), ('COMMITTING', 'DONE'),
        ('COMMITTING', 'FAILED')) THEN
        RAISE EXCEPTION 'import % cannot go from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON ledger_import FOR EACH ROW EXECUTE FUNCTION ledger_import_frozen();
